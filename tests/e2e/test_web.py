"""`qraft web` as a process, `qraft tui` in its tabs, a real browser and websockets in front."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.browser import CHROMIUM, browser
from tests.e2e.harness import children_of, gone, until

CONFIG = """
[nats]
url = "nats://127.0.0.1:1"
[clickhouse]
url = "http://127.0.0.1:1"
[sources.host]
adapter = "host"
"""
TOKEN = "a-token-of-the-test-0123456789"
with_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


class WebProcess:
    """`qraft web` on a free port, and the line it printed."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        config = folder / "config.toml"
        if not config.exists():
            config.write_text(CONFIG, encoding="utf-8")
        base = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "QRAFT_WEB_TOKEN", "LC_ALL", "LANG")}
        self.errors = folder / "errors"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "qraft.cli", "web", "--port", "0"),
                    *("--config", str(config), "--data-dir", str(folder / "data"), *arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**base, "LANG": "C.UTF-8", **environment},
                text=True,
            )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r"on https?://[^/ ]+:(\d+)(?:/\?token=(\S+))?", self.said)
        if found is None:
            self.end()
        assert found, self.said + self.errors.read_text()
        self.port, self.token = int(found[1]), found[2] or ""
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def children(self) -> list[int]:
        return children_of(self.process.pid)

    def ask(self, path: str = "/", **headers: str) -> httpx.Response:
        return httpx.get(self.url + path, headers=headers, timeout=10)

    def terminal(self, *, cookie: str = "", origin: str = "") -> connect:
        headers = {"Cookie": cookie} if cookie else {}
        return connect(
            f"ws://127.0.0.1:{self.port}/ws?width=100&height=30",
            origin=origin or self.url,  # type: ignore[arg-type]  # an Origin is text to websockets' type checker alone
            additional_headers=headers,
            max_size=None,
        )

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


Serve = Callable[..., WebProcess]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made: list[WebProcess] = []

    def start(*arguments: str, **environment: str) -> WebProcess:
        made.append(WebProcess(tmp_path / "web", *arguments, **environment))
        return made[-1]

    yield start
    for server in made:
        assert server.process.stdout is not None
        server.end()
        server.process.stdout.close()


async def heard(websocket: ClientConnection, text: str) -> None:
    """Reads until the terminal's output holds the text."""
    output = b""
    async with asyncio.timeout(80):
        while text.encode() not in output:
            message = await websocket.recv()
            output += message if isinstance(message, bytes) else b""


@with_chromium
async def test_the_interface_works_in_a_browser_and_ends_with_its_tab(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    assert server.said == f"serving the terminal on {server.url} (ctrl-c ends)\n"
    async with browser(tmp_path / "chromium") as tab:
        await tab.call("Page.navigate", url=server.url)
        await tab.shows("NATS does not answer at nats://127.0.0.1:1")
        await tab.shows("EPISODES")
        assert await tab.evaluate("document.title") == "Qraft"
        assert await tab.evaluate("caughtTerminal.cols") > 120
        assert await tab.colours() > 50
        await tab.screenshot(tmp_path / "live.png")
        await tab.press("?")
        await tab.shows("esc closes")
        await tab.screenshot(tmp_path / "help.png")
        await tab.call("Emulation.setDeviceMetricsOverride", width=800, height=600, deviceScaleFactor=1, mobile=False)
        await tab.holds("caughtTerminal.cols < 100")
        await tab.shows("esc closes")
        assert not tab.complaints
        own = (server.url, server.url.replace("http", "ws"), "data:")
        assert [url for url in tab.asked if not url.startswith(own)] == []
        assert any("RobotoMono" in url for url in tab.asked)
        tabs = server.children
        assert len(tabs) == 1
        await tab.call("Page.navigate", url="about:blank")
        await until(lambda: gone(tabs[0]), 10, "the tab's process has ended")
    assert server.end() == 0
    assert server.errors.read_text() == ""


@with_chromium
async def test_a_link_of_another_site_opens_it_and_an_ended_session_can_be_opened_again(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve("--host", "0.0.0.0")
    async with browser(tmp_path / "chromium", "--disable-3d-apis") as tab:
        link = f"{server.url}/?token={server.token}&fontsize=20"
        await tab.call("Page.navigate", url=f'data:text/html,<a href="{link.replace("&", "%26")}">terminal</a>')
        await tab.holds("document.querySelector('a') !== null")
        await tab.evaluate("document.querySelector('a').click()")
        await tab.shows("NATS does not answer at")
        assert await tab.evaluate("location.href") == f"{server.url}/?fontsize=20"
        assert await tab.evaluate("document.cookie") == ""
        assert await tab.evaluate("Number(caughtTerminal.options.fontSize)") == 20
        assert await tab.evaluate("document.createElement('canvas').getContext('webgl2') === null")
        assert await tab.colours() > 50
        first = server.children
        await tab.press("q")
        await tab.holds("document.getElementById('ended').offsetParent !== null")
        await until(lambda: gone(first[0]), 10, "the session's process has ended")
        await tab.screenshot(tmp_path / "ended.png")
        await tab.evaluate("window.caughtTerminal = null, document.querySelector('#ended a').click()")
        await tab.shows("NATS does not answer at")
        assert await tab.evaluate("location.search") == "?fontsize=20"


async def test_the_tab_says_why_it_cannot_open(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "config.toml").write_text('[sources.host]\nadapter = "host"\n', encoding="utf-8")
    server = serve()
    async with server.terminal() as websocket:
        await heard(websocket, "start it with `qraft up`")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(websocket.recv(), 10)
    assert "nothing is running under" in server.errors.read_text()


async def test_other_addresses_need_a_token(serve: Serve) -> None:
    server = serve("--host", "0.0.0.0")
    assert len(server.token) > 40
    for path in ("/", "/ws", "/static/js/textual.js", "/qraft.js", "/download/x", "/nothing", "/?token=wrong", "/?token="):
        answer = server.ask(path)
        assert answer.status_code == (403 if path == "/ws" else 401), path
        assert server.token not in answer.text
    assert "needs a token" in server.ask("/").text
    with pytest.raises(InvalidStatus, match="401"):
        await server.terminal()
    with pytest.raises(InvalidStatus, match="401"):
        await server.terminal(cookie=f"qraft-web-{server.port}=wrong")
    entered = server.ask(f"/?token={server.token}&fontsize=20")
    cookie = entered.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert server.token not in cookie
    assert 'url=/?fontsize=20"' in entered.text
    assert "NATS" not in server.said
    key = cookie.split(";", maxsplit=1)[0]
    for path in ("/", "/static/js/textual.js", "/qraft.js"):
        assert server.ask(path, Cookie=key).status_code == 200
    assert server.ask("/download/x", Cookie=key).status_code == 404
    async with server.terminal(cookie=key) as websocket:
        await heard(websocket, "NATS does not answer at")
    assert server.ask("/", Cookie=key, Host="192.0.2.7:8090").status_code == 200
    assert server.ask("/", Cookie=key, Host=socket.gethostname()).status_code == 200
    assert server.ask("/", Cookie=key, Host="evil.example").status_code == 403


async def test_a_token_can_be_given_and_is_not_printed(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    for server in (serve("--token-file", str(tmp_path / "token")), serve(QRAFT_WEB_TOKEN=TOKEN)):
        assert TOKEN not in server.said
        assert server.ask("/").status_code == 401
        assert server.ask(f"/?token={TOKEN}").status_code == 200
    key = server.ask(f"/?token={TOKEN}").headers["set-cookie"].split(";")[0]
    async with server.terminal(cookie=key) as websocket:
        await heard(websocket, "NATS does not answer at")
        assert TOKEN not in psutil.Process(server.children[0]).environ().values()


async def test_foreign_names_and_sites_are_refused_on_loopback_too(serve: Serve) -> None:
    server = serve()
    assert server.ask("/").status_code == 200
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "192.168.1.9", "a b", ""):
        assert server.ask("/", Host=host).status_code in (400, 403), host
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://localhost", f"{server.url}.evil.example"):
        assert server.ask("/", Origin=origin).status_code == 403, origin
        with pytest.raises(InvalidStatus, match="403"):
            await server.terminal(origin=origin)
    assert server.ask("/ws").status_code == 403
    assert server.ask("/", Host="localhost:9999", Origin="http://localhost:9999").status_code == 200  # as through a tunnel
    assert server.children == []
    headers = server.ask("/").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"].split("script-src")[1].split(";")[0]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["x-frame-options"] == "DENY"
    assert server.ask("/static/").status_code in (403, 404)
    assert server.ask("/static/..%2fserver.py").status_code in (403, 404)


async def test_behind_a_proxy_it_answers_to_the_public_name(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    public = f"https://ops.example:{port}"
    server = serve("--port", str(port), "--public-url", public, QRAFT_WEB_TOKEN=TOKEN)
    assert server.said == f"serving the terminal on {public} (ctrl-c ends)\n"
    assert server.ask("/", Host=f"ops.example:{port}").status_code == 401
    entered = server.ask(f"/?token={TOKEN}", Origin=public)
    assert entered.status_code == 200
    assert "Secure" in entered.headers["set-cookie"]


async def test_no_more_sessions_than_allowed(serve: Serve) -> None:
    server = serve("--sessions", "1")
    async with server.terminal() as first:
        await heard(first, "NATS does not answer at")
        async with server.terminal() as second:
            await heard(second, "the most this server allows")
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(second.recv(), 10)
        assert len(server.children) == 1
        await first.send('["stdin", "?"]')
        await heard(first, "esc closes")
    async with server.terminal() as third:
        await heard(third, "NATS does not answer at")


async def test_what_is_no_message_of_the_page_does_no_harm(serve: Serve) -> None:
    server = serve()
    async with server.terminal() as websocket:
        await heard(websocket, "NATS does not answer at")
        for text in (
            "",
            "{",
            "1",
            "[]",
            '["stdin"]',
            '["stdin", 5]',
            '["resize", {}]',
            '["resize", {"width": 1e9}]',
            '["\\ud800"]',
        ):
            await websocket.send(text)
        await websocket.send('["stdin", "\\ud800"]')
        await websocket.send('["resize", {"width": 100000000, "height": -5}]')
        await websocket.send('["resize", {"width": 100, "height": 30}]')
        await websocket.send(b"\x00\xff")
        await websocket.send('["ping", "7"]')
        async with asyncio.timeout(20):
            while await websocket.recv() != '["pong", "7"]':
                pass
        await websocket.send('["stdin", "?"]')
        await heard(websocket, "esc closes")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_no_session_outlives_the_server(serve: Serve, number: signal.Signals) -> None:
    server = serve()
    async with server.terminal() as first, server.terminal() as second:
        await heard(first, "NATS does not answer at")
        await heard(second, "NATS does not answer at")
        left = server.children
        assert len(left) == 2
        server.process.send_signal(number)
        assert await asyncio.to_thread(server.process.wait, 20) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
        await until(lambda: all(map(gone, left)), 10, "no process is left")


async def test_a_session_that_hangs_is_killed(serve: Serve) -> None:
    server = serve()
    async with server.terminal() as websocket:
        await heard(websocket, "NATS does not answer at")
        hanging = server.children[0]
        os.kill(hanging, signal.SIGSTOP)
    await until(lambda: gone(hanging), 20, "the process that did not answer is gone")
