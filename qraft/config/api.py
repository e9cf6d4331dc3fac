"""Settings of what listens: the REST server and the engine's Prometheus endpoint."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from qraft.config.base import Port, Section, Size

OPEN_NAME = r"^(\*|[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])$"
ORIGIN = r"^https?://[A-Za-z0-9.\[\]:_-]+$"


class ApiSettings(Section):
    """The REST server."""

    host: str = "127.0.0.1"
    """Address to listen on; any but loopback needs auth = "tokens"."""
    port: Port = 0
    """Port to listen on; 0 takes a free one and writes it to run.json."""
    auth: Literal["off", "tokens"] = "off"
    """Who may ask: "off" is everyone on this machine, "tokens" those with a token of `qraft tokens`."""
    tokens_file: str = ""
    """File of the tokens; empty is tokens.toml in the data directory."""
    open_metrics: bool = False
    """Whether /metrics needs no token, for networks that only Prometheus reaches; it shows counts, no data."""
    hosts: list[Annotated[str, Field(pattern=OPEN_NAME)]] = []
    """Names, beside the address itself, under which it is asked, without port; "*" is any."""
    tls_cert_file: str = ""
    """File of the certificate and its chain, in PEM; with it the server speaks HTTPS only."""
    tls_key_file: str = ""
    """File of the certificate's private key, in PEM."""
    trusted_proxies: list[str] = []
    """Addresses or networks of proxies whose X-Forwarded-For is believed."""
    cors_origins: list[Annotated[str, Field(pattern=ORIGIN)]] = []
    """Origins whose pages may ask from a browser, such as "https://ops.example"."""
    rate_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 1200
    """Most requests a minute of one token, or of one address without tokens; 0 is no limit."""
    max_body: Size = 4 * 1024**2
    """Size of the largest body that is taken."""

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            raise ValueError("tls_cert_file and tls_key_file go together")
        if self.auth == "off" and not is_loopback(self.host):
            raise ValueError(f'host {self.host} can be reached from other machines; set auth = "tokens" with it')
        if self.auth == "off" and "*" in self.hosts:
            raise ValueError('hosts = ["*"] would let any web page in by a name of its own; set auth = "tokens" with it')
        return self

    def anchored(self, folder: Path) -> Self:
        """The same with relative paths made to start at ``folder``."""
        named = {key: getattr(self, key) for key in ("tokens_file", "tls_cert_file", "tls_key_file")}
        return self.model_copy(update={key: str(folder / Path(value).expanduser()) for key, value in named.items() if value})

    def url(self, port: int) -> str:
        """Where this machine reaches a server that listens on ``port``."""
        host = self.host
        if is_wildcard(host):
            host = "::1" if ":" in host else "127.0.0.1"
        return f"{'https' if self.tls_cert_file else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


class MetricsSettings(Section):
    """The engine's Prometheus endpoint."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 0
    """Port to listen on; 0 takes a free one and writes it to run.json."""


def is_loopback(host: str) -> bool:
    """Whether ``host`` is "localhost" or an address of this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Whether ``host`` stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
