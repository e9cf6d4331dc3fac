"""How much is taken: requests a minute of each caller, and bytes of a body."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qraft.api import problems
from qraft.api.access import caller, caller_name
from qraft.api.meters import ApiMeters

UNLIMITED: Final = frozenset({"/healthz", "/readyz"})
"""Paths that are never refused for their rate: what watches the server must not take it for dead."""


@dataclass(frozen=True, slots=True)
class Window:
    """One caller's standing in the minute that runs.

    Attributes:
        allowed: whether the request that was just counted fits.
        limit: requests a minute.
        remaining: how many are left.
        seconds: until the next window, rounded up.
    """

    allowed: bool
    limit: int
    remaining: int
    seconds: int

    def headers(self) -> dict[str, str]:
        """The standing as header fields (draft-ietf-httpapi-ratelimit-headers, version 10)."""
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w=60',
            "RateLimit": f'"minute";r={self.remaining};t={self.seconds}',
        }

    def refusal(self, detail: str) -> HTTPException:
        """The answer to a request that does not fit."""
        return HTTPException(429, detail, headers={"Retry-After": str(self.seconds), **self.headers()})


class Rate:
    """A limit for each of any number of callers, in windows of a minute that begin with a caller's first request."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def take(self, who: str) -> Window:
        """Counts one more of ``who``."""
        allowed = await self._limiter.hit(self._item, who)
        reset, remaining = await self._limiter.get_window_stats(self._item, who)
        return Window(allowed, self._item.amount, remaining, max(1, math.ceil(reset - time.time())))


class RateLimit:
    """Refuses callers that ask too often: by token, or by address where none is shown."""

    def __init__(self, app: ASGIApp, rate: Rate, meters: ApiMeters) -> None:
        self._app, self._rate, self._meters = app, rate, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 429, or goes on and says how much is left."""
        if scope["type"] != "http" or scope["path"] in UNLIMITED:
            await self._app(scope, receive, send)
            return
        name = caller_name(scope)
        window = await self._rate.take(f"token {name}" if name else f"address {address(scope)}")
        if not window.allowed:
            self._meters.rate_limited.inc()
            refused = window.refusal(f"more than {window.limit} requests a minute; ask again in {window.seconds} s")
            await problems.refuse(refused, scope, receive, send)
            return

        async def with_standing(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for key, value in window.headers().items():
                    headers.setdefault(key, value)
            await send(message)

        await self._app(scope, receive, with_standing)


class BodyLimit:
    """Refuses bodies that are too large, no JSON, or of nobody: they would be read before the route says what it needs.

    Only JSON is taken, which also keeps out the forms that a page on another site can send without being asked first
    (CORS-safelisted content types, Fetch standard).
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 401, 413 or 415, or goes on and counts what is read: a body of unstated length may still get too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except HTTPException as refusal:
            await problems.refuse(refusal, scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if length == "0" and "transfer-encoding" not in headers:
            return
        caller(scope)
        if not length.isdecimal() or int(length) > self._most:
            raise self._too_large()
        if not _is_json(headers.get("content-type", "")):
            raise HTTPException(415, _NO_JSON)

    def _counted(self, receive: Receive) -> Receive:
        taken = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> HTTPException:
        detail = f"the body has more than {self._most} bytes (api.max_body); send it in parts"
        return HTTPException(413, detail, headers={"Connection": "close"})


_NO_JSON = "only JSON is taken: send `Content-Type: application/json`, or application/x-ndjson for one object a line"


def address(scope: Scope) -> str:
    """Whose address a request came from; a whole /64 network of IPv6 counts as one, since one machine has all of it."""
    client = scope.get("client")
    host: str = client[0] if client else ""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _is_json(content_type: str) -> bool:
    kind, _, subtype = content_type.partition(";")[0].strip().lower().partition("/")
    return kind == "application" and "json" in subtype
