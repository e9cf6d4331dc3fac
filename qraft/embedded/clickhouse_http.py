"""ClickHouse's HTTP interface as an ASGI application over the embedded engine.

After https://clickhouse.com/docs/interfaces/http: query in the URL or the body, settings and ``param_*`` as URL parameters,
``database``, ``default_format``, compressed bodies, errors as text with ``X-ClickHouse-Exception-Code``. Sessions, external
tables and ClickHouse's own block compression (``compress=1``) are not offered.
"""

from __future__ import annotations

import asyncio
import email.parser
import email.policy
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from qraft.embedded import clickhouse_codec as codec
from qraft.embedded.clickhouse_engine import Engine, EngineError, Statement
from qraft.embedded.clickhouse_sql import output_format, reads, streams, waits_for_drop

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_LOGIN: Final = frozenset({"user", "password", "quota_key", "role"})
_SESSION: Final = frozenset({"session_id", "session_timeout", "session_check", "close_session"})
_TRANSPORT: Final = frozenset(
    {"buffer_size", "wait_end_of_query", "client_protocol_version", "compress", "decompress", "stacktrace"}
)
_NOT_SETTINGS: Final = frozenset({"query", "database", "default_format", "query_id"}) | _LOGIN | _SESSION | _TRANSPORT
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_CONTENT_TYPES: Final = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "Native": "application/octet-stream",
}
_BAD_REQUEST: Final = frozenset({6, 25, 26, 27, 36, 38, 41, 42, 43, 53, 62, 69, 70, 72, 117, 130, 321, 456, 457})
_NOT_FOUND: Final = frozenset({46, 47, 50, 56, 60, 63, 73, 81, 115})
_UNPRINTABLE: Final = re.compile(r"[^\x21-\x7e]")
_QUERY_THREADS: Final = 32
_CANCEL_SECONDS: Final = 0.5


class RefusedError(Exception):
    """A request that is refused before the engine sees it."""

    def __init__(self, status: int, code: int, name: str, reason: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {reason}. ({name})")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is understood: what to run, and how to answer."""

    statement: Statement
    encoding: str
    buffered: bool


class App:
    """The ASGI application.

    Args:
        engine: runs the statements.
        name: what the server calls itself in ``X-ClickHouse-Server-Display-Name``.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(_QUERY_THREADS, thread_name_prefix="query")
        self._common: Headers = [
            (b"x-clickhouse-server-display-name", name.encode()),
            (b"x-clickhouse-timezone", b"UTC"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            _refuse_strangers(headers)
            if scope["path"] in {"/ping", "/replicas_status"} or (
                scope["path"] == "/" and not scope["query_string"] and scope["method"] == "GET"
            ):
                return await self._plain(send, 200, b"Ok.\n")
            body = await _body(receive)
            if body is None:
                return None
            request = await self._in_thread(_understand, scope, headers, body)
        except RefusedError as refused:
            return await self._error(send, refused.status, refused.code, str(refused), "")
        try:
            await self._answer(request, receive, send)
        except EngineError as error:
            await self._error(
                send, _status(error.code), error.code, f"{error} (version {self._engine.version})", request.statement.id
            )

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        statement = request.statement
        gone = asyncio.ensure_future(self._cancel_when_gone(statement, receive))
        try:
            if not request.buffered and streams(statement.text, output_format(statement.text, statement.format)):
                await self._stream(request, send)
            else:
                await self._whole(request, send)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    async def _whole(self, request: Request, send: Send) -> None:
        answer = await self._in_thread(self._engine.execute, request.statement)
        encoding = request.encoding if answer.body else ""
        body = await self._in_thread(codec.compress, answer.body, encoding)
        headers = self._headers(request.statement.id, answer.format, encoding)
        headers.append((b"x-clickhouse-summary", json.dumps(answer.summary).encode()))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, request: Request, send: Send) -> None:
        tag = uuid.uuid4().hex[:16]
        encoder = codec.encoder(request.encoding)
        blocks = self._engine.stream(request.statement)
        try:
            block = await self._in_thread(_next, blocks)
            output = output_format(request.statement.text, request.statement.format)
            headers = [
                *self._headers(request.statement.id, output, request.encoding),
                (b"x-clickhouse-exception-tag", tag.encode()),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            try:
                while block is not None:
                    body = await self._in_thread(encoder.add, block)
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                    block = await self._in_thread(_next, blocks)
            except EngineError as error:
                said = _exception_block(f"{error} (version {self._engine.version})", tag)
                await send({"type": "http.response.body", "body": encoder.add(said), "more_body": True})
            await send({"type": "http.response.body", "body": encoder.finish()})
        finally:
            await self._in_thread(blocks.close)  # type: ignore[attr-defined]  # a generator, declared as what callers use

    async def _cancel_when_gone(self, statement: Statement, receive: Receive) -> None:
        """Ends a query whose client went; what writes goes on. Not in the threads of the queries, which may all be busy."""
        while (await receive())["type"] != "http.disconnect":
            pass
        while reads(statement.text):
            await asyncio.to_thread(self._engine.cancel, statement.id)
            await asyncio.sleep(_CANCEL_SECONDS)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def _headers(self, statement_id: str, output: str, encoding: str) -> Headers:
        headers = [*self._common, (b"x-clickhouse-query-id", statement_id.encode())]
        content = _CONTENT_TYPES.get(output, "text/plain; charset=UTF-8")
        headers.append((b"content-type", content.encode()))
        if output:
            headers.append((b"x-clickhouse-format", output.encode()))
        if encoding:
            headers.append((b"content-encoding", encoding.encode()))
        return headers

    async def _plain(self, send: Send, status: int, body: bytes, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        headers = [
            *self._common,
            (b"content-type", b"text/plain; charset=UTF-8"),
            (b"content-length", str(len(body)).encode()),
            *more,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _error(self, send: Send, status: int, code: int, text: str, statement_id: str) -> None:
        more = [
            (b"x-clickhouse-exception-code", str(code).encode()),
            (b"x-clickhouse-query-id", statement_id.encode()),
        ]
        await self._plain(send, status, text.encode() + b"\n", more)


def _refuse_strangers(headers: Mapping[str, str]) -> None:
    """Refuses what a web page in the user's browser sends here: the engine can read and write local files."""
    for header, address in (
        ("host", f"//{headers.get('host', 'localhost')}"),
        ("origin", headers.get("origin", "//localhost")),
    ):
        if urlsplit(address).hostname not in _LOCAL:
            raise RefusedError(
                403, 497, "ACCESS_DENIED", f"The embedded server answers only to this machine, not to {header} {address}"
            )


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when the client went before it was sent, so that half a statement never runs."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _understand(scope: Scope, headers: Mapping[str, str], body: bytes) -> Request:
    # parse_qsl of bytes fails on anything beyond ASCII; Latin-1 keeps each byte as it is.
    decoded = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in decoded]
    try:
        body = codec.decompress(body, headers.get("content-encoding", "").lower())
    except codec.EncodingError as error:
        raise RefusedError(400, 117, "INCORRECT_DATA", str(error)) from None
    if headers.get("content-type", "").startswith("multipart/form-data"):
        pairs += _form(headers["content-type"], body)
        body = b""
    given = {name.decode(): value for name, value in pairs}
    text = {name: value.decode(errors="replace") for name, value in given.items()}
    if text.get("compress") == "1" or text.get("decompress") == "1":
        raise RefusedError(501, 48, "NOT_IMPLEMENTED", "ClickHouse block compression is not offered; use Content-Encoding")
    query = given.get("query", b"")
    statement = query + b"\n" + body if query and body else query or body
    if not statement.strip():
        raise RefusedError(400, 62, "SYNTAX_ERROR", "Empty query")
    if waits_for_drop(statement):
        raise RefusedError(501, 48, "NOT_IMPLEMENTED", "The embedded engine removes dropped data later; leave SYNC out")
    settings = {name: value for name, value in text.items() if name not in _NOT_SETTINGS and not name.startswith("param_")}
    if scope["method"] in {"GET", "HEAD"}:
        settings.setdefault("readonly", "2")
    compresses = settings.get("enable_http_compression", "1") == "1"
    return Request(
        Statement(
            text=statement,
            id=_UNPRINTABLE.sub("?", text.get("query_id", "")) or str(uuid.uuid4()),
            database=text.get("database") or headers.get("x-clickhouse-database", ""),
            format=text.get("default_format") or headers.get("x-clickhouse-format", "") or "TabSeparated",
            settings=settings,
            params={name[6:]: value for name, value in text.items() if name.startswith("param_")},
        ),
        encoding=codec.choose(headers.get("accept-encoding", "")) if compresses else "",
        buffered=text.get("wait_end_of_query") == "1",
    )


def _form(content_type: str, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The fields of a multipart form."""
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        f"Content-Type: {content_type}\r\n\r\n".encode() + body
    )
    for part in form.walk():
        if part.is_multipart():
            continue
        if part.get_filename():
            raise RefusedError(501, 48, "NOT_IMPLEMENTED", "External tables are not offered")
        value = part.get_payload(decode=True)
        yield str(part.get_param("name", header="content-disposition")).encode(), value if isinstance(value, bytes) else b""


def _next(blocks: Iterator[bytes]) -> bytes | None:
    return next(blocks, None)


def _exception_block(message: str, tag: str) -> bytes:
    """An error after the answer has begun, in the form ClickHouse gives it since 25.11."""
    body = message.encode() + b"\n"
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (tag.encode(), body, len(body), tag.encode())


def _status(code: int) -> int:
    return 400 if code in _BAD_REQUEST else 404 if code in _NOT_FOUND else 501 if code == 48 else 500
