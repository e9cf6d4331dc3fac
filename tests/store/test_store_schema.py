"""Migrations: applied once, in order, again without harm; how long rows stay."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

import pytest

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.model import Contributor, Details, Event, Feedback, Pattern, Verdict, iso_from_us
from qraft.store import Block, RawRow, Store, StoreRejected
from qraft.store.rows import TABLES
from qraft.store.schema import migrations, schema_dir, statements

Ask = Callable[[str], str]

DAY_US = 86_400_000_000


def test_files_are_numbered_from_one_without_gaps() -> None:
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))
    assert (schema_dir() / "clickhouse" / "001_init.sql").is_file()


def test_statements_end_with_semicolons_and_lose_comments() -> None:
    assert list(statements("-- a; b\nSELECT 1; -- c\n\nSELECT\n2 ;\n -- end")) == ["SELECT 1", "SELECT\n2"]


async def test_migrating_again_changes_nothing(store: Store, ask: Ask) -> None:
    made = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"

    def state() -> str:
        return ask(made) + ask("SELECT * FROM schema_migrations")

    before = state()
    await store.migrate(StoreSettings())
    assert state() == before
    known = "".join(f"{number}\t{name}\n" for number, name, _ in migrations())
    assert ask("SELECT version, name FROM schema_migrations ORDER BY version") == known
    assert ask("SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done") == "0\n"
    for table in TABLES:
        assert f".{table}" in before


async def test_every_table_collapses_drops_repeats_and_forgets(store: Store, ask: Ask) -> None:
    for table in TABLES:
        made = ask(f"SHOW CREATE TABLE {table}")
        assert "ENGINE = ReplacingMergeTree" in made
        assert "non_replicated_deduplication_window = 1000" in made
        assert "TTL " in made


async def test_database_of_a_newer_qraft_is_refused(store: Store, ask: Ask, database: str) -> None:
    ask("INSERT INTO schema_migrations (version, name) VALUES (900, 'later')")
    newest = migrations()[-1][0]
    with pytest.raises(
        StoreRejected, match=f"database {database} has schema version 900, this Qraft knows {newest}; install the newer"
    ):
        await store.migrate(StoreSettings())


async def test_name_of_a_database_is_checked(clickhouse_url: str) -> None:
    with pytest.raises(StoreRejected, match="is not a database name"):
        await Store.connect(ClickHouseAddress(clickhouse_url), database="a; DROP DATABASE default")


def _pattern(name: str, confidence: float) -> Pattern:
    return Pattern(
        pattern_id=name,
        type="drift",
        timestamp="2020-01-01T00:00:00Z",
        source="s",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=confidence),
        contributors=[Contributor(field="x", score=1.0)],
    )


def _aged(days: float, now_us: int) -> Block:
    """One event, one ordinary and one important pattern that arrived so many days ago."""
    arrived = now_us - int(days * DAY_US)
    name = f"{days:g}"
    event = Event(event_id=name, source="s", type="t", timestamp=iso_from_us(now_us), payload={})
    return Block(
        token=name,
        ingested_at=arrived,
        raw=[RawRow(event, 0, 0, arrived)],
        patterns=[_pattern(f"ordinary {name}", 0.6), _pattern(f"important {name}", 0.95)],
    )


async def test_rows_go_when_their_days_are_over(store: Store, ask: Ask) -> None:
    now_us = time.time_ns() // 1000
    for days in (0, 6.5, 8.5, 29, 32):
        await store.write(_aged(days, now_us))

    def left(column: str, table: str) -> list[str]:
        ask(f"OPTIMIZE TABLE {table} FINAL")
        return sorted(ask(f"SELECT {column} FROM {table}").splitlines())

    assert left("dateDiff('day', ingested_at, now())", "raw_events") in (["0", "6"], ["0", "7"])
    important = [f"important {days}" for days in ("0", "29", "6.5", "8.5")]
    assert left("pattern_id", "pattern_events") == [*important, "ordinary 0", "ordinary 6.5"]

    await store.migrate(StoreSettings(retention_days=3, important_days=10))
    assert left("dateDiff('day', ingested_at, now())", "raw_events") == ["0"]
    assert left("pattern_id", "pattern_events") == ["important 0", "important 6.5", "important 8.5", "ordinary 0"]
    for table in TABLES:
        numbers = re.findall(r"toIntervalDay\((\d+)\)", ask(f"SHOW CREATE TABLE {table}"))
        assert numbers == {"pattern_events": ["3", "10"], "pattern_feedback": ["10"]}.get(table, ["3"])


async def test_old_event_times_do_not_count(store: Store, ask: Ask) -> None:
    now_us = time.time_ns() // 1000
    event = Event(event_id="old", source="s", type="t", timestamp="1999-01-01T00:00:00Z", payload={})
    await store.write(Block("t", now_us, raw=[RawRow(event, 0, 0, now_us)]))
    ask("OPTIMIZE TABLE raw_events FINAL")
    assert ask("SELECT timestamp FROM raw_events") == "1999-01-01 00:00:00.000000\n"


async def test_each_boundary_is_where_the_settings_say(store: Store, ask: Ask) -> None:
    """Patterns go one by one; events by whole days, so up to a day later."""
    now_us = time.time_ns() // 1000
    for days in (6.99, 7.01, 8.01, 29.99, 30.01):
        await store.write(_aged(days, now_us))
    for table in ("raw_events", "pattern_events"):
        ask(f"OPTIMIZE TABLE {table} FINAL")
    assert sorted(ask("SELECT pattern_id FROM pattern_events").splitlines()) == [
        *(f"important {days}" for days in ("29.99", "6.99", "7.01", "8.01")),
        "ordinary 6.99",
    ]
    left = ask("SELECT intDiv(toUnixTimestamp(now()) - toUnixTimestamp(ingested_at), 3600) FROM raw_events").split()
    assert "167" in left
    assert set(left) <= {"167", "168"}


async def test_a_verdict_says_how_long_its_pattern_stays_and_stays_as_long(store: Store, ask: Ask) -> None:
    now_us = time.time_ns() // 1000
    names = ("left alone", "confirmed", "taken back", "called noise")
    arrived = now_us - 5 * DAY_US
    await store.write(Block(token="p", ingested_at=arrived, patterns=[_pattern(name, 0.6) for name in names]))

    async def say(name: str, verdict: Verdict, days: float, undoes: str = "") -> None:
        one = Feedback(
            feedback_id=f"{name} {verdict}",
            pattern_id=name,
            verdict=verdict,
            timestamp="2020-01-01T00:00:00Z",
            undoes=undoes,
        )
        await store.write(Block(token=one.feedback_id, ingested_at=now_us - int(days * DAY_US), feedback=[one]))

    await say("confirmed", "confirmed", 4.9)
    await say("taken back", "confirmed", 4.9)
    await say("taken back", "undo", 1, undoes="taken back confirmed")
    await say("called noise", "confirmed", 4.9)
    await say("called noise", "false_positive", 1)

    def left(column: str, table: str) -> list[str]:
        ask(f"OPTIMIZE TABLE {table} FINAL")
        return sorted(ask(f"SELECT {column} FROM {table}").splitlines())

    assert left("pattern_id", "pattern_events") == sorted(names)
    await store.migrate(StoreSettings(retention_days=3, important_days=6))
    assert left("pattern_id", "pattern_events") == ["confirmed"]
    assert "confirmed confirmed" in left("feedback_id", "pattern_feedback")
    await store.migrate(StoreSettings(retention_days=3, important_days=4))
    assert left("pattern_id", "pattern_events") == []
    assert left("feedback_id", "pattern_feedback") == ["called noise false_positive", "taken back undo"]
    await store.write(Block(token="q", ingested_at=arrived, patterns=[_pattern("now", 0.6)]))
    await store.migrate(StoreSettings(retention_days=6))
    await store.write(Block(token="r", ingested_at=arrived, patterns=[_pattern("later", 0.6)]))
    assert "later" in left("pattern_id", "pattern_events")


async def test_what_is_past_its_days_goes_by_itself(store: Store, ask: Ask) -> None:
    """Without OPTIMIZE: the server does it in the background."""
    now_us = time.time_ns() // 1000
    await store.write(_aged(1.5, now_us))
    await store.write(_aged(10, now_us))

    async def gone(table: str, condition: str) -> None:
        while ask(f"SELECT count() FROM {table} WHERE {condition}") != "0\n":
            await asyncio.sleep(0.2)

    await asyncio.wait_for(gone("raw_events", "ingested_at < now() - toIntervalDay(8)"), 90)
    assert ask("SELECT count() FROM raw_events") == "1\n"
    await store.migrate(StoreSettings(retention_days=1, important_days=1))
    await asyncio.wait_for(gone("pattern_events", "1"), 90)
