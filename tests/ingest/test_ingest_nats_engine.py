"""A JetStream stream as a source of a real engine that is killed."""

from __future__ import annotations

from pathlib import Path

import nats

from tests.e2e.harness import EngineProcess, count, ids, until


async def test_no_message_is_missed_or_stored_twice_over_kills(
    tmp_path: Path, nats_url: str, clickhouse_url: str, database: str
) -> None:
    total = 20_000
    connection = await nats.connect(nats_url)
    stream = connection.jetstream()
    await stream.add_stream(name="S", subjects=["t.>"])
    for first in range(0, total, 100):
        lines = b"\n".join(b'{"n": %d}' % n for n in range(first, first + 100))
        await stream.publish(f"t.{first % 3}", lines)
    await connection.close()
    engine = EngineProcess(
        tmp_path,
        {
            "nats": {"url": nats_url, "max_bytes": "64 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
            "engine": {"barrier_seconds": 0.2, "barrier_rows": 2000},
            "sources": {"s": {"adapter": "nats", "url": nats_url, "subject": "t.>", "stream": "S"}},
        },
    )
    try:
        for rows in (1, 6000):
            engine.start()
            await until(lambda: count(clickhouse_url, database, "raw_events") >= rows, 60, f"{rows} rows")  # noqa: B023
            engine.kill()
        engine.start()
        # Repeats collapse by id, though not at once.
        await until(lambda: len(set(ids(clickhouse_url, database, "raw_events"))) >= total, 90, "all rows")
        assert engine.stop() == 0
    finally:
        if engine.alive():
            engine.kill()
    assert len(set(ids(clickhouse_url, database, "raw_events"))) == total
