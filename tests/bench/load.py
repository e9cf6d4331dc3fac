"""Ten times more than the engine can take, for a minute: what gives way, what is lost, how long it takes to come back."""

import asyncio
import contextlib
import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.server import ServerConnection, serve

from qraft.bus import Bus, BusUnavailable
from qraft.bus.subjects import events_subject
from qraft.config import NatsAddress, RunInfo
from qraft.model import SELF, EngineStats, encode_lines
from tests.bench.events import make_events
from tests.bench.instance import instance, sample_memory
from tests.bench.measure import figure

OFFERED_RATE = 100_000
"""Events a second over all sources: ten times what the service group measures end to end here."""
BATCH = 500
POOL = 20_000
"""Different events that are made before; ids are given as they are sent."""


class _Feed:
    """A WebSocket server that offers its share at a steady rate, as far as the client takes it."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.sent = 0
        self.running = asyncio.Event()
        self.over = False

    async def __call__(self, connection: ServerConnection) -> None:
        await self.running.wait()
        begun = time.perf_counter()
        while not self.over:
            rows = [{"n": self.sent + n, "a": n % 17, "b": n % 5} for n in range(BATCH)]
            await connection.send(msgspec.json.encode(rows).decode())
            self.sent += BATCH
            await asyncio.sleep(max(0.0, begun + self.sent / self._rate - time.perf_counter()))
        pong = await connection.ping()
        await pong
        await connection.wait_closed()


def load_figures(*, quick: bool) -> None:
    """Prints what a flood does to an instance with default settings."""
    asyncio.run(_flood(seconds=10 if quick else 60, rows=20_000 if quick else 300_000))


async def _flood(*, seconds: float, rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="qraft-load-") as place:
        folder = Path(place)
        _write(folder / "rows.csv", rows)
        dropping, sampling = _Feed(OFFERED_RATE / 4), _Feed(OFFERED_RATE / 4)
        async with serve(dropping, "127.0.0.1", 0) as first, serve(sampling, "127.0.0.1", 0) as second:
            sources = {
                "waits": {"adapter": "file", "path": "rows.csv", "mode": "replay"},
                "drops": {"adapter": "websocket", "url": _url(first), "when_full": "drop_newest"},
                "samples": {"adapter": "websocket", "url": _url(second), "when_full": "sample"},
            }
            async with instance({"sources": sources}, folder) as run, httpx.AsyncClient(timeout=60) as client:
                await _measure(run, client, {"drops": dropping, "samples": sampling}, rows, seconds)


def _url(server: Any) -> str:
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _write(path: Path, rows: int) -> None:
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("x", "y"))
        writer.writerows((n % 13, n % 7) for n in range(rows))


async def _measure(run: RunInfo, client: httpx.AsyncClient, feeds: dict[str, _Feed], rows: int, seconds: float) -> None:
    peaks: dict[str, int] = {}
    heard: list[EngineStats] = []
    sampler = asyncio.create_task(sample_memory(run, peaks))
    bus = await Bus.connect(NatsAddress(run.nats_url), name="bench")
    try:
        await bus.watch_stats(heard.append)
        for feed in feeds.values():
            feed.running.set()
        pushed = await _push(bus, seconds)
        for feed in feeds.values():
            feed.over = True
        over = time.perf_counter()
        await _until_calm(heard)
        recovery = time.perf_counter() - over
        await _until_read(heard, rows)
        await bus.request("snapshot", timeout=60)
        status = msgspec.convert(await bus.request("status"), EngineStats)
    finally:
        sampler.cancel()
        await asyncio.gather(sampler, return_exceptions=True)
        await bus.close()
    stored = {
        source: int((await client.post(run.clickhouse_url, content=_COUNT.format(run.database, source))).text)
        for source in ("waits", "drops", "samples", "pushed", SELF)
    }
    dropped = {source.source: source.dropped for source in status.sources}
    offered = {"waits": rows, "pushed": pushed, **{name: feed.sent for name, feed in feeds.items()}}
    figure("flood_offered", [sum(offered.values()) / seconds], "events/s")
    figure("flood_most_lag", [max(stats.lag_seconds for stats in heard)], "s")
    figure("flood_recovery_to_lag_below_1s", [recovery], "s")
    for source, count in offered.items():
        figure(f"flood_{source}_offered", [count], "events")
        figure(f"flood_{source}_stored", [stored[source]], "events")
        figure(f"flood_{source}_dropped", [dropped.get(source, 0)], "events")
        figure(f"flood_{source}_unaccounted", [count - stored[source] - dropped.get(source, 0)], "events")
    for level in ("light", "archive"):
        figure(f"flood_seconds_at_{level}", [sum(stats.level == level for stats in heard)], "s")
    for part, peak in sorted(peaks.items()):
        figure(f"flood_rss_peak_{part}", [peak / 1e6], "MB")


_COUNT = "SELECT uniqExact(event_id) FROM {}.raw_events WHERE source = '{}'"


async def _push(bus: Bus, seconds: float) -> int:
    """Publishes half of what is offered straight into the stream, for so long; how many events the stream took."""
    pool = make_events(POOL, "pushed")
    rate, sent, begun = OFFERED_RATE / 2, 0, time.perf_counter()
    while (now := time.perf_counter()) < begun + seconds:
        start = sent % POOL
        batch = [
            msgspec.structs.replace(event, event_id=f"00000000-0000-5000-8000-{sent + n:012x}")
            for n, event in enumerate(pool[start : start + BATCH])
        ]
        with contextlib.suppress(BusUnavailable):
            await bus.jetstream().publish(events_subject("pushed"), encode_lines(batch))
            sent += BATCH
        await asyncio.sleep(max(0.0, begun + sent / rate - now))
    return sent


async def _until_calm(heard: list[EngineStats]) -> None:
    """Until the lag is below a second and detection is full again."""
    while not (heard[-1].lag_seconds < 1.0 and heard[-1].level == "full"):
        await asyncio.sleep(0.1)


async def _until_read(heard: list[EngineStats], rows: int) -> None:
    """Until the file is read to its end and everything is processed."""
    while not any(one.source == "waits" and one.processed >= rows for one in heard[-1].sources) or heard[-1].pending:
        await asyncio.sleep(0.1)
