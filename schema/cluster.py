"""Writes schema/clickhouse/cluster: the tables of schema/clickhouse for a ClickHouse cluster of replicas.

``python schema/cluster.py`` writes one file for each migration, its statements ON CLUSTER, the tables replicated; a
test holds that they are current. An administrator applies them, in order, before the engine of that version starts: that
finds its migrations done then. One shard is meant, so there is no Distributed table: each replica holds all rows.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent / "clickhouse"
DATABASE: Final = "qraft"
_ON: Final = "ON CLUSTER '{cluster}'"
_NUMBERED: Final = re.compile(r"(\d{3})_(\w+)\.sql")
_WEEK_SECONDS: Final = 604_800
_HEAD: Final = """\
-- Written by `python schema/cluster.py` from schema/clickhouse/{name}; edits are lost.
-- clickhouse-client --queries-file schema/clickhouse/cluster/*.sql
-- '{{cluster}}' is a macro of the server's configuration; deploy/clickhouse has an example.

"""
_FIRST: Final = f"""\
CREATE DATABASE IF NOT EXISTS {DATABASE} {_ON};

CREATE TABLE IF NOT EXISTS {DATABASE}.schema_migrations {_ON}
(version UInt32, name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = ReplicatedReplacingMergeTree ORDER BY version;

"""


def cluster_files() -> dict[str, str]:
    """File name → text of each file of the folder."""
    files: dict[str, str] = {}
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        found = _NUMBERED.fullmatch(path.name)
        assert found is not None, path
        number, name = int(found[1]), found[2]
        body = replicated(path.read_text(encoding="utf-8"))
        done = f"INSERT INTO {DATABASE}.schema_migrations (version, name) VALUES ({number}, '{name}');\n"
        files[path.name] = _HEAD.format(name=path.name) + (_FIRST if number == 1 else "") + f"{body}\n\n{done}"
    return files


def replicated(sql: str) -> str:
    """The statements of a migration for a cluster, without comments.

    A block that comes again is told by its token on every replica. Its tokens are kept for a week: an engine that was away
    for that long may repeat its last one.
    """
    sql = re.sub(r"--[^\n]*\n", "", sql).strip()
    sql = re.sub(r"(CREATE TABLE IF NOT EXISTS|ALTER TABLE) \{database\}\.(\w+)", rf"\1 {DATABASE}.\2 {_ON}", sql)
    sql = re.sub(r"ENGINE = (\w*MergeTree)", r"ENGINE = Replicated\1", sql)
    windows = f"replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = {_WEEK_SECONDS}"
    return sql.replace("non_replicated_deduplication_window = 1000", windows)


def main() -> None:
    """Writes the folder anew."""
    folder = FOLDER / "cluster"
    folder.mkdir(exist_ok=True)
    files = cluster_files()
    for path in folder.glob("*.sql"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
