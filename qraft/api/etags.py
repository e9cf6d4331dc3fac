"""Entity tags (RFC 9110, section 8.8.3): who has an answer already is told so, without the answer."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CACHING: Final = "private, no-cache"
"""It may be kept by who asked, and is asked for again each time."""

_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_OF_CONTENT: Final = ("content-type", "content-length", "content-encoding", "content-language", "link")


class EntityTags:
    """Gives every JSON answer to GET a tag of its bytes, and answers 304 where the request names it.

    Other answers, such as streams of events, pass as they are, piece by piece.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Goes on, and holds back a JSON answer until its tag is known."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = bytearray()

        async def tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_taggable(message):
                start = message
                return
            if start is None:
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                for part in _answer(start, bytes(body), Headers(scope=scope).getlist("if-none-match")):
                    await send(part)

        await self._app(scope, receive, tagged)


def matches(asked: list[str], tag: str) -> bool:
    """Whether an If-None-Match, which may stand in several fields, names a tag; compared weakly, as it must be."""
    fields = ", ".join(asked)
    return fields.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(fields)


def _is_taggable(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "").partition(";")[0]
    return start["status"] == 200 and kind == "application/json"


def _answer(start: Message, body: bytes, asked: list[str]) -> tuple[Message, Message]:
    headers = MutableHeaders(raw=start["headers"])
    tag = headers.setdefault("ETag", f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"')
    headers.setdefault("Cache-Control", CACHING)
    if not matches(asked, tag):
        return {**start, "headers": headers.raw}, {"type": "http.response.body", "body": body}
    for name in _OF_CONTENT:
        del headers[name]
    return {**start, "status": 304, "headers": headers.raw}, {"type": "http.response.body", "body": b""}


def describe(schema: dict[str, Any]) -> None:
    """Adds the tag, and the answer without content, to the operations of an OpenAPI document that have them."""
    for operations in schema["paths"].values():
        responses = operations.get("get", {}).get("responses", {})
        found = responses.get("200", {})
        if "application/json" in found.get("content", {}):
            found.setdefault("headers", {})["ETag"] = {
                "description": "Names this answer; send it back as If-None-Match.",
                "schema": {"type": "string"},
            }
            responses["304"] = {"description": "The answer is the one that If-None-Match names."}
