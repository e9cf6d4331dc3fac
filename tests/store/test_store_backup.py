"""Tables frozen, copied in pieces and filled again, against a real ClickHouse."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.store import Store, StoreRejected, backup, schema
from qraft.store.backup import Frozen, TableCopy
from qraft.store.rows import TABLES

Ask = Callable[[str], str]

ROWS = 20_000


@pytest.fixture
def target(clickhouse_url: str) -> Iterator[str]:
    """Another database, dropped in the end."""
    name = f"target_{uuid.uuid4().hex[:12]}"
    yield name
    httpx.post(clickhouse_url, content=f"DROP DATABASE IF EXISTS {name}", timeout=30).raise_for_status()


def add_rows(ask: Ask, rows: int = ROWS, first: int = 0) -> None:
    """Events of three days and two kinds of ids, repeats among them, and patterns with every kind of column."""
    ask(
        f"""INSERT INTO raw_events (event_id, source, type, timestamp, payload, meta, ingested_at, partition, seq)
        SELECT toUUID(concat('00000000-0000-4000-8000-', leftPad(toString(number), 12, '0'))), 's', 't',
            toDateTime64('2026-11-22 10:00:00', 6) + number, repeat(toString(cityHash64(number)), 20), '{{}}',
            now64(3) - toIntervalDay(number % 3), number % 16, number FROM numbers({first}, {rows})"""
    )
    ask(
        f"""INSERT INTO clean_events
        SELECT generateUUIDv4(), 's', '', now64(6), map('a', 1 / 3, 'b', nan), now64(3) FROM numbers({rows // 100})"""
    )
    ask(
        """INSERT INTO pattern_events (pattern_id, type, timestamp, source, `contributors.field`, `contributors.score`,
            `contributors.before`, `contributors.after`, metrics, important, version, ingested_at)
        SELECT toString(number), 'drift', now64(6), 's', ['a', 'b'], [0.7, 0.3], [NULL, 1.5], [2.5, NULL], map('p', 1e-300),
            number % 2, number, now64(3) FROM numbers(50)"""
    )


def digest(ask: Ask, database: str, table: str) -> str:
    return ask(f"SELECT count(), sum(cityHash64(tuple(*))) FROM {database}.{table} FINAL")


async def copied(store: Store, frozen: Frozen) -> list[tuple[TableCopy, list[bytes]]]:
    return [
        (table, [piece async for piece in store.backup.pieces(copy, table.columns)]) for copy, table in frozen.tables.items()
    ]


async def filled(store: Store, copies: list[tuple[TableCopy, list[bytes]]]) -> None:
    for table, pieces in copies:
        for number, piece in enumerate(pieces):
            await store.backup.fill(table, piece, f"restore:{table.name}:{number}")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that parts are cut."""
    monkeypatch.setattr(backup, "PIECE_BYTES", 700_000)


@pytest.mark.usefixtures("small_pieces")
async def test_a_copy_is_one_moment_whatever_comes_after(
    store: Store, ask: Ask, clickhouse_url: str, database: str, target: str
) -> None:
    add_rows(ask)
    add_rows(ask, 300)  # repeats of the first
    before = {table: digest(ask, database, table) for table in TABLES}
    name = uuid.uuid4().hex
    frozen = await store.backup.freeze(name)
    add_rows(ask, 1000, first=ROWS)
    ask("OPTIMIZE TABLE raw_events FINAL")
    copies = await copied(store, frozen)
    assert {table.name for table, _ in copies} >= set(TABLES)
    raw = next(pieces for table, pieces in copies if table.name == "raw_events")
    assert len(raw) > 6, "a large part is copied in pieces"
    assert max(map(len, raw)) < 2_000_000
    rows = {table.name: table.rows for table, _ in copies}
    assert rows["raw_events"] == ROWS + 300
    await store.backup.thaw(name)
    await store.backup.thaw(name)
    assert ask("SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE 'backup%'") == "0\n"

    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=target) as other:
        await other.backup.make_tables([table for table, _ in copies], frozen.schema, database, StoreSettings())
        await filled(other, copies)
        await filled(other, copies)  # as after an answer that was lost
        await other.migrate(StoreSettings())
        assert {table: digest(ask, target, table) for table in TABLES} == before
        assert (await other.backup.row_counts())["raw_events"] >= ROWS
        await other.backup.drop_tables()
        assert await other.backup.row_counts() == {}


async def test_an_older_schema_is_filled_as_it_was_then_and_migrated(
    ask: Ask, clickhouse_url: str, database: str, target: str
) -> None:
    newest = schema.migrations()[-1][0]
    async with (
        await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as old,
        await Store.connect(ClickHouseAddress(clickhouse_url), database=target) as new,
    ):
        await schema.migrate(old._client, database, None, until=2)
        assert ask("SELECT max(version) FROM schema_migrations") == "2\n"
        ask("INSERT INTO pattern_events (pattern_id, timestamp, ingested_at) VALUES ('p', '2026-11-22 10:00:00', now64(3))")
        frozen = await old.backup.freeze(name := uuid.uuid4().hex)
        copies = await copied(old, frozen)
        await old.backup.thaw(name)
        assert frozen.schema == 2
        await new.backup.make_tables([table for table, _ in copies], frozen.schema, database, StoreSettings())
        await filled(new, copies)
        await new.migrate(StoreSettings())
        assert ask(f"SELECT max(version) FROM {target}.schema_migrations") == f"{newest}\n"
        assert ask(f"SELECT pattern_id, began FROM {target}.pattern_events") == "p\t2026-11-22 10:00:00.000000\n"


async def test_a_table_of_nobody_s_migration_comes_along(
    store: Store, ask: Ask, clickhouse_url: str, database: str, target: str
) -> None:
    ask("CREATE TABLE notes (n UInt32, twice UInt32 MATERIALIZED 2 * n, d Date) ENGINE = MergeTree ORDER BY tuple()")
    ask("INSERT INTO notes (n, d) SELECT number, '2026-11-22' FROM numbers(5)")
    frozen = await store.backup.freeze(name := uuid.uuid4().hex)
    copies = await copied(store, frozen)
    await store.backup.thaw(name)
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=target) as other:
        await other.backup.make_tables([table for table, _ in copies], frozen.schema, database, StoreSettings())
        await filled(other, copies)
    assert ask(f"SELECT sum(n), sum(twice) FROM {target}.notes") == "10\t20\n"


async def test_what_a_killed_backup_left_goes_with_a_later_one(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_rows(ask, 10)
    await store.backup.freeze(left := uuid.uuid4().hex)
    await store.backup.freeze(young := uuid.uuid4().hex)
    copies = f"SELECT count() FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'backup_{left}')"
    assert ask(copies) != "0\n", "a backup may be at work beside"
    await store.backup.thaw(young)
    monkeypatch.setattr(backup, "ABANDONED_SECONDS", -10)
    frozen = await store.backup.freeze(late := uuid.uuid4().hex)
    assert ask(copies) == "0\n"
    assert not any(table.name.startswith("backup_") for table in frozen.tables.values())
    await store.backup.thaw(late)


async def test_a_copy_that_somebody_touches_is_refused(store: Store, ask: Ask) -> None:
    add_rows(ask, 10)
    frozen = await store.backup.freeze(name := uuid.uuid4().hex)
    copy, table = next((copy, table) for copy, table in frozen.tables.items() if table.name == "raw_events")
    pieces = store.backup.pieces(copy, table.columns)
    await anext(pieces)
    ask(f"TRUNCATE TABLE {copy}")
    with pytest.raises(StoreRejected, match="make the backup again"):
        _ = [piece async for piece in pieces]
    await store.backup.thaw(name)


async def test_damaged_rows_are_refused(store: Store, ask: Ask, database: str) -> None:
    add_rows(ask, 100)
    frozen = await store.backup.freeze(name := uuid.uuid4().hex)
    copies = await copied(store, frozen)
    await store.backup.thaw(name)
    table, pieces = next((table, pieces) for table, pieces in copies if table.name == "raw_events")
    with pytest.raises(StoreRejected):
        await store.backup.fill(table, pieces[0][:500], "t")
    assert ask(f"SELECT count() FROM {database}.raw_events") == "100\n"
