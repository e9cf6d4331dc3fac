"""The adapter of docs/writing-an-adapter.md, installed as a package, run by a real engine that is killed on the way."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import clickhouse_connect
import pytest

from tests.docs.pages import ROOT, blocks, commands
from tests.e2e.harness import EngineProcess, count, until

PAGE = "docs/writing-an-adapter.md"
FILES = {block.file: block.text for block in blocks(PAGE) if block.file}
ROWS = 2000


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's package installed in it, on the path of child processes."""
    folder = tmp_path / "site"
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    for group, points in project["entry-points"].items():
        lines = "".join(f"{name} = {place}\n" for name, place in points.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}", encoding="utf-8")
    (folder / "acme_sqlite.py").write_text(FILES["acme_sqlite.py"], encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
    return folder


def database_of_the_page(folder: Path) -> Path:
    """The database as the page's own commands make it."""
    (script,) = [one.text for one in commands(PAGE) if "sqlite3.connect" in one.text]
    code = re.sub(r"^python - <<'END'\n|END$", "", script)
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=60)
    return folder / "orders.db"


def add(path: Path, rows: list[tuple[object, str, float]]) -> None:
    with sqlite3.connect(path) as database:
        database.executemany("INSERT INTO orders (placed, shop, amount) VALUES (?, ?, ?)", rows)


def checked(folder: Path, text: str) -> tuple[int, str]:
    """The exit status of `qraft check` over a configuration, and what it said."""
    (folder / "checked.toml").write_text(text, encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-m", "qraft.cli", "check", "checked.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return found.returncode, found.stdout + found.stderr


def test_its_settings_are_checked_like_any(site: Path, tmp_path: Path) -> None:
    status, said = checked(tmp_path, FILES["orders.toml"])
    assert status == 0, said
    assert "orders: acme_sqlite" in said
    status, said = checked(tmp_path, FILES["orders.toml"] + "interval_seconds = 0\ntabel = 3\n")
    assert status == 1
    assert "sources.orders.interval_seconds" in said
    assert 'did you mean "table"?' in said


def rows_stored(url: str, database: str, source: str) -> Callable[[], int]:
    def ask() -> int:
        with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
            query = f"SELECT count() FROM {database}.raw_events WHERE source = '{source}'"
            return int(client.query(query).result_rows[0][0])

    return ask


async def test_it_is_resumed_told_and_retried_as_the_page_says(
    site: Path, tmp_path: Path, nats_url: str, clickhouse_url: str, database: str
) -> None:
    path = database_of_the_page(tmp_path)
    orders = tomllib.loads(FILES["orders.toml"])["sources"]["orders"] | {"path": str(path), "interval_seconds": 0.1}
    late = tmp_path / "late.db"
    engine = EngineProcess(
        tmp_path / "engine",
        {
            "engine": {"partitions": 2, "barrier_seconds": 0.5},
            "nats": {"url": nats_url, "max_bytes": "200 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
            "sources": {
                "orders": orders,
                "wrong": orders | {"table": "absent"},
                "late": orders | {"path": str(late)},
            },
        },
    )
    engine.start()
    try:
        stored = rows_stored(clickhouse_url, database, "orders")
        await until(lambda: count(clickhouse_url, database, "raw_events") > 0 and stored() == ROWS, 90, "the first rows")
        engine.kill()
        add(path, [(1_800_000_000 + n, "s2", 20.0) for n in range(300)])
        add(path, [("yesterday", "s2", 21.0)])
        engine.start()
        await until(lambda: stored() == ROWS + 300, 90, "the rows that came while the engine was down")
        await until(lambda: count(clickhouse_url, database, "dead_letters") == 1, 60, "the row without a time")
        await until(
            lambda: "no such table: absent" in engine.said() and "late.db: unable to open" in engine.said(), 60, "words"
        )
        with sqlite3.connect(path) as gone:
            gone.execute("DELETE FROM orders WHERE id > 1000")
        await until(lambda: "rewound: orders ends at row 1000, read up to 2301 already" in engine.said(), 60, "the notice")
        path.rename(late)
        await until(lambda: rows_stored(clickhouse_url, database, "late")() == 1000, 90, "the source that was not there")
        assert stored() == ROWS + 300
        assert engine.said().count("rewound: orders") == 1
    finally:
        assert engine.stop() == 0, engine.said()
