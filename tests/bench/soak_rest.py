"""The soak's REST feeds: a real HTTP server whose records are asked for by `since`, with faults."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from tests.bench.soak_feeds import Feed


class RestFeed(Feed):
    """Records that stay on the server; a broken answer is one dead letter, and its records come with the next."""

    def __init__(self, name: str, rate: float, seed: int, ending: str) -> None:
        super().__init__(name, rate, seed)
        self._ending = ending
        self._records: list[dict[str, Any]] = []
        self._url = ""
        self._next_answers: list[str] = []

    def settings(self) -> dict[str, Any]:
        return {
            "adapter": "rest",
            "url": self._url,
            "interval_seconds": 0.5,
            "timeout_seconds": 2.0,
            "record": "rows" if self._ending == "json" else "",
            "id": ["n"],
            "since": {"path": "n", "param": "since"},
        }

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        config = uvicorn.Config(self, host="127.0.0.1", port=0, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        self._url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/rows.{self._ending}"
        try:
            yield
        finally:
            server.should_exit = True
            await task

    async def give(self, rows: list[dict[str, Any]]) -> None:
        self._records += rows
        self.sent += len(rows)

    async def disturb(self) -> str:
        kind = random.Random(self.faults).choice(("garbage", "stall", "error", "busy"))
        self.faults += 1
        self._next_answers.append(kind)
        return kind

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        query = dict(part.split("=") for part in scope["query_string"].decode().split("&") if part)
        since = int(query.get("since", -1))
        rows = [row for row in self._records if row["n"] > since][:500]
        kind = self._next_answers.pop(0) if self._next_answers else "ok"
        status, headers = 200, [(b"content-type", b"application/json")]
        body = json.dumps({"rows": rows}).encode()
        if self._ending == "ndjson":
            body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            headers = [(b"content-type", b"application/x-ndjson")]
        if kind == "stall":
            await asyncio.sleep(3.0)
        elif kind == "error":
            status, body = 500, b"oops"
        elif kind == "busy":
            status, body = 429, b""
            headers.append((b"retry-after", b"1"))
        elif kind == "garbage":
            body = b"<html>not what was asked for</html>"
            self.sent += 1
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
