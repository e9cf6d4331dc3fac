"""What an operator says by keys, on a real instance: each thing is read back from ClickHouse, and from the screen again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.harness import write_rows
from tests.e2e.tmux import Instance, Terminal, needs_tmux, wait

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
rate = 4000
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("verdicts")
    write_rows(folder / "rows.csv", ROWS, seed=3)
    made = Instance(folder, CONFIG)
    try:
        made.start()
        made.settle(ROWS)
        assert made.number("pattern_events") > 12, "too few for the tests"
        yield made
    finally:
        made.stop()


def opened(instance: Instance, *, user: str, filter: str = "") -> Terminal:  # noqa: A002 - the terminal's own word
    """A terminal with its cursor on the first row of a filter."""
    terminal = instance.terminal(user=user)
    terminal.sees("2 EPISODES", "● clickhouse", "▌")
    if filter:
        terminal.press("/")
        terminal.sees("esc clear")
        terminal.write(filter)
        terminal.sees(f"/{filter}")
    terminal.press("g")
    return terminal


def said_by(instance: Instance, user: str) -> list[dict[str, str]]:
    return [row for row in instance.feedback() if row["user"] == user]


def pattern_at(terminal: Terminal) -> str:
    """The id of the pattern under the cursor."""
    return terminal.copied("y", "the id copied").strip()


def test_each_verdict_by_its_key(instance: Instance) -> None:
    terminal = opened(instance, user="ops1", filter="kind:drift")
    keys = {
        "c": ("confirmed", "CONFIRMED"),
        "x": ("false_positive", "FALSE POS"),
        "e": ("expected", "EXPECTED"),
        "b": ("new_normal", "NORMAL"),
    }
    judged: dict[str, str] = {}
    for key, (verdict, word) in keys.items():
        pattern = pattern_at(terminal)
        assert pattern not in judged
        terminal.row_shows("NEW")
        terminal.press(key)
        terminal.row_shows(word, "● stored")
        judged[pattern] = verdict
        terminal.press("j")
        terminal.row_shows("NEW")
    wait(lambda: len(said_by(instance, "ops1")) == len(keys), "all of it is stored")
    assert {row["pattern_id"]: row["verdict"] for row in said_by(instance, "ops1")} == judged

    listed = [json.loads(line) for line in instance.call("patterns", "--json", "--limit", "1000").splitlines()]
    assert {row["pattern_id"]: row["verdict"] for row in listed if row["verdict_user"] == "ops1"} == judged

    terminal.press("u")
    terminal.sees("taken back: new normal")
    terminal.press("U")
    terminal.sees("said again: new normal")
    terminal.press("u")
    terminal.sees("taken back: new normal")
    wait(lambda: len(said_by(instance, "ops1")) == 7, "undo, redo and undo are stored")
    normal, undo, again, undo_again = said_by(instance, "ops1")[3:]
    assert [undo["verdict"], undo["undoes"]] == ["undo", normal["feedback_id"]]
    assert [again["verdict"], again["pattern_id"]] == ["new_normal", normal["pattern_id"]]
    assert again["feedback_id"] != normal["feedback_id"]
    assert [undo_again["verdict"], undo_again["undoes"]] == ["undo", again["feedback_id"]]

    terminal.press("q")
    terminal.ended()
    terminal = opened(instance, user="ops1", filter="kind:drift")
    for word in ("CONFIRMED", "FALSE POS", "EXPECTED"):
        terminal.row_shows(word, "● stored")
        terminal.press("j")
    terminal.row_shows("NEW")
    terminal.press("k", "u")
    terminal.sees("taken back: expected")
    wait(lambda: said_by(instance, "ops1")[-1]["undoes"] == said_by(instance, "ops1")[2]["feedback_id"], "and stored")


def test_a_note(instance: Instance) -> None:
    terminal = opened(instance, user="ops3")
    terminal.press("G")
    pattern = pattern_at(terminal)
    terminal.press("i")
    terminal.sees("enter keeps it")
    terminal.write("backup ran, 备份 c x u")
    terminal.sees("noted")
    terminal.row_shows("NEW")
    wait(lambda: said_by(instance, "ops3"), "the note is stored")
    (note,) = said_by(instance, "ops3")
    assert (note["verdict"], note["note"], note["pattern_id"]) == ("note", "backup ran, 备份 c x u", pattern)
    terminal.press("B")
    terminal.sees("@ops3", "backup ran, 备份 c x u")


def test_a_mute_hides_what_it_covers_and_can_be_taken_back(instance: Instance) -> None:
    terminal = opened(instance, user="ops4")
    terminal.press("G")
    pattern = json.loads(terminal.copied("Y", "the pattern copied"))
    terminal.press("m")
    terminal.sees("MUTE WHAT", f"{pattern['type']} of bench-rig by {pattern['detector']}")
    terminal.press("1")
    terminal.sees("mute for", "until")
    terminal.press("C-u")
    terminal.write("30m")
    terminal.sees("muted:", " muted ")
    wait(lambda: said_by(instance, "ops4"), "the mute is stored")
    (mute,) = said_by(instance, "ops4")
    assert mute["verdict"] == "mute"
    assert mute["lasts"] == pytest.approx(1800)
    named = {key: value for key, value in json.loads(mute["scope"]).items() if value}
    assert named == {"source": "bench-rig", "type": pattern["type"], "detector": pattern["detector"]}

    def hidden(shown: str) -> bool:
        return not [row for row in shown.split("\n") if f" {pattern['detector']} " in row and row[1:2] in ("▲", "≈", "◆")]

    terminal.until(hidden, "no row of it is left")
    terminal.press("M")
    terminal.sees("MUTED 29m")
    other = instance.terminal(user="ops5")
    other.sees("2 EPISODES", " muted ")
    terminal.press("u")
    terminal.sees("taken back: muted")
    terminal.lacks("MUTED 2")
    other.lacks(" muted ")
    wait(lambda: len(said_by(instance, "ops4")) == 2, "the undo is stored")
    assert said_by(instance, "ops4")[1]["undoes"] == mute["feedback_id"]


def test_a_verdict_on_three_marked_rows_wants_a_y(instance: Instance) -> None:
    terminal = opened(instance, user="ops6", filter="kind:anomaly")
    terminal.press("v", "v", "v")
    terminal.sees("3 marked")
    ids = pattern_at(terminal).split("\n")
    assert len(ids) == 3
    terminal.press("x")
    terminal.sees("false positive: 3 marked episodes?")
    terminal.press("Enter")
    terminal.lacks("any other key: no")
    assert not said_by(instance, "ops6")
    terminal.press("x")
    terminal.sees("false positive: 3 marked episodes?")
    terminal.press("y")
    terminal.sees("false positive: 3 episodes")
    terminal.until(lambda shown: shown.count("FALSE POS ● stored") >= 3, "three rows are marked so")
    wait(lambda: len(said_by(instance, "ops6")) == 3, "all three are stored")
    assert {row["pattern_id"] for row in said_by(instance, "ops6")} == set(ids)
    assert {row["verdict"] for row in said_by(instance, "ops6")} == {"false_positive"}
    terminal.press("u")
    terminal.sees("taken back: 3 verdicts")
    wait(lambda: len(said_by(instance, "ops6")) == 6, "the undo of all three is stored")
    done, undone = said_by(instance, "ops6")[:3], said_by(instance, "ops6")[3:]
    assert {row["undoes"] for row in undone} == {row["feedback_id"] for row in done}


def test_what_another_operator_says_appears_live(instance: Instance) -> None:
    terminal = opened(instance, user="ops7")
    terminal.press("G")
    pattern = pattern_at(terminal)
    instance.call("feedback", pattern, "confirmed", "--user", "ops2")
    terminal.row_shows("CONFIRMED", "@ops2", seconds=10)
    instance.call("feedback", pattern, "undo", "--user", "ops2")
    terminal.row_shows("NEW", seconds=10)
    instance.call("feedback", pattern, "note", "--note", "seen on the pump", "--user", "ops2")
    terminal.press("B")
    terminal.sees("@ops2", "seen on the pump")


def test_keys_that_come_all_at_once_go_where_they_belong(instance: Instance) -> None:
    """As a link hands them over that had stalled: the letters of a note are no verdicts."""
    terminal = opened(instance, user="ops8")
    terminal.press("G", "i", *"backup", "Space", *"xce", "Enter", "k", "v", "v", "x", "y")
    terminal.sees("false positive: 2 episodes")
    wait(lambda: len(said_by(instance, "ops8")) == 3, "all of it is stored")
    note, *verdicts = said_by(instance, "ops8")
    assert (note["verdict"], note["note"]) == ("note", "backup xce")
    assert [one["verdict"] for one in verdicts] == ["false_positive", "false_positive"]
    terminal.press("u")
    terminal.sees("taken back: 2 verdicts")
