"""Chromium without a window, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium")

# The page keeps its terminal to itself; it is caught where its script stores it.
CATCH_TERMINAL = """
Object.defineProperty(Object.prototype, "terminal", {configurable: true, set(value) {
  window.caughtTerminal = value;
  Object.defineProperty(this, "terminal", {value, writable: true, configurable: true, enumerable: true});
}});
"""
READ_TERMINAL = """
(() => {
  const terminal = window.caughtTerminal;
  if (!terminal) return "";
  const lines = Array.from({length: terminal.rows}, (_, i) => terminal.buffer.active.getLine(i));
  return lines.map(line => line ? line.translateToString(true) : "").join("\\n");
})()
"""


class Tab:
    """One page, and what happened in it: addresses asked for, what its console said."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.asked: list[str] = []
        self.complaints: list[str] = []

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command of the protocol."""
        number = next(self._numbers)
        await self._connection.send(msgspec.json.encode({"id": number, "method": method, "params": parameters}).decode())
        while True:
            message = msgspec.json.decode(await self._connection.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])
            self._note(message["method"], message["params"])

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True)
        return answer["result"].get("value")

    async def terminal(self) -> str:
        """What stands in the terminal, as text."""
        return str(await self.evaluate(READ_TERMINAL))

    async def shows(self, text: str, seconds: float = 60.0) -> None:
        """Waits until the terminal shows the text."""
        limit = time.monotonic() + seconds
        while text not in (shown := await self.terminal()):
            assert time.monotonic() < limit, (shown, self.complaints)
            await asyncio.sleep(0.1)

    async def holds(self, expression: str, seconds: float = 10.0) -> None:
        """Waits until an expression is true."""
        limit = time.monotonic() + seconds
        while not await self.evaluate(expression):
            assert time.monotonic() < limit, (expression, self.complaints)
            await asyncio.sleep(0.1)

    async def press(self, letter: str) -> None:
        await self.call("Input.dispatchKeyEvent", type="char", text=letter)

    async def screenshot(self, file: Path) -> None:
        """Writes what the page looks like, as PNG."""
        picture = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(file.write_bytes, base64.b64decode(picture["data"]))

    async def colours(self) -> int:
        """How many different colours stand on the screen, on every third pixel."""
        picture = await self.call("Page.captureScreenshot", format="png")
        counted = """new Promise(done => {
            const image = new Image();
            image.onload = () => {
                const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext("2d");
                pen.drawImage(image, 0, 0);
                const bytes = pen.getImageData(0, 0, image.width, image.height).data;
                const seen = new Set(), data = new Uint32Array(bytes.buffer);
                for (let i = 0; i < data.length; i += 3) seen.add(data[i]);
                done(seen.size);
            };
            image.src = "data:image/png;base64,%s";
        })"""
        answer = await self.call(
            "Runtime.evaluate", expression=counted % picture["data"], awaitPromise=True, returnByValue=True
        )
        return int(answer["result"]["value"])

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.asked.append(parameters["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.asked.append(parameters["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(parameters["entry"]["text"])


@contextlib.asynccontextmanager
async def browser(folder: Path, *flags: str) -> AsyncIterator[Tab]:
    """A Chromium of its own with one page; ended with the block.

    Args:
        folder: where its profile goes.
        flags: further switches of Chromium.
    """
    process = await asyncio.to_thread(_start, folder, flags)
    try:
        async with connect(await _page_of(folder / "log"), max_size=None) as connection:
            tab = Tab(connection)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await tab.call(f"{domain}.enable")
            await tab.call("Page.addScriptToEvaluateOnNewDocument", source=CATCH_TERMINAL)
            yield tab
    finally:
        await asyncio.to_thread(_end, process)


def _start(folder: Path, flags: tuple[str, ...]) -> subprocess.Popen[bytes]:
    assert CHROMIUM is not None
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [
                CHROMIUM,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--remote-debugging-port=0",
                "--window-size=1280,800",
                f"--user-data-dir={folder}",
                *flags,
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _page_of(log: Path) -> str:
    limit = time.monotonic() + 30
    while not (found := re.search(r"DevTools listening on ws://([^/]+)/", said := await asyncio.to_thread(log.read_text))):
        assert time.monotonic() < limit, said
        await asyncio.sleep(0.05)
    async with httpx.AsyncClient() as client:
        targets = (await client.get(f"http://{found[1]}/json")).json()
    return str(next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page"))
