"""The soak's feeds: each counts what it hands over, can be disturbed, and knows how it would be configured."""

import asyncio
import contextlib
import gzip
import json
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from qraft.bus import Bus
from qraft.model import Event, encode_lines, event_id, iso_from_us

GARBAGE = b'{"x": 1, "broken'
TICK_SECONDS = 0.05
RECORDED_ROWS = 5_000


class Feed(ABC):
    """One source: ``sent`` counts every row, message or line handed over, unusable ones included."""

    def __init__(self, name: str, rate: float, seed: int) -> None:
        self.name, self.rate = name, rate
        self.sent = 0
        self.made = 0
        self.draw = random.Random(seed)
        self.over = False
        self.faults = 0

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Its table in config.toml."""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """What it needs while it runs."""
        yield

    async def run(self) -> None:
        """Hands rows over at its rate until it is over."""
        begun, before = time.monotonic(), self.made
        while not self.over:
            due = before + int((time.monotonic() - begun) * self.rate) - self.made
            if due > 0:
                await self.give([self.next_row() for _ in range(due)])
            await asyncio.sleep(TICK_SECONDS)

    @abstractmethod
    async def give(self, rows: list[dict[str, Any]]) -> None:
        """Hands rows over and counts them."""

    async def disturb(self) -> str:
        """One fault of a kind that such a source has; what it was."""
        return "none"

    def next_row(self) -> dict[str, Any]:
        number, self.made = self.made, self.made + 1
        return {"n": number, "t": time.time(), "x": round(self.draw.gauss(0, 1), 4), "y": number % 11, "s": "ab"[number % 2]}


class GrowingFile(Feed):
    """A file that grows line by line and is rotated, by rename or by copy-and-truncate."""

    def __init__(self, name: str, rate: float, seed: int, folder: Path, kind: str) -> None:
        super().__init__(name, rate, seed)
        self._kind = kind
        self._path = folder / f"{name}.{kind}"
        self._rotated = 0
        self._start()

    def settings(self) -> dict[str, Any]:
        return {"adapter": "file", "path": self._path.name, "entity": "s", "time": "t"}

    async def give(self, rows: list[dict[str, Any]]) -> None:
        self._write("".join(self._line(row) for row in rows).encode(), len(rows))

    async def disturb(self) -> str:
        self.faults += 1
        kind = ("garbage", "half a line", "rename", "truncate")[self.faults % 4]
        if kind == "garbage":
            self._write(b"1,2\n" if self._kind == "csv" else GARBAGE + b"\n", 1)
        elif kind == "half a line":
            line = self._line(self.next_row()).encode()
            self._write(line[:5], 0)
            await asyncio.sleep(0.5)
            self._write(line[5:], 1)
        elif kind == "rename":
            self._rotated += 1
            self._path.rename(self._path.with_name(f"{self._path.name}.{self._rotated}"))
            self._start()
        else:
            await asyncio.sleep(2.0)  # as logrotate warns: what is not read yet when a file is truncated is gone
            self._rotated += 1
            copy = self._path.with_name(f"{self._path.name}.{self._rotated}")
            copy.write_bytes(self._path.read_bytes())
            self._path.write_bytes(b"")
            self._start()
        return kind

    def _start(self) -> None:
        if self._kind == "csv":
            self._write(b"n,t,x,y,s\n", 0)

    def _line(self, row: dict[str, Any]) -> str:
        return ",".join(map(str, row.values())) + "\n" if self._kind == "csv" else json.dumps(row) + "\n"

    def _write(self, data: bytes, rows: int) -> None:
        with self._path.open("ab") as out:
            out.write(data)
        self.sent += rows


class RecordedFile(Feed):
    """A finished file, replayed at a rate."""

    def __init__(self, name: str, rate: float, seed: int, folder: Path, ending: str) -> None:
        super().__init__(name, rate, seed)
        self._path = folder / f"{name}.{ending}"
        table = [self.next_row() for _ in range(RECORDED_ROWS)]
        if ending == "parquet":
            pa.parquet.write_table(pa.Table.from_pylist(table), self._path)
        else:
            with gzip.open(self._path, "wt") as out:
                out.writelines(json.dumps(row) + "\n" for row in table)
        self.sent = len(table)

    def settings(self) -> dict[str, Any]:
        return {"adapter": "file", "path": self._path.name, "mode": "replay", "rate": self.rate}

    async def give(self, rows: list[dict[str, Any]]) -> None:
        """Nothing is to be done: all is there from the start."""

    async def run(self) -> None:
        """As above."""


class WebSocketFeed(Feed):
    """A WebSocket server; it breaks connections off once the client has what was sent."""

    def __init__(self, name: str, rate: float, seed: int, when_full: str) -> None:
        super().__init__(name, rate, seed)
        self._when_full = when_full
        self._url = ""
        self._client: ServerConnection | None = None
        self._may_send = asyncio.Lock()

    def settings(self) -> dict[str, Any]:
        return {
            "adapter": "websocket",
            "url": self._url,
            "when_full": self._when_full,
            "idle_seconds": 4.0,
            "subscribe": [{"op": "subscribe"}],
            "routes": [{"match": {"op": "row"}, "record": "rows"}],
            "unmatched": "dead",
        }

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with serve(self._serve, "127.0.0.1", 0) as server:
            self._url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            yield

    async def _serve(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await connection.recv()
            self._client = connection
        await connection.wait_closed()
        if self._client is connection:
            self._client = None

    async def give(self, rows: list[dict[str, Any]]) -> None:
        async with self._may_send:
            if self._client is None:
                return
            with contextlib.suppress(ConnectionClosed):
                await self._client.send(msgspec.json.encode({"op": "row", "rows": rows}).decode())
                self.sent += len(rows)

    async def disturb(self) -> str:
        self.faults += 1
        kind = ("garbage", "cut", "close", "stall", "oversize")[self.faults % 5]
        async with self._may_send:
            client = self._client
            if client is None:
                return "none"
            with contextlib.suppress(ConnectionClosed):
                if kind == "garbage":
                    await client.send('{"op": "row", "rows": [')
                    self.sent += 1
                elif kind == "stall":
                    await asyncio.sleep(6.0)
                else:
                    await (await client.ping())
                    self._client = None
                    if kind == "cut":
                        client.transport.abort()
                    elif kind == "close":
                        await client.close(1012, "restart")
                    else:
                        self.sent += 1
                        await client.send(json.dumps({"op": "row", "rows": [{"x": "a" * 1_100_000}]}))
        return kind


class NatsFeed(Feed):
    """A subject of a NATS server, in a JetStream stream or not."""

    def __init__(self, name: str, rate: float, seed: int, bus: Bus, url: str, *, stream: bool) -> None:
        super().__init__(name, rate, seed)
        self._bus, self._url, self._stream = bus, url, stream

    def settings(self) -> dict[str, Any]:
        found = {"adapter": "nats", "url": self._url, "subject": f"soak.{self.name}", "time": "t"}
        return found | ({"stream": f"SOAK_{self.name}"} if self._stream else {})

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        if self._stream:
            await self._bus.jetstream().add_stream(name=f"SOAK_{self.name}", subjects=[f"soak.{self.name}"])
        yield

    async def give(self, rows: list[dict[str, Any]]) -> None:
        await self._publish(b"\n".join(msgspec.json.encode(row) for row in rows), len(rows))

    async def disturb(self) -> str:
        await self._publish(GARBAGE, 1)
        return "garbage"

    async def _publish(self, data: bytes, rows: int) -> None:
        if self._stream:
            await self._bus.jetstream().publish(f"soak.{self.name}", data)
        else:
            await self._bus.client.publish(f"soak.{self.name}", data)
        self.sent += rows


class PushedEvents(Feed):
    """A program that publishes Qraft's own events."""

    def __init__(self, name: str, rate: float, seed: int, bus: Bus) -> None:
        super().__init__(name, rate, seed)
        self._bus = bus

    def settings(self) -> dict[str, Any]:
        return {"adapter": "external", "entity": "s"}

    async def give(self, rows: list[dict[str, Any]]) -> None:
        events = [
            Event(
                event_id=event_id(self.name, str(row["n"])),
                source=self.name,
                type="row",
                timestamp=iso_from_us(int(row["t"] * 1e6)),
                payload=row,
            )
            for row in rows
        ]
        await self._bus.jetstream().publish(f"qraft.events.{self.name}", encode_lines(events))
        self.sent += len(rows)

    async def disturb(self) -> str:
        await self._bus.jetstream().publish(f"qraft.events.{self.name}", GARBAGE)
        self.sent += 1
        return "garbage"
