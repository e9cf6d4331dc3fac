"""Figures of operation: the REST server beside what it stands on, the archive, the backup."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import httpx

from qraft.bus import Bus, Publisher
from qraft.client import AsyncClient
from qraft.config import ClickHouseAddress, NatsAddress, RunInfo
from qraft.model import Contributor, Details, Pattern, pattern_id
from qraft.store import Block, Store
from tests.bench.events import make_events
from tests.bench.instance import instance
from tests.bench.measure import figure, percentile

STORED = 5000
BATCH = 1000
PAGE = 100
TOGETHER = 8


def operate_figures(*, quick: bool) -> None:
    """Prints what the REST server takes and gives, and how fast rows are archived and backed up."""
    with tempfile.TemporaryDirectory(prefix="qraft-bench-") as folder:
        asyncio.run(_figures(Path(folder), quick=quick))


async def _figures(folder: Path, *, quick: bool) -> None:
    config = {"store": {"archive": {"url": str(folder / "cold")}}, "api": {"rate_per_minute": 0}}
    async with instance(config, folder) as run, AsyncClient(run.api_url) as there:
        bus = await Bus.connect(NatsAddress(run.nats_url), name="bench")
        try:
            await _stream(bus, there, 100 if quick else 1000)
            await _pages(run, 200 if quick else 2000)
            await _ingest(bus, there, 10_000 if quick else 100_000)
        finally:
            await bus.close()
        await asyncio.to_thread(_files, run, folder, 100_000 if quick else 1_000_000)


def _pattern(number: int) -> Pattern:
    return Pattern(
        pattern_id=pattern_id(str(number), "bench", "drift"),
        type="drift",
        timestamp="2026-11-22T10:00:00.000000Z",
        source="bench",
        details=Details(prev_state={"mean": 1.0}, new_state={"mean": 2.0}, metrics={"effect": 3.0}, confidence=0.9),
        contributors=[Contributor(field="x", score=1.0, before=1.0, after=2.0)],
        detector="bench",
        event_id=str(number),
    )


async def _stream(bus: Bus, there: AsyncClient, patterns: int) -> None:
    """From publishing a pattern until a client of the stream, or a subscriber of NATS, has it."""
    publisher, sent = Publisher(bus), dict[str, float]()
    by_stream, by_nats = dict[str, float](), dict[str, float]()
    await bus.watch_patterns(lambda found: by_nats.update({one.pattern_id: time.perf_counter() for one in found}))

    async def follow() -> None:
        async with aclosing(there.stream()) as stream:
            async for _, found in stream:
                by_stream[found.pattern_id] = time.perf_counter()

    follower, number = asyncio.create_task(follow()), 0
    try:
        while len(by_stream) < patterns:
            one = _pattern(number := number + 1)
            sent[one.pattern_id] = time.perf_counter()
            await publisher.patterns([one])
            await asyncio.sleep(0.01)
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        here = [percentile([at - sent[one] for one, at in found.items()], share) * 1e3 for found in (by_stream, by_nats)]
        figure(f"stream_delay_{name}", here[:1], "ms", reference=here[1:], of="a subscriber of NATS", samples=patterns)


async def _pages(run: RunInfo, requests: int) -> None:
    """Pages of stored patterns, one after the other and several at a time, beside the route that does nothing."""
    async with await Store.connect(ClickHouseAddress(run.clickhouse_url), database=run.database) as store:
        now_us = time.time_ns() // 1000
        await store.write(Block("bench", now_us, patterns=[_pattern(number) for number in range(STORED)]))
    async with httpx.AsyncClient(base_url=run.api_url, timeout=60, trust_env=False) as client:
        path = f"/api/patterns?limit={PAGE}"
        for name, route in (("patterns_page", path), ("health", "/healthz")):
            took = await _timed(lambda route=route: client.get(route), requests // 4)
            for percent, share in (("p50", 0.5), ("p99", 0.99)):
                figure(f"rest_{name}_{percent}", [percentile(took, share) * 1e3], "ms", samples=len(took))

        async def several(route: str) -> float:
            begun = time.perf_counter()
            await asyncio.gather(*(_timed(lambda: client.get(route), requests // TOGETHER) for _ in range(TOGETHER)))
            return requests / (time.perf_counter() - begun)

        rates = [(await several(path), await several("/healthz")) for _ in range(3)]
        figure("rest_pages_per_second", [one for one, _ in rates], "1/s", reference=[two for _, two in rates], of="/healthz")


async def _timed(ask: Callable[[], Awaitable[httpx.Response]], requests: int) -> list[float]:
    took = []
    for _ in range(requests):
        begun = time.perf_counter()
        (await ask()).raise_for_status()
        took.append(time.perf_counter() - begun)
    return took


async def _ingest(bus: Bus, there: AsyncClient, events: int) -> None:
    """Events a second until NATS has stored them: through the REST server, and published straight."""

    async def rest(run: int) -> float:
        records = [{"x": n / 7, "y": n % 13} for n in range(BATCH)]
        begun = time.perf_counter()
        for part in range(events // BATCH):
            await there.ingest(f"rest-{run}", records, key=f"{run}-{part}")
        return events / (time.perf_counter() - begun)

    async def straight(run: int) -> float:
        made = make_events(BATCH, f"nats-{run}", run)
        begun = time.perf_counter()
        for _ in range(events // BATCH):
            for at in range(0, BATCH, 250):
                await Publisher(bus).events(made[0].source, made[at : at + 250])
        return events / (time.perf_counter() - begun)

    rates = [(await rest(run), await straight(run)) for run in range(3)]
    figure(
        "rest_ingest_events_per_second",
        [one for one, _ in rates],
        "events/s",
        reference=[two for _, two in rates],
        of="published on NATS, 250 a message",
    )


def _files(run: RunInfo, folder: Path, rows: int) -> None:
    """Rows that arrived two days ago are archived; then everything is backed up and the backup is checked."""
    sql = f"""
        INSERT INTO {run.database}.raw_events (event_id, source, type, timestamp, payload, meta, ingested_at)
        SELECT generateUUIDv4(), 'bench', 'row', now64(6) - INTERVAL 2 DAY,
            concat('{{"x":', toString(rand() / 1e6), ',"y":', toString(rand(1) / 1e6), '}}'), '{{"version":"1.0"}}',
            toStartOfDay(now()) - INTERVAL 2 DAY + INTERVAL (number % 80000) SECOND
        FROM numbers({rows})"""
    httpx.post(run.clickhouse_url, content=sql, timeout=300).raise_for_status()
    config = ("--config", str(folder / "config.toml"), "--data-dir", str(folder / "data"))
    begun = time.perf_counter()
    _qraft("archive", "run", *config)
    figure("archive_rows_per_second", [rows / (time.perf_counter() - begun)], "rows/s")
    size = sum(file.stat().st_size for file in (folder / "cold").rglob("*.parquet"))
    figure("archive_bytes_per_row", [size / rows], "B")
    file = folder / "backup.tar.zst"
    begun = time.perf_counter()
    made = json.loads(_qraft("backup", str(file), "--json", *config))
    stored = sum(made["rows"].values())
    figure("backup_rows_per_second", [stored / (time.perf_counter() - begun)], "rows/s")
    figure("backup_held_seconds", [made["held_seconds"]], "s")
    begun = time.perf_counter()
    _qraft("backup", str(file), "--verify", *config)
    figure("backup_verified_mb_per_second", [file.stat().st_size / 1e6 / (time.perf_counter() - begun)], "MB/s")


def _qraft(*arguments: str) -> str:
    command = [sys.executable, "-m", "qraft.cli", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
