"""The record of deliveries."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from qraft.store import Store, StoredDelivery

START = time.time_ns() // 1000
ONE = StoredDelivery(
    notification_id="n1",
    target="ops",
    attempt=1,
    rule="pump",
    alert_id="a1",
    transition="open",
    severity="warning",
    outcome="failed",
    status=503,
    error='it answered 503 "later"; \N{SNOWMAN}',
    pattern_id="p1",
    created_us=START,
    attempted_us=START + 5,
)


async def test_attempts_come_back_newest_first_and_repeats_add_nothing(store: Store) -> None:
    two = replace(ONE, attempt=2, outcome="delivered", status=200, error="", attempted_us=START + 2_000_000)
    other = replace(ONE, target="boss", attempted_us=START + 1_000_000)
    await store.deliveries.write([])
    await store.deliveries.write([ONE, two])
    await store.deliveries.write([ONE, two])
    await store.deliveries.write([two, other])
    assert await store.deliveries.recent() == [two, other, ONE]
    assert await store.deliveries.recent(1) == [two]
    assert await store.deliveries.recent(target="boss") == [other]
    assert await store.deliveries.recent(since_us=START + 2_000_000) == [two]


async def test_they_stay_as_long_as_important_patterns(store: Store, ask: Callable[[str], str]) -> None:
    said = ask(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = 'alert_deliveries'"
    )
    assert "TTL toDateTime(ingested_at) + toIntervalDay(30)" in said
