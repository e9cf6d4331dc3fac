"""Migrations: applied once, in order, again without harm; how long rows stay."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from qraft.config.store import StoreSettings
from qraft.model import Contributor, Details, Event, Pattern, iso_from_us
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
    assert (
        ask("SELECT version, name FROM schema_migrations ORDER BY version")
        == "1\tinit\n2\tcontributor_origin\n3\tpattern_kind\n4\tfeedback_scope\n"
    )
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
    with pytest.raises(
        StoreRejected, match=f"database {database} has schema version 900, this Qraft knows 4; install the newer"
    ):
        await store.migrate(StoreSettings())


async def test_name_of_a_database_is_checked(clickhouse_url: str) -> None:
    with pytest.raises(StoreRejected, match="is not a database name"):
        await Store.connect(clickhouse_url, database="a; DROP DATABASE default")


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
