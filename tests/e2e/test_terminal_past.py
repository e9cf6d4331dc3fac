"""Past time on a real instance: windows, HISTORY page by page, the query copied and run, exports; and every other screen."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from qraft.config import ClickHouseAddress
from qraft.filter import parse
from qraft.store import EpisodeQuery, Store, StoredEpisode
from tests.conftest import run_apart
from tests.e2e.tmux import Instance, Terminal, needs_tmux, rows_of, wait

pytestmark = needs_tmux

UNITS, ROWS = 84, 215
BEGIN = 1_700_000_000
"""2023-11-14 22:13:20 UTC; a row a minute of each unit, to 01:48."""
CONFIG = """
[engine]
barrier_seconds = 0.5
[nats]
max_bytes = "64 MiB"
[detect.novelty]
warmup = 100
[detect.forest]
window = 60
[sources.bench-rig]
adapter = "file"
path = "rows.csv"
mode = "replay"
time = "t"
entity = "unit"
rate = 8000
"""


def write_units(path: Path) -> None:
    """Units of two fields, each of which stands out once and changes its level near the end: some episodes of each."""
    rng = random.Random(5)
    with path.open("w", encoding="utf-8") as out:
        out.write("t,unit,a,b\n")
        for n in range(ROWS):
            for unit in range(UNITS):
                a = rng.gauss(25 if n == 160 + unit % 30 else 0, 1)
                b = rng.gauss(22 if n >= 208 - unit % 3 else 10, 1)
                out.write(f"{BEGIN + n * 60},unit-{unit:03d},{a:.6f},{b:.6f}\n")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("past")
    write_units(folder / "rows.csv")
    made = Instance(folder, CONFIG)
    try:
        made.start()
        made.settle(UNITS * ROWS)
        yield made
    finally:
        made.stop()


def stored(instance: Instance, text: str, since: str, until: str) -> list[StoredEpisode]:
    """The episodes of a filter in a window, by the store's own query."""

    def micros(moment: str) -> int:
        return (
            int(rows_of(instance.run.clickhouse_url, "default", f"SELECT toUnixTimestamp('{moment}', 'UTC') AS at")[0]["at"])
            * 10**6
        )

    async def ask() -> list[StoredEpisode]:
        async with await Store.connect(
            ClickHouseAddress(instance.run.clickhouse_url), database=instance.run.database
        ) as store:
            until_us = micros(until)
            query = EpisodeQuery(
                filter=parse(text), since_us=micros(since), until_us=until_us, now_us=until_us, limit=10_000
            )
            return await store.episodes.list(query)

    return run_apart(ask())


def go(terminal: Terminal, window: str, shown: str) -> None:
    """Puts the screens on a window of time."""
    terminal.press("t")
    terminal.sees("now")
    terminal.write(window)
    terminal.sees("« ", shown)


def narrow(terminal: Terminal, text: str) -> None:
    """Sets the filter."""
    terminal.press("/")
    terminal.sees("esc clear")
    terminal.write(text)
    terminal.sees(f"/{text}")


def test_windows_of_the_past_on_the_live_screen(instance: Instance) -> None:
    terminal = instance.terminal()
    terminal.sees("2 EPISODES", "● clickhouse", "▌")
    terminal.press("[")
    terminal.sees(" « ", "no episode is stored of this time")
    terminal.press("{")
    terminal.sees(" « 2023-11-14 22:13", "« bench-rig")
    go(terminal, "2023-11-15T01:00/+30m", "2023-11-15 01:00–01:30")
    found = stored(instance, "", "2023-11-15 01:00:00", "2023-11-15 01:30:00")
    assert len(found) > 20
    terminal.sees(f"· {len(found)} new")
    assert len(instance.ask(terminal.copied("C-y", "the query copied"))) == len(found)
    terminal.press("]")
    terminal.sees("2023-11-15 01:15–01:45")
    later = stored(instance, "", "2023-11-15 01:15:00", "2023-11-15 01:45:00")
    terminal.sees(f"· {len(later)} new")
    terminal.press("}")
    terminal.lacks("«")
    terminal.sees("● engine")


def test_history_page_by_page_its_query_and_its_exports(instance: Instance, tmp_path: Path) -> None:
    everything = stored(instance, "", "2023-11-14 00:00:00", "2023-11-16 00:00:00")
    assert len(everything) > 200, "one page is not enough for the test"
    terminal = instance.terminal()
    terminal.sees("2 EPISODES", "● clickhouse", "▌")
    go(terminal, "2023-11-14/+2d", "2023-11-14")
    terminal.press("H")
    terminal.sees("HISTORY", f"200 of {len(everything)}")
    while f" {len(everything)} of {len(everything)}" not in terminal.screen():
        terminal.press("G")
        terminal.lacks("asking …")
    terminal.press("G")
    last = everything[-1].peak
    terminal.row_shows(f"{last.source}/{last.entity}")

    text = "kind:drift score>.6"
    found = stored(instance, text, "2023-11-14 00:00:00", "2023-11-16 00:00:00")
    assert 0 < len(found) < len(everything)
    narrow(terminal, text)
    shown = min(200, len(found))
    terminal.sees(f" {shown} of {len(found)} ")
    rows = instance.ask(terminal.copied("C-y", "the query copied"))
    assert [row["pattern_id"] for row in rows] == [one.peak.pattern_id for one in found[: len(rows)]]
    assert len(rows) == shown

    wanted = [(one.peak.pattern_id, one.n, one.peak.entity, one.peak.details.confidence) for one in found]
    columns = ["pattern_id", "n", "entity", "confidence"]
    for suffix, read in ((".csv", pl.read_csv), (".parquet", pl.read_parquet)):
        file = tmp_path / f"found{suffix}"
        terminal.press("E")
        terminal.sees("export to")
        terminal.press("C-u")
        terminal.write(str(file))
        wait(file.exists, "the file is there")
        terminal.sees(f"{len(found)} rows written to")
        assert read(file).select(columns).rows() == wanted


def test_every_screen_shows_what_it_is_for(instance: Instance) -> None:
    terminal = instance.terminal()
    terminal.sees("2 EPISODES", "● clickhouse", "▌")
    terminal.press("g")
    pattern = terminal.copied("y", "the id copied").strip()
    terminal.press("Enter")
    terminal.sees("▸ EPISODE", pattern, "1 CHART", "2 WHY", "FIELD", "3 RAW EVENTS", "loaded", "4 LABELS", "5 LIKE THIS")
    terminal.press("c")
    terminal.sees("@ops1", "CONFIRMED")
    terminal.press("u")
    terminal.sees("taken back")
    terminal.press("O")
    terminal.sees("SOURCES 1", "bench-rig", "EVENTS", "LOST", f"entities {UNITS}", "FIELD", "100 %")
    terminal.press("B")
    terminal.sees("FEEDBACK", "@ops1", "confirmed", "taken back")
    terminal.press("P")
    terminal.sees("detection full", "STAGE", "detect", instance.run.nats_url, "pattern_events", "loop lag", "memory")
    terminal.press("L")
    terminal.sees("2 EPISODES")

    terminal.press("?")
    shown = terminal.sees(
        "KEYS", "it is real: tell me sooner next time", "copy the ClickHouse query of this view", "not now"
    )
    assert "clickhouse query" in shown.lower()
    terminal.press("Escape")
    terminal.lacks("─ KEYS ")
    terminal.press("C-p")
    terminal.sees("an action, a screen, a source")
    terminal.tmux("send-keys", "-l", "pipe")
    terminal.sees("terminal's own cost")
    terminal.press("Enter")
    terminal.sees("▸ PIPE")
    terminal.press("L")

    before = terminal.tmux("capture-pane", "-p", "-e")
    terminal.press(":")
    terminal.sees("tab completes")
    terminal.write("theme light")
    terminal.lacks("tab completes")

    def colours(text: str) -> set[str]:
        return set(re.findall(r"48;2;[0-9;]*?m|48;5;[0-9]+", text))

    wait(lambda: colours(terminal.tmux("capture-pane", "-p", "-e")) != colours(before), "the colours change")
    terminal.press(":")
    terminal.sees("tab completes")
    terminal.write("lang zh")
    terminal.until(lambda shown: re.search("[\u4e00-\u9fff]{2}", shown) is not None and "EPISODES" not in shown, "Chinese")
    terminal.press("q")
    terminal.ended()
