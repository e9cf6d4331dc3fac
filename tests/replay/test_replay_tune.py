"""The search for better settings: what is tried, how it is judged, what is proposed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from qraft.config import Settings
from qraft.config.base import Section
from qraft.config.detect import DetectSettings
from qraft.model import Contributor, Details, Event, Pattern, Verdict, event_id, iso_from_us
from qraft.replay.errors import ReplayError
from qraft.replay.tune import Marks, Part, Slim, Span, Task, difference, file_task, stored_task, tune, value_at
from qraft.replay.tune.marks import Figures, figures_of, utility
from qraft.replay.tune.material import times_of
from qraft.replay.tune.search import near_us, parts_of
from qraft.replay.tune.space import applied, changes
from qraft.store import StoredPattern

START_US = 1_795_000_000_000_000
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


def slim(time_us: int, detector: str = "d", entity: str = "") -> Slim:
    return Slim(f"p{time_us}", time_us, entity, "drift", "mean", detector, "v", 0.7, "v rose")


def part(marks: Marks, days: float = 1.0) -> Part:
    return Part(0, int(days * DAY_US), marks, marks)


def stream(rows: int = 1500, shifts: tuple[int, ...] = ()) -> list[Event]:
    draw = random.Random(4)
    return [
        Event(
            event_id=event_id("s", str(row)),
            source="s",
            type="row",
            timestamp=iso_from_us(START_US + row * SECOND_US),
            payload={"v": draw.gauss(9.0 * (sum(shift <= row for shift in shifts) % 2), 1.0)},
        )
        for row in range(rows)
    ]


def stored(row: int, verdict: Verdict | None, detector: str = "d") -> StoredPattern:
    pattern = Pattern(
        pattern_id=f"p{row}",
        type="drift",
        timestamp=iso_from_us(START_US + row * SECOND_US),
        began=iso_from_us(START_US + (row - 10) * SECOND_US),
        source="s",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.7),
        contributors=[Contributor(field="v", score=1.0)],
        detector=detector,
    )
    return StoredPattern(pattern, "", False, verdict)


def test_the_space_is_made_of_the_settings_own_model() -> None:
    base = DetectSettings()
    tried = changes(base, switches=True)
    detectors = {
        name for name in DetectSettings.model_fields if "enabled" in getattr(type(getattr(base, name)), "model_fields", {})
    }
    assert {one.key for one in tried if one.force == 2} == {f"{name}.enabled" for name in detectors}
    assert {one.key for one in tried if one.force == 0} == {"line"}
    assert len({(one.key, str(one.value)) for one in tried}) == len(tried)
    for one in tried:
        made = applied(base, [one])
        assert made is not None
        assert value_at(made, one.key) == one.value != value_at(base, one.key)
        assert made.model_copy(update={one.key.split(".", maxsplit=1)[0]: base.model_dump()}) != base
    assert not [one for one in changes(base, switches=False) if one.force == 2]


def test_a_detector_at_rest_has_nothing_to_tune_but_its_switch() -> None:
    base = DetectSettings.model_validate({"forest": {"enabled": False}})
    assert [one.value for one in changes(base, switches=True) if one.key.startswith("forest.")] == [True]


def test_what_is_not_valid_or_leaves_no_detector_is_not_tried() -> None:
    names = [name for name, value in DetectSettings() if isinstance(value, Section) and hasattr(value, "enabled")]
    all_off = DetectSettings.model_validate({name: {"enabled": False} for name in names[1:]})
    assert f"{names[0]}.enabled" not in {one.key for one in changes(all_off, switches=True)}
    high = DetectSettings.model_validate({"forest": {"window": 100_000}})
    assert "forest.window" not in {one.key for one in changes(high, switches=True)}


def test_spans_hold_by_time_entity_and_detector() -> None:
    assert Span(5, 10).holds(slim(5))
    assert Span(5, 10).holds(slim(10, entity="x"))
    assert not Span(5, 10).holds(slim(11))
    assert not Span(5, 10, "y").holds(slim(7, entity="x"))
    assert not Span(5, 10, None, "e").holds(slim(7))
    assert Span(5, 10, "", "d").holds(slim(7))


def test_figures_count_kept_gone_and_the_rest() -> None:
    marks = Marks("verdicts", wanted=(Span(100, 200), Span(300, 400)), unwanted=(Span(500, 600), Span(700, 800)))
    found = [slim(150), slim(160), slim(550), slim(900), slim(2 * DAY_US)]
    assert figures_of(found, part(marks)) == Figures(
        findings=4, a_day=4.0, wanted=2, kept=1, unwanted=2, gone=1, outside=2, others=1
    )


def test_verdicts_kept_and_gone_are_worth_most_and_silence_is_not_best() -> None:
    here = part(Marks("verdicts", wanted=(Span(100, 200),), unwanted=(Span(500, 600),)))

    def worth(*times: int) -> float:
        now = figures_of([slim(150), slim(550), slim(900)], here)
        return utility(figures_of([slim(time) for time in times], here), here, 5.0, now)

    order = [worth(150, 900), worth(150), worth(150, 550, 900), worth(900), worth(550)]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == 5
    assert worth(150, *range(1000, 1020)) < worth(150, 900)


def test_labels_want_windows_found_and_nothing_else() -> None:
    here = part(Marks("labels", wanted=(Span(100, 200), Span(300, 400))))
    now = figures_of([], here)

    def worth(*times: int) -> float:
        return utility(figures_of([slim(time) for time in times], here), here, 5.0, now)

    assert worth(150, 350) == 1.0
    assert worth() == 0.0
    assert worth(150, 350) > worth(150, 350, 900) > worth(150, 900) > worth(900)


def test_without_knowledge_only_what_is_too_much_counts() -> None:
    here = part(Marks("volume"), days=2)
    now = figures_of([], here)

    def worth(count: int) -> float:
        return utility(figures_of([slim(n) for n in range(count)], here), here, 5.0, now)

    assert worth(0) == worth(10) == 0.0
    assert worth(20) == -1.0
    nothing_known = part(Marks("labels"))
    assert nothing_known.mode == "volume"


@pytest.mark.parametrize("ends", [[], [500], [100, 200, 300, 400, 950], [10, 20, 30], [990, 995, 999]])
def test_the_stream_is_cut_once_and_each_mark_lies_in_one_part(ends: list[int]) -> None:
    times = list(range(1000))
    marks = Marks("verdicts", wanted=tuple(Span(end - 5, end) for end in ends))
    first, second = parts_of(times, marks)
    assert (first.from_us, second.until_us) == (0, 1000)
    assert first.until_us == second.from_us
    assert 200 <= first.until_us <= 800
    assert sorted([*first.marks.wanted, *second.marks.wanted], key=lambda span: span.to_us) == list(marks.wanted)
    if ends == [100, 200, 300, 400, 950]:
        assert [len(one.marks.wanted) for one in (first, second)] == [3, 2]


def test_findings_close_by_of_one_detector_are_the_same() -> None:
    old, new = [slim(100), slim(5000), slim(9000, "x")], [slim(120), slim(9000, "y")]
    gone, came = difference(old, new, 50)
    assert [(one.time_us, one.detector) for one in gone] == [(5000, "d"), (9000, "x")]
    assert [(one.time_us, one.detector) for one in came] == [(9000, "y")]


def test_near_is_fifty_rows_of_time() -> None:
    assert near_us([n * 60 * SECOND_US for n in range(100)]) == 3000 * SECOND_US
    assert near_us([1, 1, 1]) == SECOND_US


def test_verdicts_become_marks() -> None:
    events = stream(300)
    given = [stored(100, "confirmed"), stored(150, "false_positive"), stored(200, "expected"), stored(250, None),
             stored(9000, "confirmed")]  # fmt: skip
    task = stored_task(events, given, Settings(), "s", target=5.0, budget=9)
    at = START_US + 100 * SECOND_US
    assert task.marks.wanted == (Span(at - 60 * SECOND_US, at + 50 * SECOND_US, ""),)
    at = START_US + 150 * SECOND_US
    assert task.marks.unwanted == (Span(at - 50 * SECOND_US, at + 50 * SECOND_US, "", "d"),)
    assert stored_task(events, given[2:4], Settings(), "s", target=5.0, budget=9).marks == Marks("volume")


def test_event_time_is_that_of_the_field() -> None:
    one = stream(1)[0]
    assert times_of([one], "") == [START_US]
    timed = Event(event_id="e", source="s", type="row", timestamp=one.timestamp, payload={"at": {"t": "1970-01-02"}})
    assert times_of([timed], "at.t") == [DAY_US]
    assert times_of([timed], "nothing") == [START_US]


def test_labels_of_a_file_become_windows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,v\n" + "".join(f"{n},{n % 7}\n" for n in range(500)))
    (tmp_path / "l.json").write_text('{"a.csv": [["300", "320"]]}')
    keys: dict[str, Any] = {"time": "t", "delimiter": "", "fields": [], "like": "", "target": 5.0, "budget": 9}
    task = file_task(tmp_path / "a.csv", Settings(), labels=tmp_path / "l.json", rows=400, **keys)
    assert task.marks == Marks("labels", wanted=(Span(300 * SECOND_US, 320 * SECOND_US),))
    assert [len(task.events), min(task.times_us), max(task.times_us)] == [400, 100 * SECOND_US, 499 * SECOND_US]
    assert file_task(tmp_path / "a.csv", Settings(), labels=None, rows=400, **keys).marks == Marks("volume")


def task(events: list[Event], marks: Marks, *, target: float = 5.0, budget: int = 9) -> Task:
    return Task(events, Settings(), "s", marks, target, budget, times_of(events, ""))


def test_too_much_is_made_less_and_the_rest_confirms_it() -> None:
    """Shifts that are told a few times a minute, where hardly one a day is wanted."""
    proposal = tune(
        task(stream(1500, shifts=(400, 700, 1000, 1200)), Marks("volume"), target=0.01), workers=1, progress=False
    )
    assert proposal.figures[0].findings > 1
    assert proposal.best.changes
    assert all(one.force < 2 for one in proposal.best.changes)
    assert proposal.figures[2].findings < proposal.figures[0].findings
    assert proposal.holds == (proposal.figures[3].findings <= max(proposal.figures[1].findings, 1))
    assert proposal.trials <= 9
    first, second = proposal.parts
    for trial, figures in ((proposal.now, proposal.figures[:2]), (proposal.best, proposal.figures[2:])):
        assert [figures_of(trial.found, one) for one in (first, second)] == list(figures)


def test_what_is_good_enough_stays() -> None:
    proposal = tune(task(stream(600), Marks("volume")), workers=1, progress=False)
    assert proposal.best is proposal.now
    assert proposal.holds


def test_the_number_of_workers_changes_nothing() -> None:
    asked = task(stream(600, shifts=(400,)), Marks("volume"), target=0.01, budget=4)
    one, two = (tune(asked, workers=workers, progress=False) for workers in (1, 2))
    assert (one.now, one.best, one.figures) == (two.now, two.best, two.figures)


def test_too_little_is_said() -> None:
    with pytest.raises(ReplayError, match="199 rows are too few to tune on"):
        tune(task(stream(199), Marks("volume")), workers=1, progress=False)


def test_confirmed_patterns_are_kept_and_false_ones_go() -> None:
    """Of what the settings in force find, one detector's findings are called false, the others' are confirmed."""
    events = stream(1400, shifts=(400, 650, 900, 1150))
    found = tune(task(events, Marks("volume"), budget=2), workers=1, progress=False).now.found
    detectors = sorted({one.detector for one in found}, key=lambda name: (sum(o.detector == name for o in found), name))
    assert len(detectors) > 1, "the stream shows nothing to choose between"
    wrong, near = detectors[-1], near_us(times_of(events, ""))
    marks = Marks(
        "verdicts",
        wanted=tuple(Span(one.time_us - near, one.time_us + near, "") for one in found if one.detector != wrong),
        unwanted=tuple(Span(one.time_us - near, one.time_us + near, "", wrong) for one in found if one.detector == wrong),
    )
    proposal = tune(task(events, marks, target=1e6, budget=20), workers=1, progress=False)
    now, best = proposal.figures[0], proposal.figures[2]
    assert (now.kept, now.gone) == (now.wanted, 0)
    assert best.gone > 0
    first, second = proposal.parts
    assert [*first.marks.unwanted, *second.marks.unwanted] == list(marks.unwanted)
