"""A standing terminal while servers and engine are killed: it stays, says so, keeps what is said, fills what it missed."""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qraft.config import ClickHouseAddress
from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.nats import start_nats
from qraft.embedded.process import Child
from qraft.model import iso_from_us
from qraft.store import EpisodeQuery, Store
from tests.conftest import run_apart
from tests.e2e.harness import EngineProcess, count
from tests.e2e.tmux import Terminal, needs_tmux, qraft, rows_of, wait
from tests.faults.relay import Relay
from tui.history.backfill import AGAIN_SECONDS

pytestmark = [needs_tmux, pytest.mark.timeout(240)]

UNITS = 14
WARM_ROWS = 260


class Feed:
    """A file that grows by rows of now; a unit that is struck is an anomaly for sure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._random = random.Random(5)
        self._struck = 0
        now = time.time()
        with path.open("w", encoding="utf-8") as out:
            out.write("t,unit,a,b\n")
            for n in range(WARM_ROWS):
                for unit in range(UNITS):
                    out.write(self._row(now - 5 - (WARM_ROWS - n), unit))

    def _row(self, at: float, unit: int, more: float = 0.0) -> str:
        a, b = self._random.gauss(more, 1), self._random.gauss(10, 1)
        return f"{iso_from_us(int(at * 1e6))},unit-{unit:02d},{a:.6f},{b:.6f}\n"

    def strike(self) -> str:
        """Adds a row that stands out, of a unit that had none; the unit's name."""
        unit, self._struck = self._struck, self._struck + 1
        with self._path.open("a", encoding="utf-8") as out:
            out.write(self._row(time.time(), unit, 60.0))
        return f"unit-{unit:02d}"


class Parts:
    """An engine with servers of the test's own, so that each can be away as long as the test likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.feed = Feed(folder / "rows.csv")
        self._terminals: list[Terminal] = []
        self.nats = self._nats()
        self.clickhouse = self._clickhouse()
        self.engine = EngineProcess(
            folder / "engine",
            {
                "engine": {"barrier_seconds": 0.5},
                "nats": {"url": self.nats.url, "max_bytes": "64 MiB"},
                "clickhouse": {"url": self.clickhouse.url},
                "detect": {"silence": {"enabled": False}},
                "sources": {
                    "bench-rig": {"adapter": "file", "path": str(folder / "rows.csv"), "time": "t", "entity": "unit"}
                },
            },
        )
        self.engine.start()

    def _nats(self, port: int = 0) -> Child:
        log = self.folder / "nats.log"
        return run_apart(start_nats(self.folder / "nats", port=port, max_store=1024**3, log=log))

    def _clickhouse(self, port: int = 0) -> Child:
        return run_apart(start_clickhouse(self.folder / "clickhouse", port=port, log=self.folder / "clickhouse.log"))

    def kill(self, child: Child) -> None:
        """As a crash would end a server."""
        run_apart(child.kill())

    def nats_again(self) -> None:
        """On the same port."""
        self.nats = self._nats(port_of(self.nats))

    def clickhouse_again(self) -> None:
        """On the same port."""
        self.clickhouse = self._clickhouse(port_of(self.clickhouse))

    def terminal(self, *options: str, user: str = "ops1") -> Terminal:
        """`qraft tui` on it."""
        where = ["--config", str(self.engine.config), "--data-dir", str(self.engine.data_dir)]
        opened = Terminal(qraft("tui", *where, *options), user=user)
        self._terminals.append(opened)
        return opened

    def whole(self) -> None:
        """Starts what a test that failed left dead."""
        if self.nats.returncode is not None:
            self.nats_again()
        if self.clickhouse.returncode is not None:
            self.clickhouse_again()
        if not self.engine.alive():
            self.engine.start()

    def close_terminals(self) -> None:
        """Ends every terminal."""
        while self._terminals:
            self._terminals.pop().close()

    def stop(self) -> None:
        """Ends everything."""
        self.close_terminals()
        if self.engine.alive():
            self.engine.stop()
        for child in (self.clickhouse, self.nats):
            run_apart(child.stop())

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        return rows_of(self.clickhouse.url, "qraft", sql)

    def warm(self) -> bool:
        """Whether what stood in the file at the start is stored."""
        return count(self.clickhouse.url, "qraft", "clean_events") >= UNITS * WARM_ROWS

    def patterns(self, unit: str = "") -> set[str]:
        """The ids of the patterns stored, of one unit or of all."""
        rows = self.ask("SELECT DISTINCT pattern_id AS id, entity FROM pattern_events")
        return {row["id"] for row in rows if unit in ("", row["entity"])}

    def strike(self) -> str:
        """Lets a unit stand out and waits until its patterns are stored; its name."""
        unit = self.feed.strike()
        wait(lambda: self.patterns(unit), f"patterns of {unit} are stored", 60)
        return unit

    def judged(self) -> list[tuple[str, str]]:
        """Pattern and verdict of everything said, every row, repeats and all."""
        rows = self.ask("SELECT pattern_id, verdict FROM pattern_feedback ORDER BY timestamp")
        return [(row["pattern_id"], row["verdict"]) for row in rows]

    def unsent(self) -> int:
        """Verdicts that the journal holds."""
        return len(list((self.engine.data_dir / "unsent").glob("*.json")))

    def episodes(self) -> set[tuple[str, int]]:
        """Peak and number of patterns of every stored episode."""

        async def ask() -> set[tuple[str, int]]:
            async with await Store.connect(ClickHouseAddress(self.clickhouse.url), database="qraft") as store:
                found = await store.episodes.list(EpisodeQuery(limit=1000, now_us=time.time_ns() // 1000))
                return {(one.peak.pattern_id, one.n) for one in found}

        return run_apart(ask())


def port_of(child: Child) -> int:
    return int(child.url.rpartition(":")[2])


def listed(terminal: Terminal, folder: Path) -> set[tuple[str, int]]:
    """Peak and number of patterns of every episode in a terminal's list, by its own export."""
    file = folder / "list.csv"
    file.unlink(missing_ok=True)
    terminal.press("E")
    terminal.sees("export to")
    terminal.press("C-u")
    terminal.write(str(file))
    wait(file.exists, "the list is exported")
    with file.open(encoding="utf-8", newline="") as rows:
        return {(row["pattern_id"], int(row["n"])) for row in csv.DictReader(rows)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    made = Parts(tmp_path_factory.mktemp("parts"))
    try:
        wait(made.warm, "the engine has judged what was there", 60)
        yield made
    finally:
        made.stop()


@pytest.fixture
def parts(shared: Parts) -> Iterator[Parts]:
    """One engine for all tests; each begins with every part there and ends with no terminal open."""
    shared.whole()
    yield shared
    shared.close_terminals()


def test_verdicts_survive_nats_the_terminal_and_a_kill_and_are_stored_once(parts: Parts) -> None:
    first, second = parts.strike(), parts.strike()
    terminal, beside = parts.terminal(), parts.terminal(user="ops2")
    for one in (terminal, beside):
        one.sees(first, second, "● nats", "● engine")

    parts.kill(parts.nats)
    for one in (terminal, beside):
        one.sees("nats LOST", "NATS lost ", "retrying", "data as of ")
    ago = [int(word) for word in terminal.sees("NATS lost 2s").split("NATS lost ")[1].split("s", 1)[:1]]
    assert ago == [2]
    terminal.press("g")
    ids = [terminal.copied("y", "the id copied").strip()]
    terminal.press("c")
    terminal.row_shows("CONFIRMED", "◌ unsent")
    terminal.sees("│ ◌ 1 unsent", "1 verdict queued")
    terminal.press("j")
    terminal.row_shows("NEW")
    ids.append(terminal.copied("y", "the id copied").strip())
    terminal.press("x")
    terminal.row_shows("FALSE POS", "◌ unsent")
    terminal.sees("│ ◌ 2 unsent", "2 verdicts queued")
    terminal.press("q")
    assert "2 verdicts are not sent yet" in terminal.ended()

    terminal = parts.terminal()
    terminal.sees("NATS not reachable for ", "│ ◌ 2 unsent", first)
    terminal.press("g")
    terminal.row_shows("CONFIRMED", "◌ unsent")
    terminal.press("j")
    terminal.row_shows("FALSE POS", "◌ unsent")
    terminal.press("j")
    terminal.row_shows("NEW")
    ids.append(terminal.copied("y", "the id copied").strip())
    terminal.press("e")
    terminal.row_shows("EXPECTED", "◌ unsent")
    terminal.kill()
    assert parts.unsent() == 3

    terminal = parts.terminal()
    terminal.sees("│ ◌ 3 unsent", first)
    assert parts.judged() == []
    missed = parts.feed.strike()
    parts.nats_again()
    for one in (terminal, beside):
        one.sees("● nats", "● engine", missed, seconds=60)
    terminal.lacks("unsent")
    terminal.press("g")
    terminal.until(lambda shown: shown.count("● stored") >= 3, "all three are stored")
    wait(lambda: len(parts.judged()) >= 3, "all three are in ClickHouse")
    said = list(zip(ids, ["confirmed", "false_positive", "expected"], strict=True))
    assert parts.judged() == said
    assert parts.unsent() == 0

    beside.press("g")
    beside.sees("── gap ", "NATS lost ")
    beside.until(lambda shown: shown.count("@ops1") >= 3, "what was said meanwhile is there")
    wait(lambda: listed(beside, parts.folder) == parts.episodes(), "the list equals what is stored", 40)
    time.sleep(2)
    assert parts.judged() == said


def test_what_was_missed_behind_a_cut_wire_is_filled_in_from_clickhouse(parts: Parts) -> None:
    first = parts.strike()
    with Relay(port_of(parts.nats)) as wire:
        terminal = parts.terminal("--nats", f"nats://127.0.0.1:{wire.port}")
        terminal.sees("● nats", "● engine", first)
        known = parts.patterns()
        time.sleep(AGAIN_SECONDS + 2)  # after that it asks the database no more by itself
        wire.cut()
        terminal.sees("nats LOST", "NATS lost ")
        units = [parts.strike() for _ in range(3)]
        missed = parts.patterns() - known
        assert len(missed) >= 3
        assert {peak for peak, _ in listed(terminal, parts.folder)} <= known
        wire.mend()
        terminal.sees("● nats")
        wait(lambda: listed(terminal, parts.folder) == parts.episodes(), "the list equals what is stored", 60)
        terminal.press("g")
        terminal.sees("── gap ", f" {len(missed)} patterns filled in from ClickHouse", *units)
        last = parts.feed.strike()
        terminal.sees(last)


def test_clickhouse_and_the_engine_away(parts: Parts) -> None:
    first = parts.strike()
    terminal = parts.terminal()
    terminal.sees("● nats", "● engine", "● clickhouse", first)

    parts.kill(parts.clickhouse)
    terminal.sees("clickhouse LOST", "ClickHouse lost, the engine keeps everything until it is back")
    live = parts.feed.strike()
    terminal.sees(live, "● nats")
    terminal.press("H")
    terminal.sees("ClickHouse cannot answer", "r asks again")
    terminal.press("L")
    parts.clickhouse_again()
    terminal.sees("● clickhouse")
    terminal.lacks("ClickHouse lost")
    terminal.press("H")
    terminal.press("r")
    terminal.sees(first, live)
    terminal.press("L")

    parts.engine.kill()
    terminal.sees("engine SILENT", "engine main silent for ", "data as of ")
    parts.engine.start()
    terminal.sees("● engine", seconds=60)
    terminal.lacks("silent for")
    again = parts.feed.strike()
    terminal.sees(again, seconds=60)
