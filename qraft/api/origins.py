"""Under which address the server is asked, and which site asks.

Two attacks reach even a server on loopback through the browser of someone on this machine. A foreign site may rebind its
name to 127.0.0.1 (DNS rebinding); its requests carry that name in ``Host``. And its pages may send requests to 127.0.0.1
themselves (cross-site request forgery); all but simple readings carry that site in ``Origin`` (Fetch standard).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from qraft.api import problems
from qraft.config.api import is_loopback, is_wildcard

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Addresses:
    """What one server answers to.

    Attributes:
        host: the address it listens on.
        names: further names; "*" is any.
        origins: origins of other sites whose pages may ask.
    """

    host: str = "127.0.0.1"
    names: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    def answers_to(self, asked: str) -> bool:
        """Whether a Host header names this server."""
        found = _HOST.fullmatch(asked)
        if found is None:
            return False
        name = found[1].lower().rstrip(".")
        if "*" in self.names or name in self.names:
            return True
        bare = name.strip("[]")
        # A rebound name is a name: who asks for an address itself was not led astray by one.
        return is_loopback(bare) or bare == self.host.lower() or (is_wildcard(self.host) and _is_address(bare))

    def lets(self, origin: str, asked: str) -> bool:
        """Whether pages of ``origin`` may ask: those of named sites, and the server's own (a proxy may add TLS)."""
        return origin in self.origins or origin in (f"http://{asked}", f"https://{asked}")


LOOPBACK: Final = Addresses()
"""A server on loopback, and no other site."""


class AddressCheck:
    """Refuses what was asked under a name that is not the server's, or by a page of a site that may not ask."""

    def __init__(self, app: ASGIApp, addresses: Addresses) -> None:
        self._app, self._addresses = app, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 400 or 403, or goes on."""
        refused = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        if refused is not None:
            await problems.refuse(refused, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> HTTPException | None:
        asked, origin = headers.get("host", "").lower(), headers.get("origin", "").lower()
        if not self._addresses.answers_to(asked):
            return HTTPException(400, "this server does not answer to that host name; name it in api.hosts if it should")
        if origin and not self._addresses.lets(origin, asked):
            return HTTPException(403, "pages of that origin may not ask; name it in api.cors_origins if they should")
        return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
