"""The tables: schema/clickhouse/NNN_name.sql applied once each in order, and retention.sql whenever the days changed."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from qraft.config.store import StoreSettings
from qraft.store.client import Client
from qraft.store.errors import StoreRejected

_NUMBERED: Final = re.compile(r"(\d{3})_(\w+)\.sql")
_COMMENT: Final = re.compile(r"--[^\n]*")
_ALTERED: Final = re.compile(r"ALTER TABLE \S+\.(\w+)")
_DAYS: Final = re.compile(r"toIntervalDay\((\d+)\)")


def schema_dir() -> Traversable:
    """The folder ``schema``: inside the installed package, or at the root of the repository."""
    packed = importlib.resources.files("qraft") / "_schema"
    return packed if packed.is_dir() else Path(__file__).resolve().parents[2] / "schema"


def migrations() -> list[tuple[int, str, str]]:
    """Number, name and text of each migration, in order."""
    files = [(_NUMBERED.fullmatch(file.name), file) for file in (schema_dir() / "clickhouse").iterdir()]
    return sorted((int(found[1]), found[2], file.read_text(encoding="utf-8")) for found, file in files if found)


def statements(sql: str) -> Iterator[str]:
    """The statements of a schema file, without comments; 001_init.sql says how it is read."""
    return (part.strip() for part in _COMMENT.sub("", sql).split(";") if part.strip())


async def migrate(client: Client, database: str, settings: StoreSettings | None, *, until: int | None = None) -> None:
    """Makes the database and brings its tables to this version's shape. Doing it again changes nothing.

    Without ``settings`` its rows stay for ever. With ``until`` it stops at the shape of that version.

    Raises:
        StoreRejected: the database was made by a newer Qraft, or the server refuses a statement.
    """
    await client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    await client.command(
        f"""
        CREATE TABLE IF NOT EXISTS {database}.schema_migrations
        (version UInt32, name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
        ENGINE = ReplacingMergeTree ORDER BY version"""
    )
    known = migrations()
    done = {int(row[0]) for row in await client.query(f"SELECT version FROM {database}.schema_migrations FINAL")}
    if done and max(done) > known[-1][0]:
        raise StoreRejected(
            f"database {database} has schema version {max(done)}, this Qraft knows {known[-1][0]}; "
            "install the newer Qraft or configure another database"
        )
    for version, name, text in known:
        if version not in done and (until is None or version <= until):
            for statement in statements(text.replace("{database}", database)):
                await client.command(statement)
            await client.command(
                f"INSERT INTO {database}.schema_migrations (version, name) SELECT {{version:UInt32}}, {{name:String}}",
                {"version": version, "name": name},
            )
    await _retain(client, database, settings)


async def _retain(client: Client, database: str, settings: StoreSettings | None) -> None:
    """Applies the statements of retention.sql whose table has other days; what is archived, or kept for ever, gets none."""
    days = settings or StoreSettings()
    text = (schema_dir() / "clickhouse" / "retention.sql").read_text(encoding="utf-8")
    text = text.replace("{database}", database)
    text = text.replace("{retention_days}", str(days.retention_days)).replace("{important_days}", str(days.important_days))
    tables = "SELECT name, create_table_query FROM system.tables WHERE database = {database:String}"
    present = {name: _DAYS.findall(create) for name, create in await client.query(tables, {"database": database})}
    for statement in statements(text):
        table = _ALTERED.match(statement)
        if table is None:
            await client.command(statement)
        elif settings is None or (settings.archive.url and table[1] in settings.archive.tables):
            if present.get(table[1]):
                await client.command(f"ALTER TABLE {database}.{table[1]} REMOVE TTL")
        elif present.get(table[1]) != _DAYS.findall(statement):
            await client.command(statement)
