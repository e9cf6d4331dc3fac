"""A source's history in a real ClickHouse: what a real Pipeline made of a generated stream, and verdicts on it."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from qraft.config import ClickHouseAddress, RunInfo, Settings, write_run
from qraft.config.store import StoreSettings
from qraft.model import Event, Feedback, Pattern, Verdict, event_id, iso_from_us
from qraft.pipeline import Pipeline
from qraft.store import Block, RawRow, Store

START_US = 1_795_000_000_000_000
SECOND_US = 1_000_000


def stream(
    rows: int, source: str, shifts: Sequence[int] = (), spikes: Sequence[int] = (), *, seed: int = 5, size: float = 6.0
) -> list[Event]:
    """Two fields of noise, one row a second: ``a`` rises by ``size`` at each shift, and stands at 15 in each spike."""
    draw = random.Random(seed)
    out = []
    for row in range(rows):
        a, b = draw.gauss(0.0, 1.0), draw.gauss(50.0, 2.0)
        a += size * sum(shift <= row for shift in shifts)
        out.append(
            Event(
                event_id=event_id(source, str(row)),
                source=source,
                type="row",
                timestamp=iso_from_us(START_US + row * SECOND_US),
                payload={"a": 15.0 if row in spikes else a, "b": b},
            )
        )
    return out


def verdict(pattern: Pattern, said: Verdict, user: str = "ops1", note: str = "") -> Feedback:
    return Feedback(
        feedback_id=f"fb-{user}-{pattern.pattern_id}",
        pattern_id=pattern.pattern_id,
        verdict=said,
        timestamp=pattern.timestamp,
        source=pattern.source,
        detector=pattern.detector,
        user=user,
        note=note,
    )


def keep(
    clickhouse_url: str, database: str, events: Sequence[Event], judge: Mapping[str, Verdict], settings: Settings
) -> list[Pattern]:
    """Judges and stores events; each pattern whose row (from 0) ``judge`` names gets that verdict. The patterns."""
    result = Pipeline(settings).step(events)
    rows = {event.event_id: str(row) for row, event in enumerate(events)}
    given = [verdict(one, judge[rows[one.event_id]]) for one in result.patterns if rows[one.event_id] in judge]
    assert len(given) >= len(judge)

    async def store_all() -> None:
        async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
            await store.migrate(StoreSettings(retention_days=3650, important_days=3650))
            await store.write(
                Block(
                    token="t:0:1-9:x",
                    ingested_at=START_US,
                    raw=[RawRow(event, 0, at, START_US + at) for at, event in enumerate(events)],
                    clean=result.clean,
                    patterns=result.patterns,
                    feedback=given,
                )
            )

    asyncio.run(store_all())
    return result.patterns


def instance(folder: Path, clickhouse_url: str, database: str) -> Path:
    """A data directory whose run.json names the database, as if this process were the engine."""
    write_run(folder, RunInfo(pids={"engine": os.getpid()}, clickhouse_url=clickhouse_url, database=database))
    return folder
