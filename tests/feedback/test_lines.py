from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, strategies as st

from qraft.config.settings import FeedbackSettings
from qraft.feedback import AlertLines, lines as module, moved_line
from qraft.model import Feedback, Verdict, iso_from_us

SETTINGS = FeedbackSettings()


def say(
    name: str,
    verdict: Verdict,
    pattern: str = "p",
    *,
    at: int = 0,
    user: str = "u",
    detector: str = "adwin",
    undoes: str = "",
    source: str = "s",
) -> Feedback:
    stamp = iso_from_us(1_700_000_000_000_000 + at)
    return Feedback(
        feedback_id=name,
        pattern_id=pattern,
        verdict=verdict,
        timestamp=stamp,
        source=source,
        detector=detector,
        user=user,
        undoes=undoes,
    )


def lines_after(*verdicts: Feedback) -> AlertLines:
    lines = AlertLines(SETTINGS)
    for verdict in verdicts:
        lines.apply(verdict)
    return lines


def line(lines: AlertLines, detector: str = "adwin", source: str = "s") -> float:
    return lines.line(0.5, source, detector)


def test_verdicts_move_the_line_of_their_source_and_detector_in_log_odds() -> None:
    lines = lines_after(say("1", "false_positive", "p1"), say("2", "false_positive", "p2"))
    assert line(lines) == pytest.approx(1 / (1 + math.exp(-0.8)))
    assert line(lines, "forest") == line(lines, source="other") == 0.5
    lines.apply(say("3", "confirmed", "p3"))
    lines.apply(say("4", "confirmed", "p4"))
    assert line(lines) == 0.5
    lines.apply(say("5", "confirmed", "p5"))
    assert line(lines) < 0.5


def test_bounds_hold_and_never_pull_the_other_way() -> None:
    assert moved_line(0.5, 1000, SETTINGS) == SETTINGS.max_line
    assert moved_line(0.5, -1000, SETTINGS) == SETTINGS.min_line
    assert moved_line(0.99, 5, SETTINGS) == 0.99
    assert moved_line(0.1, -5, SETTINGS) == 0.1
    assert moved_line(0.99, 0, SETTINGS) == 0.99


def test_expected_and_new_normal_leave_the_line() -> None:
    assert line(lines_after(say("1", "expected"), say("2", "new_normal", "p2"))) == 0.5


def test_mutes_notes_and_their_undo_leave_no_trace_in_the_lines() -> None:
    lines = lines_after(say("1", "false_positive"))
    before, state = line(lines), lines.state()
    assert lines.apply(say("2", "mute", at=5)) is None
    assert lines.apply(say("3", "note", at=6)) is None
    assert lines.state() == state
    assert lines.apply(say("4", "undo", undoes="2")) is None
    again = AlertLines(SETTINGS)
    again.load(lines.state())
    assert again.apply(say("5", "undo", undoes="3")) is None
    assert again.apply(say("3", "note", at=6)) is None
    assert line(lines) == line(again) == before
    again.apply(say("6", "undo", undoes="1"))
    assert line(again) == 0.5


def test_one_operators_later_verdict_replaces_his_earlier_one() -> None:
    once = line(lines_after(say("1", "false_positive")))
    assert line(lines_after(say("1", "false_positive", at=1), say("2", "false_positive", at=2))) == once
    assert line(lines_after(say("1", "false_positive", at=1), say("2", "expected", at=2))) == 0.5
    assert line(lines_after(say("2", "expected", at=2), say("1", "false_positive", at=1))) == 0.5
    assert line(lines_after(say("1", "false_positive"), say("2", "false_positive", user="other"))) > once


def test_a_repeated_verdict_is_ignored() -> None:
    lines = lines_after(say("1", "false_positive"))
    before = line(lines)
    assert lines.apply(say("1", "confirmed", "p2")) is None
    assert line(lines) == before


def test_an_undo_brings_back_what_was_said_before() -> None:
    lines = lines_after(say("1", "false_positive", at=1))
    before = line(lines)
    lines.apply(say("2", "confirmed", at=2))
    assert line(lines) < 0.5
    lines.apply(say("3", "undo", undoes="2"))
    assert line(lines) == before
    lines.apply(say("4", "undo", undoes="3"))
    assert line(lines) == before
    lines.apply(say("5", "undo", undoes="1"))
    assert line(lines) == 0.5


def test_the_detector_is_looked_up_where_the_verdict_names_none() -> None:
    lines = AlertLines(SETTINGS)
    lines.remember("p", "s", "forest")
    assert lines.apply(say("1", "false_positive", detector="", source="")) == ("s", "forest")
    assert line(lines, "forest") > 0.5
    assert lines.apply(say("2", "false_positive", "nobody's", detector="")) is None


@st.composite
def histories(draw: st.DrawFn) -> list[Feedback]:
    verdicts: list[Verdict] = ["confirmed", "false_positive", "expected", "new_normal", "mute", "note"]
    number = draw(st.integers(1, 12))
    said = [
        say(
            f"v{number_}",
            draw(st.sampled_from(verdicts)),
            draw(st.sampled_from(["p1", "p2", "p3"])),
            at=draw(st.integers(0, 4)),
            user=draw(st.sampled_from(["ann", "bob"])),
            detector=draw(st.sampled_from(["adwin", "forest"])),
        )
        for number_ in range(number)
    ]
    undone = draw(st.lists(st.integers(0, number - 1), max_size=6))
    return said + [say(f"u{at}", "undo", undoes=f"v{target}") for at, target in enumerate(undone)]


@given(histories(), st.randoms(use_true_random=False))
def test_lines_depend_on_the_verdicts_and_not_on_their_order(said: list[Feedback], random: Random) -> None:
    shuffled = list(said)
    random.shuffle(shuffled)
    one, other = lines_after(*said), lines_after(*shuffled, *shuffled)
    for detector in ("adwin", "forest"):
        assert line(one, detector) == line(other, detector)


@given(histories(), st.sampled_from(["confirmed", "false_positive", "expected"]), st.sampled_from(["p1", "p9"]))
def test_an_undo_restores_exactly(said: list[Feedback], verdict: Verdict, pattern: str) -> None:
    lines = lines_after(*said)
    before = line(lines)
    lines.apply(say("new", verdict, pattern, at=9, user="ann"))
    lines.apply(say("back", "undo", undoes="new"))
    assert line(lines) == before


@given(histories())
def test_lines_are_those_without_the_mutes_and_notes(said: list[Feedback]) -> None:
    asides = {one.feedback_id for one in said if one.verdict in {"mute", "note"}}
    judged = [one for one in said if one.feedback_id not in asides and one.undoes not in asides]
    one, other = lines_after(*said), lines_after(*judged)
    for detector in ("adwin", "forest"):
        assert line(one, detector) == line(other, detector)


@given(histories(), histories())
def test_state_comes_back(first: list[Feedback], then: list[Feedback]) -> None:
    one = lines_after(*first)
    other = AlertLines(SETTINGS)
    other.load(one.state())
    for verdict in then:
        one.apply(verdict)
        other.apply(verdict)
    assert [line(one, detector) for detector in ("adwin", "forest")] == [
        line(other, detector) for detector in ("adwin", "forest")
    ]


def test_memory_is_bounded_and_old_verdicts_keep_their_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_VERDICTS", 10)
    monkeypatch.setattr(module, "REMEMBERED_PATTERNS", 10)
    lines = AlertLines(SETTINGS)
    for at in range(100):
        lines.remember(f"p{at}", "s", "forest")
        lines.apply(say(f"v{at}", "false_positive" if at < 3 else "expected", f"p{at}"))
        lines.apply(say(f"u{at}", "undo", undoes=f"never {at}"))
    state = lines.state()
    assert len(state["entries"]) == len(state["patterns"]) == len(state["undone"]) == 10
    assert line(lines) == moved_line(0.5, 3, SETTINGS)
