"""The HTTP server: every request passes the rules of `Access`; every websocket is one `Session`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlencode

from aiohttp import WSCloseCode, WSMsgType, web
from textual_serve.server import Server as Library

from qraft.web.access import Access, Refusal
from qraft.web.errors import WebError
from qraft.web.page import HEADERS, SCRIPT, forward_page, refusal_page, terminal_page
from qraft.web.session import Session

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
LARGEST_MESSAGE = 1024 * 1024
WIDTHS, HEIGHTS = (20, 500), (5, 200)
LEAVE_FULL_SCREEN = "\x1b[?1049l\x1b[2J\x1b[H\x1b[?25l"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer:
    """Serves a terminal program to browsers.

    Args:
        command: the program, run once a tab.
        access: who may open it.
        limit: most tabs at once.
    """

    def __init__(self, command: Sequence[str], access: Access, *, limit: int) -> None:
        self._command = tuple(command)
        self._access = access
        self._limit = limit
        self._library = Library(" ".join(command), title="Qraft")
        self._open: set[Session] = set()
        self._ending: set[Session] = set()

    def application(self) -> web.Application:
        """The routes, behind the rules."""
        app = web.Application(middlewares=[self._guard])
        app.on_response_prepare.append(_add_headers)
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/qraft.js", self._script),
                web.get("/ws", self._websocket),
                web.get("/download/{key}", self._library.handle_download),
                web.static("/static", self._library.statics_path),
            ]
        )
        return app

    async def run(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Serves until ``stop`` is set; ends every session before it returns."""
        runner = web.AppRunner(self.application(), handle_signals=False, access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            await stop.wait()
        finally:
            await asyncio.gather(*(session.stop() for session in self._open | self._ending))
            await runner.cleanup()

    # --- rules

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._access.refuses_address(request.headers, websocket=request.path == "/ws")
        if refusal is None and request.path == "/" and self._access.knows(request.query.get("token", "")):
            return self._let_in(request)
        refusal = refusal or self._access.refuses_token(request.cookies.get(self._access.cookie, ""))
        return await handler(request) if refusal is None else _refused(refusal)

    def _let_in(self, request: web.Request) -> web.Response:
        rest = urlencode([(key, value) for key, value in request.query.items() if key != "token"])
        answer = web.Response(text=forward_page(f"/?{rest}" if rest else "/"), content_type="text/html")
        access = self._access
        answer.set_cookie(
            access.cookie, access.cookie_value, httponly=True, samesite="Strict", secure=access.secure, path="/"
        )
        return answer

    # --- routes

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=terminal_page(request.query.get("fontsize")), content_type="text/html")

    async def _script(self, _: web.Request) -> web.Response:
        return web.Response(text=SCRIPT, content_type="text/javascript")

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket_ = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=LARGEST_MESSAGE, timeout=2.0)
        await socket_.prepare(request)
        if len(self._open) >= self._limit:
            text = (
                f"{self._limit} terminals are open, which is the most this server allows (--sessions).\r\nClose one first."
            )
            await _say(socket_, text)
            await socket_.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return socket_
        session = Session(
            self._command,
            write_bytes=lambda data: _unless_gone(socket_.send_bytes(data)),
            write_str=lambda text: _unless_gone(socket_.send_str(text)),
            downloads=self._library.download_manager,
        )
        self._open.add(session)
        reporter = None
        try:
            width, height = (_within(request.query.get(name), *bounds) for name, bounds in SIZES.items())
            await session.start(width, height)
            reporter = asyncio.create_task(_close_at_end(session, socket_))
            await _take_input(session, socket_)
        finally:
            self._open.discard(session)
            self._ending.add(session)
            try:
                await session.stop()
                if reporter is not None:
                    await reporter
            finally:
                self._ending.discard(session)
        return socket_


SIZES = {"width": WIDTHS, "height": HEIGHTS}


async def _take_input(session: Session, websocket: web.WebSocketResponse) -> None:
    """Takes what the page says to the process, until the tab is closed. What is no message of the page is passed over."""
    async for message in websocket:
        if message.type != WSMsgType.TEXT:
            continue
        match _parsed(message.data):
            case ["stdin", str(keys)]:
                # Half a character is no key; and Textual's parser takes an empty packet for the end of all input.
                if data := keys.encode("utf-8", "ignore"):
                    await session.send_bytes(data)
            case ["resize", {"width": int(width), "height": int(height)}]:
                await session.set_terminal_size(_within(width, *WIDTHS), _within(height, *HEIGHTS))
            case ["ping", sent]:
                await _unless_gone(websocket.send_json(["pong", sent]))
            case ["focus"]:
                await session.focus()
            case ["blur"]:
                await session.blur()


async def _close_at_end(session: Session, websocket: web.WebSocketResponse) -> None:
    """Closes the tab's connection when the process has ended, with what it had to say."""
    await session.ended.wait()
    if session.errors:
        await _say(websocket, session.errors)
        if session.status:
            log.warning("a terminal ended with status %s: %s", session.status, session.errors)
    await websocket.close()


async def _say(websocket: web.WebSocketResponse, text: str) -> None:
    shown = "".join(letter if letter.isprintable() else "\r\n" if letter == "\n" else "" for letter in text)
    await _unless_gone(websocket.send_bytes((LEAVE_FULL_SCREEN + shown).encode("utf-8", "replace")))


async def _unless_gone(sending: Awaitable[None]) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):  # closed meanwhile; whoever reads the websocket notices
        await sending


async def _add_headers(_: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.update(HEADERS)
    answer.headers.setdefault("Cache-Control", "no-store")


def _refused(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, text=refusal_page(refusal.reason), content_type="text/html")


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _within(value: str | int | None, least: int, most: int) -> int:
    try:
        return max(least, min(most, int(value or 0)))
    except ValueError:
        return least


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        WebError: the address cannot be had.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise WebError(
            f"{host}:{port} cannot be had: {error.strerror or os.strerror(error.errno or 0)}; "
            "choose another with --host or --port"
        ) from None


async def serve_until_told(server: WebServer, listener: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    await server.run(listener, stop)
