"""History against the real ClickHouse engine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest

from qraft.config.settings import StoreSettings
from qraft.embedded.process import free_port
from qraft.model import CleanEvent, Feedback, Pattern, us_from_iso
from qraft.store import Block, Store
from tui.history.base import HistoryUnavailable
from tui.history.clickhouse import EVENTS_AFTER, EVENTS_BEFORE, ClickHouseHistory

MakePattern = Callable[..., Pattern]


def arrived() -> int:
    """Rows are kept for some days from their arrival, so that must be about now."""
    return time.time_ns() // 1000


@pytest.fixture
def history(clickhouse_url: str, database: str) -> ClickHouseHistory:
    return ClickHouseHistory(clickhouse_url, database=database, user="default", password="")


async def test_recent_patterns_come_oldest_first_with_the_verdict_in_force(
    clickhouse_url: str, database: str, history: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    patterns = [make_pattern(at) for at in (0, 10, 20)]
    feedback = Feedback(
        feedback_id="f",
        pattern_id=patterns[1].pattern_id,
        verdict="confirmed",
        timestamp=patterns[1].timestamp,
        source="host",
        detector="drift",
        user="ann",
    )
    async with await Store.connect(clickhouse_url, database=database) as store:
        await store.migrate(StoreSettings())
        await store.write(Block(token="t:0:1-4", ingested_at=arrived(), patterns=patterns, feedback=[feedback]))
    try:
        found = await history.recent(2)
        assert [past.pattern.pattern_id for past in found] == [p.pattern_id for p in patterns[1:]]
        assert found[0].feedback is not None
        assert found[1].feedback is None
        assert (found[0].feedback.verdict, found[0].feedback.user, found[0].feedback.feedback_id) == (
            "confirmed",
            "ann",
            "f",
        )
        assert found[1].pattern.contributors == patterns[2].contributors
    finally:
        await history.close()


async def test_the_events_around_a_pattern(
    clickhouse_url: str, database: str, history: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    pattern = make_pattern(0, entity="db-03")
    middle = us_from_iso(pattern.timestamp)
    events = [
        CleanEvent(
            event_id=f"00000000-0000-0000-0000-{i:06d}{j:06d}", source="host", entity=entity, time_us=at, fields={"x": i}
        )
        for (i, at), (j, entity) in itertools.product(
            enumerate(range(middle - 300 * 10**6, middle + 300 * 10**6, 10**6)), enumerate(("db-03", "db-04"))
        )
    ]
    async with await Store.connect(clickhouse_url, database=database) as store:
        await store.migrate(StoreSettings())
        await store.write(Block(token="t:0:1-9", ingested_at=arrived(), clean=events))
    try:
        found = await history.around(pattern)
    finally:
        await history.close()
    assert {e.entity for e in found} == {"db-03"}
    assert len(found) == EVENTS_BEFORE + EVENTS_AFTER
    assert sum(e.time_us <= middle for e in found) == EVENTS_BEFORE
    assert [e.time_us for e in found] == sorted(e.time_us for e in found)


async def test_a_database_without_tables_or_without_a_server_is_one_sentence(
    history: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    try:
        with pytest.raises(HistoryUnavailable, match="ClickHouse"):
            await history.recent(5)
    finally:
        await history.close()
    nobody = ClickHouseHistory(f"http://127.0.0.1:{free_port()}", database="qraft", user="default", password="")
    with pytest.raises(HistoryUnavailable, match="does not answer"):
        await nobody.around(make_pattern())
    await nobody.close()
