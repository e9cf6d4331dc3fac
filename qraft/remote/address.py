"""Addresses of servers over there, and what stands for them here: a port on loopback that leads to them."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from qraft.remote.errors import RemoteError

LOOPBACK: Final = "127.0.0.1"
_PORTS: Final = {"nats": 4222, "tls": 4222, "http": 8123, "https": 8443}


@dataclass(frozen=True, slots=True)
class Target:
    """A server as the other machine names it."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Target:
        """The host and port of an address of NATS or ClickHouse.

        Raises:
            RemoteError: it is no such address.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise RemoteError(f"{url!r} is no address of NATS or ClickHouse") from None
        if not parts.hostname:
            raise RemoteError(f"{url!r} names no host")
        return cls(parts.hostname, port)


@dataclass(frozen=True, slots=True)
class Forward:
    """A port here that leads to a server there."""

    port: int
    target: Target

    @property
    def specification(self) -> str:
        """As ``ssh -L`` takes it."""
        host = f"[{self.target.host}]" if ":" in self.target.host else self.target.host
        return f"{LOOPBACK}:{self.port}:{host}:{self.target.port}"


def local_url(url: str, port: int) -> str:
    """``url`` led through a port here; ``server_host_name`` keeps the name that the server's certificate has to bear."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    query = parts.query
    if parts.scheme != "http" and parts.hostname != LOOPBACK:
        query = "&".join(filter(None, (query, urlencode({"server_host_name": parts.hostname or ""}))))
    return urlunsplit(parts._replace(netloc=f"{login}{at}{LOOPBACK}:{port}", query=query))


def free_port() -> int:
    """A port on loopback that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
