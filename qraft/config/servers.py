"""Settings of the servers that Qraft stands on: NATS and ClickHouse."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, model_validator

from qraft.config.base import Section, Size
from qraft.config.nats_login import NatsAddress, NatsLogin, anchor, check_nats_url, secret
from qraft.config.tls import TlsFiles

EMBEDDED: Final = "embedded"
_NO_FILES: Final = TlsFiles("clickhouse.")


def _check_nats(value: str) -> str:
    try:
        return value if value == EMBEDDED else check_nats_url(value)
    except ValueError as error:
        raise ValueError(str(error).replace("expected", 'expected "embedded" or', 1)) from None


def check_clickhouse_url(value: str) -> str:
    """Passes the HTTP address of a ClickHouse server.

    Raises:
        ValueError: it is none, or it holds secrets.
    """
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError('expected "embedded" or an address that starts with http:// or https://')
    if parts.username is not None or parse_qs(parts.query).keys() & {"user", "password"}:
        raise ValueError("expected an address without secrets; put them into user and password_env")
    return value


def _check_clickhouse(value: str) -> str:
    return value if value == EMBEDDED else check_clickhouse_url(value)


class NatsSettings(NatsLogin):
    """The message bus."""

    url: Annotated[str, AfterValidator(_check_nats)] = EMBEDDED
    """"embedded", or the address of a NATS server with JetStream; several servers of one cluster with commas between."""
    max_bytes: Size = 1024**3
    """Size of the event stream; when it is full, sources wait."""
    stream_replicas: Annotated[int, Field(ge=1, le=5)] = 1
    """On how many servers of a cluster each stream stands; 3 survives the loss of one server."""
    sync_always: bool = False
    """Embedded server only: flush every write to disk, so that even a power failure loses nothing."""

    def address(self, url: str = "", environment: Mapping[str, str] = os.environ) -> NatsAddress:
        """What a connection needs, to ``url`` where that is given (an embedded server, a tunnel), else to the server here.

        Raises:
            LoginError: an environment variable is not set.
        """
        return self.login(url or ("" if self.url == EMBEDDED else self.url), "nats", environment)

    @model_validator(mode="after")
    def _for_a_server(self) -> Self:
        if self.url == EMBEDDED:
            if given := [key for key, field in NatsLogin.model_fields.items() if getattr(self, key) != field.default]:
                raise ValueError(f"{given[0]}: the embedded server takes no login; set url to a server's address")
            if self.stream_replicas > 1:
                raise ValueError("stream_replicas: the embedded server is one; set url to a cluster's address")
        return self


@dataclass(frozen=True, slots=True)
class ClickHouseAddress:
    """Where ClickHouse is and who connects: all that a connection needs, made once from the settings and passed on whole.

    Attributes:
        url: ``http://`` or ``https://`` address. ``?server_host_name=NAME`` says which name the certificate bears where the
            address is that of a tunnel.
    """

    url: str
    user: str = "default"
    password: str = dataclasses.field(default="", repr=False)
    tls: TlsFiles = _NO_FILES

    def at(self, url: str) -> ClickHouseAddress:
        """The same login at another address."""
        return dataclasses.replace(self, url=url)

    @property
    def secure(self) -> bool:
        """Whether the connection is a TLS one."""
        return self.url.startswith("https:")


class ClickHouseSettings(Section):
    """The database."""

    url: Annotated[str, AfterValidator(_check_clickhouse)] = EMBEDDED
    """"embedded", or the HTTP address of a ClickHouse server."""
    database: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = "qraft"
    """Database that holds Qraft's tables; made when it is missing."""
    user: str = "default"
    """User name."""
    password_env: str = ""
    """Name of the environment variable that holds the password."""
    ca_file: str = ""
    """File of the certificates to trust with https://; empty trusts the system's."""
    cert_file: str = ""
    """File of the client's own certificate, where the server asks for one."""
    key_file: str = ""
    """File of the key of cert_file; empty where that file holds it."""
    verify: bool = True
    """Whether the server's certificate is checked; without that, whoever sits between reads and changes everything."""

    def address(self, url: str = "", environment: Mapping[str, str] = os.environ) -> ClickHouseAddress:
        """What a connection needs, to ``url`` where that is given (an embedded server, a tunnel), else to the server here.

        Raises:
            LoginError: the password's variable is not set.
        """
        return ClickHouseAddress(
            url=url or ("" if self.url == EMBEDDED else self.url),
            user=self.user,
            password=secret("clickhouse.password_env", self.password_env, environment),
            tls=TlsFiles("clickhouse.", self.ca_file, self.cert_file, self.key_file, self.verify),
        )

    def anchored(self, folder: Path) -> Self:
        """These settings with the paths of files made to start at ``folder``."""
        return anchor(self, folder, ("ca_file", "cert_file", "key_file"))

    @model_validator(mode="after")
    def _for_https(self) -> Self:
        given = [key for key in ("ca_file", "cert_file", "key_file") if getattr(self, key)]
        if not self.verify:
            given.append("verify")
        if given and not self.url.startswith("https:"):
            raise ValueError(f"{given[0]}: is for https:// only; set url to such an address")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs cert_file")
        return self
