"""The replicated tables: they are what the migrations say, and the engine reads every statement of them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.store import Store
from qraft.store.schema import migrations, statements

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "schema" / "clickhouse" / "cluster"
FILES = sorted(FOLDER.glob("*.sql"))


def texts() -> list[str]:
    return [statement for file in FILES for statement in statements(file.read_text(encoding="utf-8"))]


DEFINITIONS = [statement for statement in texts() if not statement.startswith("INSERT")]


def test_the_files_are_current() -> None:
    wanted: dict[str, Any] = runpy.run_path(str(ROOT / "schema" / "cluster.py"))["cluster_files"]()
    assert {file.name: file.read_text(encoding="utf-8") for file in FILES} == wanted, "run `python schema/cluster.py`"
    assert [file.name for file in FILES] == [f"{number:03}_{name}.sql" for number, name, _ in migrations()]


def test_each_statement_is_one_of_the_cluster() -> None:
    for statement in DEFINITIONS:
        assert "ON CLUSTER '{cluster}'" in statement, statement
        if "ENGINE" in statement:
            assert re.search(r"ENGINE = Replicated\w*MergeTree", statement), statement
            assert "non_replicated" not in statement
    assert not re.search(r"\{database\}", "".join(texts()))


@pytest.mark.parametrize("statement", DEFINITIONS, ids=lambda text: " ".join(text.split()[:6]))
def test_the_engine_reads_each_statement(statement: str, clickhouse_url: str) -> None:
    answer = httpx.post(clickhouse_url, content=f"EXPLAIN AST {statement}", timeout=30)
    assert answer.status_code == httpx.codes.OK, answer.text
    assert "Query" in answer.text


async def test_on_one_server_they_make_the_tables_that_the_engine_makes(
    clickhouse_url: str, database: str, tmp_path: Path
) -> None:
    """The same statements without what needs a Keeper: every column, key and setting is that of the migrations."""
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        await store.migrate(StoreSettings())
    other = f"{database}_cluster"
    try:
        for statement in texts():
            own = statement.replace(" ON CLUSTER '{cluster}'", "").replace("ENGINE = Replicated", "ENGINE = ")
            own = own.replace("qraft.", f"{other}.").replace("EXISTS qraft", f"EXISTS {other}")
            own = re.sub(r"replicated_deduplication_window_seconds = \d+,? ?", "", own)
            own = own.replace("replicated_deduplication_window = 1000, ", "non_replicated_deduplication_window = 1000, ")
            run(clickhouse_url, re.sub(r", *$", "", own.strip()))
        columns = "SELECT table, name, type, default_expression FROM system.columns WHERE database = '{}' ORDER BY ALL"
        tables = "SELECT name, engine, partition_key, sorting_key FROM system.tables WHERE database = '{}' ORDER BY ALL"
        for sql in (columns, tables, "SELECT version, name FROM {}.schema_migrations FINAL ORDER BY version"):
            assert run(clickhouse_url, sql.format(other)) == run(clickhouse_url, sql.format(database))
    finally:
        run(clickhouse_url, f"DROP DATABASE IF EXISTS {other}")


def run(url: str, sql: str) -> str:
    answer = httpx.post(url, content=sql, timeout=30)
    assert answer.status_code == httpx.codes.OK, f"{sql}\n{answer.text}"
    return answer.text


@pytest.mark.parametrize("file", sorted((ROOT / "deploy" / "clickhouse").rglob("*.xml")), ids=lambda file: file.name)
def test_the_configuration_of_the_server_is_well_formed(file: Path) -> None:
    assert ElementTree.parse(file).getroot().tag == "clickhouse"
