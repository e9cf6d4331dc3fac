"""What `qraft doctor` says of logins: until when certificates and credentials hold."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from qraft.commands.checks import Check

if TYPE_CHECKING:
    from qraft.config import ClickHouseAddress, NatsAddress

SOON_DAYS: Final = 14
_SECONDS: Final = 3.0
_GREETING_BYTES: Final = 65_536
_PORTS: Final = {"nats": 4222, "tls": 4222, "https": 8443}
_JWT: Final = re.compile(r"BEGIN NATS USER JWT-+\s+([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.")


def of_nats(address: NatsAddress) -> Iterator[Check]:
    """The certificates of each server and of this client, and its credentials."""
    yield from _of_files("NATS", address.tls.ca_file, address.tls.cert_file)
    if address.credentials_file and (ends := _jwt_expiry(address.credentials_file)) is not None:
        yield until(f"NATS credentials {address.credentials_file}", ends, "get new ones with `nsc generate creds`")
    if address.secure:
        for server in address.servers:
            yield from _of_server("NATS", server, greets=True)


def of_clickhouse(address: ClickHouseAddress) -> Iterator[Check]:
    """The certificates of the server and of this client."""
    yield from _of_files("ClickHouse", address.tls.ca_file, address.tls.cert_file)
    if address.secure:
        yield from _of_server("ClickHouse", address.url, greets=False)


def _of_files(part: str, ca_file: str, cert_file: str) -> Iterator[Check]:
    from qraft.config.tls import expiry_of

    for what, path in (("authority", ca_file), ("client certificate", cert_file)):
        if path and (ends := expiry_of(path)) is not None:
            yield until(f"{part} {what} {path}", ends, "put a new one there")


def _of_server(part: str, url: str, *, greets: bool) -> Iterator[Check]:
    """The server's certificate, whether it is accepted or not; nothing where the server is away, which is said elsewhere."""
    from qraft.config.tls import not_after

    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((parts.hostname, parts.port or _PORTS[parts.scheme]), _SECONDS) as connection:
            if greets:  # NATS says who it is in the clear, and speaks TLS from then on
                _read_line(connection)
            with context.wrap_socket(connection, server_hostname=parts.hostname) as secured:
                certificate = secured.getpeercert(binary_form=True)
        if certificate is not None:
            yield until(f"{part} server certificate", not_after(certificate), "renew it on that server")
    except (OSError, ValueError):
        return


def _read_line(connection: socket.socket) -> None:
    """Reads a line and nothing beyond it, which would be missing from the handshake."""
    seen = 0
    while seen < _GREETING_BYTES:
        waiting = connection.recv(4096, socket.MSG_PEEK)
        end = waiting.find(b"\n") + 1
        seen += len(connection.recv(end or len(waiting)))
        if end or not waiting:
            return


def _jwt_expiry(path: str) -> datetime | None:
    """When the user's JWT in a .creds file ends (claim ``exp``, RFC 7519); None where it does not, or is none."""
    try:
        found = _JWT.search(Path(path).read_text(encoding="ascii", errors="ignore"))
        if found is None:
            return None
        claims = json.loads(base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC) if claims.get("exp") else None
    except (OSError, ValueError, TypeError):
        return None


def until(name: str, ends: datetime, fix: str) -> Check:
    """Whether something that ends still holds, and for how long; a warning in the last two weeks."""
    left = ends - datetime.now(UTC)
    day = f"{ends:%Y-%m-%d %H:%M} UTC"
    if left.total_seconds() <= 0:
        return Check(name, "fail", f"expired on {day}", fix)
    days = f"{left.days} day{'s' * (left.days != 1)}"
    state: Literal["ok", "warn"] = "warn" if left.days < SOON_DAYS else "ok"
    return Check(name, state, f"valid for {days} more, until {day}", fix if state == "warn" else "")
