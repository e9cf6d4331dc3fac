"""Copies the tables of a database as they are at one moment, and fills tables from such a copy, by SQL alone.

The moment is that of `TableBackup.freeze`: each table's parts are attached to a table beside it, which the server does with
hard links (https://clickhouse.com/docs/sql-reference/statements/alter/partition#attach-partition-from), so that it takes
milliseconds, whatever the table holds. They are read from there in pieces of bounded size, while the tables go on changing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from qraft.config.store import StoreSettings
from qraft.store import schema
from qraft.store.client import Client
from qraft.store.errors import StoreRejected

PIECE_BYTES: Final = 16 * 1024**2
"""A piece holds about so much, before it is compressed."""
ABANDONED_SECONDS: Final = 86_400
"""Copies this old are of a backup that was killed; the next one removes them."""

_PREFIX: Final = "backup_"
_OWN: Final = "schema_migrations"
_REPLICATED: Final = "Replicated"
# Parts of a copy must stay as they are while they are read by their names.
_UNMERGED: Final = "max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1"


class TableCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A table as it was when it was frozen.

    Attributes:
        create: the statement that makes it, for a table that no migration makes.
        columns: those that hold values of their own, in order.
    """

    name: str
    create: str
    columns: list[str]
    rows: int


@dataclass(frozen=True, slots=True)
class Frozen:
    """The tables of a database at one moment, under the names of their copies."""

    tables: dict[str, TableCopy]
    schema: int
    server: str


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    partition: str
    rows: int
    size: int


class TableBackup:
    """Copying and filling the tables of one database. Every method may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, client: Client, database: str) -> None:
        self._client, self._database = client, database

    async def freeze(self, name: str) -> Frozen:
        """Holds the database's tables as they are; to be ended with `thaw`.

        Args:
            name: of this copy: letters, digits and _, at most 32, never used before.
        """
        await self._remove_abandoned()
        copies = {f"{_PREFIX}{name}_{table}": table for table in await self._tables()}
        outcomes = await asyncio.gather(
            *(self._freeze(table, copy) for copy, table in copies.items()), return_exceptions=True
        )
        tables: dict[str, TableCopy] = {}
        for copy, outcome in zip(copies, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            tables[copy] = outcome
        versions = await self._client.query(f"SELECT max(version), version() FROM {self._database}.{_OWN}")
        return Frozen(tables=tables, schema=int(versions[0][0]), server=str(versions[0][1]))

    async def thaw(self, name: str) -> None:
        """Ends a copy; no mistake when there is none."""
        for (table,) in await self._client.query(
            "SELECT name FROM system.tables WHERE database = {database:String} AND startsWith(name, {prefix:String})",
            {"database": self._database, "prefix": f"{_PREFIX}{name}_"},
        ):
            await self._client.command(f"DROP TABLE IF EXISTS {self._database}.`{table}`")

    async def pieces(self, copy: str, columns: list[str]) -> AsyncIterator[bytes]:
        """The rows of a frozen table in ClickHouse's Native format, each piece whole in itself and of one partition.

        Raises:
            StoreRejected: the copy changed meanwhile; nobody but its backup may touch it.
        """
        parts = await self._parts(copy)
        names = ", ".join(f"`{column}`" for column in columns)
        for condition in _conditions(parts):
            yield await self._client.read_native(f"SELECT {names} FROM {self._database}.`{copy}` WHERE {condition}")
        if {part.name for part in await self._parts(copy)} != {part.name for part in parts}:
            raise StoreRejected(f"the copy {copy} changed while it was read; make the backup again")

    async def row_counts(self) -> dict[str, int]:
        """How many rows each table of the database has; nothing where the database is not there."""
        counts: dict[str, int] = {}
        for table in await self._tables():
            counts[table] = int((await self._client.query(f"SELECT count() FROM {self._database}.`{table}`"))[0][0])
        return counts

    async def drop_tables(self) -> None:
        """Deletes every table and view of the database; replicated tables, which an operator made, are emptied."""
        rows = await self._client.query(
            """
            SELECT name, engine FROM system.tables WHERE database = {database:String}
            ORDER BY endsWith(engine, 'View') DESC""",
            {"database": self._database},
        )
        for name, engine in rows:
            if not engine.startswith(_REPLICATED):
                await self._client.command(f"DROP TABLE IF EXISTS {self._database}.`{name}`")
            elif name != _OWN:
                await self._client.command(f"TRUNCATE TABLE {self._database}.`{name}`")

    async def make_tables(self, tables: list[TableCopy], version: int, database: str, settings: StoreSettings) -> None:
        """Makes empty tables in the shape in which they were copied.

        Args:
            tables: what was copied.
            version: the schema's version then.
            database: the database's name then.
            settings: how long rows stay.
        """
        if version == schema.migrations()[-1][0]:
            await schema.migrate(self._client, self._database, settings)
        else:
            await schema.migrate(self._client, self._database, None, until=version)
        present = set(await self._tables())
        for table in tables:
            if table.name not in present:
                mine = table.create.replace(f" {database}.{table.name} ", f" {self._database}.{table.name} ", 1)
                await self._client.command(mine)

    async def fill(self, table: TableCopy, piece: bytes, token: str) -> None:
        """Inserts one piece; a table that has seen ``token`` of late drops it."""
        await self._client.insert_native(f"{self._database}.{table.name}", table.columns, piece, token)

    async def _freeze(self, table: str, copy: str) -> TableCopy:
        where = {"database": self._database, "table": table}
        about = await self._client.query(
            """
            SELECT engine, partition_key, sorting_key, primary_key, storage_policy, create_table_query
            FROM system.tables WHERE database = {database:String} AND name = {table:String}""",
            where,
        )
        engine, partition, order, primary, policy, create = about[0]
        columns = [
            str(row[0])
            for row in await self._client.query(
                """
                SELECT name FROM system.columns WHERE database = {database:String} AND table = {table:String}
                AND default_kind NOT IN ('ALIAS', 'MATERIALIZED', 'EPHEMERAL') ORDER BY position""",
                where,
            )
        ]
        target, source = f"{self._database}.`{copy}`", f"{self._database}.`{table}`"
        by = f"PARTITION BY {partition} " if partition else ""
        key = f"PRIMARY KEY ({primary}) " if primary and primary != order else ""
        stands = f", storage_policy = '{policy}'" if policy not in ("", "default") else ""
        await self._client.command(
            f"CREATE TABLE {target} AS {source} ENGINE = MergeTree {by}{key}ORDER BY ({order}) SETTINGS {_UNMERGED}{stands}"
        )
        if engine.startswith(_REPLICATED):
            await self._client.command(f"SYSTEM SYNC REPLICA {source}")  # what was written through another replica
        await self._client.command(f"ALTER TABLE {target} ATTACH PARTITION ALL FROM {source}")
        rows = await self._client.query(f"SELECT count() FROM {target}")
        return TableCopy(name=table, create=str(create), columns=columns, rows=int(rows[0][0]))

    async def _tables(self) -> list[str]:
        """The tables that hold rows, without copies and without the list of migrations."""
        rows = await self._client.query(
            """
            SELECT name FROM system.tables
            WHERE database = {database:String} AND engine LIKE '%MergeTree' AND NOT is_temporary
                AND name != {own:String} AND NOT match(name, {copies:String}) AND NOT startsWith(name, '.')
            ORDER BY name""",
            {"database": self._database, "own": _OWN, "copies": f"^{_PREFIX}[0-9a-f]{{32}}_"},
        )
        return [str(row[0]) for row in rows]

    async def _parts(self, table: str) -> list[_Part]:
        rows = await self._client.query(
            """
            SELECT name, partition_id, rows, data_uncompressed_bytes FROM system.parts
            WHERE database = {database:String} AND table = {table:String} AND active
            ORDER BY partition_id, min_block_number""",
            {"database": self._database, "table": table},
        )
        return [_Part(str(name), str(partition), int(count), int(size)) for name, partition, count, size in rows]

    async def _remove_abandoned(self) -> None:
        rows = await self._client.query(
            """
            SELECT name FROM system.tables WHERE database = {database:String} AND match(name, {copies:String})
                AND metadata_modification_time < now() - {old:Int64}""",
            {"database": self._database, "copies": f"^{_PREFIX}[0-9a-f]{{32}}_", "old": ABANDONED_SECONDS},
        )
        for (table,) in rows:
            await self._client.command(f"DROP TABLE IF EXISTS {self._database}.`{table}`")


def _conditions(parts: list[_Part]) -> Iterator[str]:
    """What picks each piece: several small parts of one partition, or some rows of a large one."""
    group: list[str] = []
    size, partition = 0, ""
    for part in parts:
        if group and (part.partition != partition or size + part.size > PIECE_BYTES):
            yield f"_part IN ({', '.join(group)})"
            group, size = [], 0
        partition = part.partition
        if part.size <= PIECE_BYTES:
            group.append(f"'{part.name}'")
            size += part.size
            continue
        step = max(1, part.rows * PIECE_BYTES // part.size)
        for begin in range(0, part.rows, step):
            yield f"_part = '{part.name}' AND _part_offset >= {begin} AND _part_offset < {begin + step}"
    if group:
        yield f"_part IN ({', '.join(group)})"
