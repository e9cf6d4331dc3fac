"""Finds the caller of each request by its token."""

from __future__ import annotations

from typing import Final, Literal

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qraft.api.access import EVERYONE, Caller, note
from qraft.api.limits import Rate, address
from qraft.api.meters import ApiMeters, Refusal
from qraft.api.tokens import TokenBook, TokenError, find, utc_now

FAILURES_PER_MINUTE: Final = 20
"""Tokens an address may get wrong in a minute before it is told to wait. Valid ones are taken all the while: others may
share the address."""


class Authentication:
    """Finds the caller of each request, or why it is nobody; the routes decide what that opens."""

    def __init__(self, app: ASGIApp, book: TokenBook | None, meters: ApiMeters) -> None:
        self._app, self._book, self._meters = app, book, meters
        self._failures = Rate(FAILURES_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Notes the caller in the request's state and goes on; an answer without end ends once the token does."""
        if scope["type"] != "http" or self._book is None:
            if scope["type"] == "http":
                note(scope, EVERYONE)
            await self._app(scope, receive, send)
            return
        scheme, _, text = Headers(scope=scope).get("authorization", "").partition(" ")
        shown = text.strip() if scheme.lower() == "bearer" else ""
        found = await self._find(self._book, shown, scope) if scheme else None
        note(scope, found)
        await self._app(scope, receive, _while_valid(self._book, shown, send) if isinstance(found, Caller) else send)

    async def _find(self, book: TokenBook, text: str, scope: Scope) -> Caller | HTTPException:
        try:
            found = _valid(book, text)
        except TokenError:
            return HTTPException(503, "tokens cannot be checked now; the server's log says why")
        if found == "unknown":
            return await self._refused(scope, "unknown", "this token is not known; `qraft tokens list` shows those that are")
        if found == "expired":
            return await self._refused(scope, "expired", "this token has expired; `qraft tokens add` makes another")
        return found

    async def _refused(self, scope: Scope, reason: Refusal, detail: str) -> HTTPException:
        self._meters.refused(reason)
        window = await self._failures.take(address(scope))
        if not window.allowed:
            self._meters.rate_limited.inc()
            return window.refusal(f"too many tokens were wrong; try again in {window.seconds} s")
        return HTTPException(401, detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _valid(book: TokenBook, text: str) -> Caller | Literal["unknown", "expired"]:
    """Whose token this is, or why it is nobody's now; TokenError while that cannot be known."""
    tokens = book.tokens()
    name = find(tokens, text)
    if name is None:
        return "unknown"
    return "expired" if tokens[name].expired(utc_now()) else Caller(name, tokens[name].role)


def _while_valid(book: TokenBook, text: str, send: Send) -> Send:
    """``send``, which ends an answer that goes on at its first part after the token is gone."""
    over = False

    async def sent(message: Message) -> None:
        nonlocal over
        if over:
            return
        if message.get("more_body"):
            try:
                over = not isinstance(_valid(book, text), Caller)
            except TokenError:
                over = True
        await send({"type": "http.response.body", "body": b"", "more_body": False} if over else message)

    return sent
