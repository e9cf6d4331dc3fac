"""A person at a terminal: `qraft up` with the interface in front, from the first finding to the last process that ends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qraft.config import RunInfo, read_run
from tests.e2e.harness import children_of, count, gone, write_rows
from tests.e2e.tmux import NARROW, WIDE, Terminal, control, needs_tmux, qraft, rows_of, wait

pytestmark = needs_tmux

ROWS = 12_000
CONFIG = """
[engine]
barrier_seconds = 0.5
[nats]
max_bytes = "64 MiB"
[sources.bench-rig]
adapter = "file"
path = "rows.csv"
mode = "replay"
time = "t"
rate = 2000
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.csv", ROWS, seed=3)
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


@pytest.fixture(params=[WIDE, NARROW], ids=["120x36", "80x24"])
def terminal(folder: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    where = ["--config", str(folder / "config.toml"), "--data-dir", str(folder / "data")]
    opened = Terminal(qraft("up", *where), request.param)
    yield opened
    opened.close()


def run_of(folder: Path) -> RunInfo:
    found = read_run(folder / "data")
    assert found is not None
    return found


def test_from_the_first_finding_to_the_last_process(folder: Path, terminal: Terminal) -> None:
    terminal.sees("NEW", "● nats", "● engine", seconds=60)
    run = run_of(folder)

    def said() -> list[dict[str, Any]]:
        sql = "SELECT feedback_id, pattern_id, verdict, note, undoes FROM pattern_feedback ORDER BY timestamp"
        return rows_of(run.clickhouse_url, run.database, sql)

    def lines() -> set[float]:
        return {line for of_source in control(run.nats_url, "threshold").values() for line in of_source.values()}

    wait(lambda: count(run.clickhouse_url, run.database, "clean_events") >= ROWS, "all rows are stored", 60)
    control(run.nats_url, "snapshot")
    before = lines()
    terminal.press("g")
    pattern = json.loads(terminal.copied("Y", "the pattern copied"))
    terminal.press("x")
    terminal.row_shows("FALSE POS", "●")
    wait(lambda: lines() != before, "the verdict moves an alert line")
    terminal.press("u")
    terminal.sees("taken back: false positive")
    wait(lambda: lines() == before, "and taking it back moves it back")
    terminal.press("i")
    terminal.sees("enter keeps it")
    terminal.write("seen at the pump")
    terminal.sees("noted")
    terminal.press("c")
    terminal.row_shows("CONF", "●")
    wait(lambda: len(said()) == 4, "all of it is stored")
    false, undo, note, confirmed = said()
    assert {one["pattern_id"] for one in said()} == {pattern["pattern_id"]}
    assert [false["verdict"], undo["verdict"], note["verdict"], confirmed["verdict"]] == [
        *("false_positive", "undo", "note", "confirmed"),
    ]
    assert (undo["undoes"], note["note"]) == (false["feedback_id"], "seen at the pump")

    for key, screen in {"Enter": "▸ EPISODE", "O": "▸ SOURCES", "H": "▸ HISTORY", "B": "▸ FEEDBACK", "P": "▸ PIPE"}.items():
        terminal.press(key)
        terminal.sees(screen)
    terminal.press("L")

    os.kill(run.pids["nats"], signal.SIGKILL)
    wait(lambda: run_of(folder).pids["nats"] != run.pids["nats"], "`qraft up` starts NATS again")
    terminal.press("g")
    terminal.sees("── gap ", "NATS lost ", "● nats")
    terminal.down_to("NEW")
    other = json.loads(terminal.copied("Y", "the pattern copied"))
    terminal.press("e")
    terminal.row_shows("EXPECT", "●", seconds=60)
    wait(lambda: len(said()) == 5, "a verdict is stored again", 60)
    assert (said()[-1]["verdict"], said()[-1]["pattern_id"]) == ("expected", other["pattern_id"])
    assert other["pattern_id"] != pattern["pattern_id"]

    family = {*run_of(folder).pids.values(), *children_of(run_of(folder).pids["up"])}
    terminal.press("q")
    terminal.ended(60)
    wait(lambda: all(map(gone, family)), "nothing is left")
    assert read_run(folder / "data") is None


def test_the_demo_opens_in_the_terminal(tmp_path: Path) -> None:
    terminal = Terminal(qraft("demo", "--data-dir", str(tmp_path / "data")))
    try:
        terminal.sees("Qraft ▸ LIVE", "host", "shuttle", "generated-market", "● engine", "● clickhouse", seconds=60)
        terminal.press("q")
        terminal.ended(60)
    finally:
        terminal.close()
