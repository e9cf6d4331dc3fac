"""Whether a server answers behind a forwarded port: ssh accepts there in any case and closes where nobody is behind it."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from qraft.remote.address import LOOPBACK

_SECONDS: Final = 5.0


def answers(scheme: str, port: int) -> bool:
    """Whether the server of an address with this scheme answers on a port here.

    NATS greets by itself; ClickHouse answers an HTTP request; behind https a TLS handshake is answer enough, whatever the
    certificate. Silence counts as an answer, an end of the connection does not.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_SECONDS) as connection:
            if scheme == "https":
                with _unverified().wrap_socket(connection):
                    return True
            if scheme == "http":
                connection.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
            return bool(connection.recv(1))
    except TimeoutError:
        return True
    except OSError:
        return False


def _unverified() -> ssl.SSLContext:
    """Nothing is sent through such a connection; the clients proper verify the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
