"""Why a first connect failed, asked of TLS alone: an HTTP library says little of what happened below it."""

from __future__ import annotations

import socket
import ssl
from typing import Final
from urllib.parse import parse_qs, urlsplit

from qraft.config import ClickHouseAddress
from qraft.config.tls import TlsFiles

_OPEN_SECONDS: Final = 2.0
_ALERT_SECONDS: Final = 0.5
"""With TLS 1.3 a server objects to the client's certificate once the client is through with the handshake."""
_PORTS: Final = {"http": 8123, "https": 8443}


def tls_fault(address: ClickHouseAddress) -> str:
    """What is wrong with the TLS connection, or with there being none; empty where it is not that.

    Raises:
        LoginError: a file cannot be used.
    """
    parts = urlsplit(address.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    name = parse_qs(parts.query).get("server_host_name", [host])[0]
    try:
        with socket.create_connection((host, port), timeout=_OPEN_SECONDS) as connection:
            if not address.secure:
                unverified = TlsFiles(verify=False).context()
                with unverified.wrap_socket(connection):
                    return "that port speaks TLS; write https:// into clickhouse.url"
            with address.tls.context().wrap_socket(connection, server_hostname=name) as secured:
                secured.settimeout(_ALERT_SECONDS)
                return _ended(secured, address)
    except ssl.SSLError as error:
        return address.tls.fault(str(error)) if address.secure else ""
    except OSError:
        return ""


def _ended(secured: ssl.SSLSocket, address: ClickHouseAddress) -> str:
    """Why the server ends a connection on which nothing was said yet; empty while it waits, as it should."""
    try:
        if secured.recv(1):
            return ""
    except TimeoutError:
        return ""
    except (ssl.SSLError, OSError) as error:
        if fault := address.tls.fault(str(error)):
            return fault
    # Some servers leave out the alert that says why.
    return address.tls.fault("alert unknown ca" if address.tls.cert_file else "certificate required")
