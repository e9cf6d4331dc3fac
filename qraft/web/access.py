"""Who may open the interface: the address it is asked under, the site that asks, the token.

Two attacks reach even a server on loopback through the operator's own browser. A foreign site may rebind its name to
127.0.0.1 (DNS rebinding); its requests carry that name in ``Host``. And it may open a websocket to 127.0.0.1, which browsers
allow across sites (RFC 6455, section 10.2); such a handshake carries that site in ``Origin``.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from qraft.web.errors import WebError

SHORTEST_TOKEN = 16
"""Characters; shorter ones can be guessed over the network."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused: HTTP status, and a sentence that says what to do."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server.

    Attributes:
        host: the address it listens on.
        token: what a browser must show; empty lets everyone on this machine in.
        public_url: the origin under which a proxy shows it, such as "https://ops.example"; empty for none.
        port: the port it listens on; cookies know no ports, so it stands in the cookie's name.
    """

    host: str
    token: str = ""
    public_url: str = ""
    port: int = 0

    @property
    def cookie(self) -> str:
        """Name of the cookie that stands for the token."""
        return f"qraft-web-{self.port}"

    @property
    def cookie_value(self) -> str:
        """What the cookie holds: not the token itself, which may be in use elsewhere."""
        return hmac.new(self.token.encode(), b"qraft web cookie", hashlib.sha256).hexdigest()

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over TLS alone."""
        return self.public_url.startswith("https:")

    def refuses_address(self, headers: Mapping[str, str], *, websocket: bool) -> Refusal | None:
        """What is wrong with the address asked or the site that asks.

        Args:
            headers: the request's, with names in any case.
            websocket: whether it is a handshake; a browser always says there which site asks.
        """
        asked = headers.get("Host", "")
        found = _HOST.fullmatch(asked)
        if found is None or not self._answers_to(found[1].strip("[]").lower().rstrip(".")):
            return Refusal(
                403,
                "This server does not answer to the address that was asked. Use the address that `qraft web` printed, "
                "or start it with --public-url and this one.",
            )
        origin = headers.get("Origin")
        if (origin is None and not websocket) or (origin is not None and self._same_site(origin.lower(), asked.lower())):
            return None
        return Refusal(403, "Another site asked for this. Open the address that `qraft web` printed.")

    def refuses_token(self, cookie: str) -> Refusal | None:
        """What is wrong with the cookie shown."""
        if not self.token or hmac.compare_digest(cookie.encode(), self.cookie_value.encode()):
            return None
        return Refusal(
            401,
            "This terminal needs a token. Open the address that `qraft web` printed when it started, which ends in "
            "/?token=..., or put the token of its token file or of QRAFT_WEB_TOKEN there.",
        )

    def knows(self, token: str) -> bool:
        """Whether this is the token."""
        return bool(self.token) and hmac.compare_digest(token.encode(), self.token.encode())

    def _answers_to(self, name: str) -> bool:
        public = urlsplit(self.public_url).hostname if self.public_url else None
        if name == public or name == self.host.lower() or is_loopback(name):
            return True
        # A rebound name is a name: whoever asks for an address itself cannot have been led astray by one.
        return is_wildcard(self.host) and (_is_address(name) or name in _own_names())

    def _same_site(self, origin: str, asked: str) -> bool:
        return origin in (self.public_url.lower() or None, f"http://{asked}", f"https://{asked}")


def checked_public_url(url: str) -> str:
    """The origin of ``--public-url``, without a slash at its end.

    Raises:
        WebError: it is not an origin.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.username is not None:
        raise WebError(f"--public-url: {url} is no address such as https://ops.example")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise WebError(f"--public-url: {url} has a path; the terminal needs a host (or a port) of its own")
    return f"{parts.scheme}://{parts.netloc}".lower()


def checked_token(token: str, where: str) -> str:
    """A token that was given.

    Raises:
        WebError: it is too short, or holds what an address cannot carry.
    """
    if len(token) < SHORTEST_TOKEN:
        raise WebError(
            f"{where}: the token has fewer than {SHORTEST_TOKEN} characters; `openssl rand -hex 24` makes a good one"
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise WebError(f"{where}: the token may hold printable ASCII characters only, and no space")
    return token


def needs_token(host: str, public_url: str) -> bool:
    """Whether others than the people on this machine can reach the server."""
    shown = urlsplit(public_url).hostname if public_url else None
    return not is_loopback(host) or (shown is not None and not is_loopback(shown))


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


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0]}
