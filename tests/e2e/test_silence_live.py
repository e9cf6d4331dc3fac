"""A live feed that falls silent: told while it lasts, its return once; an engine that is away or stands still is none."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from qraft.config import ClickHouseAddress
from qraft.config.detect import DetectSettings
from qraft.model import TICK, Pattern
from qraft.store import PatternQuery, Store
from tests.e2e.harness import EngineProcess, count, until

ROWS_A_SECOND = 10


FEED = """
import asyncio, json, random, sys
from pathlib import Path
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

async def feed(connection):
    draw = random.Random(1)
    try:
        while True:
            if not Path(sys.argv[1]).exists():
                await connection.send(json.dumps({"price": draw.gauss(100, 1)}))
            await asyncio.sleep(1 / float(sys.argv[2]))
    except ConnectionClosed:
        pass

async def main():
    async with serve(feed, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()

asyncio.run(main())
"""
"""A process of its own: the tests' collects garbage for longer than the feed's usual gap."""


@dataclass
class Feed:
    """A server that sends rows to whoever is connected, while the file ``quiet`` is not there."""

    url: str
    quiet: Path


@asynccontextmanager
async def feeding(folder: Path) -> AsyncIterator[Feed]:
    quiet = folder / "quiet"
    command = (sys.executable, "-c", FEED, str(quiet), str(ROWS_A_SECOND))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Feed(f"ws://127.0.0.1:{int(await process.stdout.readline())}", quiet)
    finally:
        process.terminate()
        await process.wait()


async def patterns(url: str, database: str) -> list[Pattern]:
    async with await Store.connect(ClickHouseAddress(url), database=database) as store:
        return [stored.pattern for stored in await store.history.patterns(PatternQuery(limit=1000))]


async def test_a_feed_falls_silent_and_the_engine_is_not_taken_for_it(
    tmp_path: Path, nats_url: str, clickhouse_url: str, database: str
) -> None:
    async with feeding(tmp_path) as feed:
        engine = EngineProcess(
            tmp_path,
            {
                "engine": {"barrier_seconds": 0.3},
                "nats": {"url": nats_url, "max_bytes": "64 MiB"},
                "clickhouse": {"url": clickhouse_url, "database": database},
                "detect": {
                    **{name: {"enabled": False} for name, value in DetectSettings() if hasattr(value, "enabled")},
                    "silence": {"tick_seconds": 0.5},
                },
                "sources": {"feed": {"adapter": "websocket", "url": feed.url, "idle_seconds": 60}},
            },
        )

        async def rows(least: int) -> None:
            await until(lambda: count(clickhouse_url, database, "raw_events") >= least, 60, f"{least} rows: {engine.said()}")

        async def told(least: int) -> list[Pattern]:
            await until(lambda: count(clickhouse_url, database, "pattern_events") >= least, 120, f"{least} patterns")
            return sorted(await patterns(clickhouse_url, database), key=lambda pattern: pattern.timestamp)

        engine.start()
        try:
            await rows(14 * ROWS_A_SECOND)  # the warm-up takes ten seconds
            engine.kill()
            before = count(clickhouse_url, database, "raw_events")
            await asyncio.sleep(5.0)  # some fifty usual gaps
            engine.start()
            await rows(before + 6 * ROWS_A_SECOND)
            assert await patterns(clickhouse_url, database) == []
            os.kill(engine.pid, signal.SIGSTOP)
            await asyncio.sleep(4.0)
            os.kill(engine.pid, signal.SIGCONT)
            await rows(count(clickhouse_url, database, "raw_events") + 6 * ROWS_A_SECOND)
            assert await patterns(clickhouse_url, database) == []
            feed.quiet.touch()
            silence = (await told(1))[0]
            feed.quiet.unlink()
            first, back = await told(2)
            taken = count(clickhouse_url, database, "raw_events")
            await rows(taken + 3 * ROWS_A_SECOND)
            assert len(await patterns(clickhouse_url, database)) == 2
            assert engine.stop() == 0, engine.said()
        finally:
            if engine.alive():
                engine.kill()
    assert first == silence
    assert (silence.kind, back.kind) == ("silence", "return")
    assert silence.detector == back.detector == "silence"
    assert silence.summary.startswith("no row for")
    assert not silence.summary.endswith("back now")
    assert silence.began
    assert back.summary.startswith("back after")
    assert TICK not in await types(clickhouse_url, database)


async def types(url: str, database: str) -> set[str]:
    import clickhouse_connect

    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        return {row[0] for row in client.query(f"SELECT DISTINCT type FROM {database}.raw_events").result_rows}
