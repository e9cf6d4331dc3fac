"""Settings of the servers that Qraft stands on: NATS and ClickHouse."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from qraft.config.base import Section, Size, address


class NatsSettings(Section):
    """The message bus."""

    url: Annotated[str, address("nats", "tls")] = "embedded"
    """"embedded", or the address of a NATS server with JetStream."""
    max_bytes: Size = 1024**3
    """Size of the event stream; when it is full, sources wait."""
    sync_always: bool = False
    """Embedded server only: flush every write to disk, so that even a power failure loses nothing."""


class ClickHouseSettings(Section):
    """The database."""

    url: Annotated[str, address("http", "https")] = "embedded"
    """"embedded", or the HTTP address of a ClickHouse server."""
    database: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = "qraft"
    """Database that holds Qraft's tables; made when it is missing."""
    user: str = "default"
    """User name."""
    password_env: str = ""
    """Name of the environment variable that holds the password."""
