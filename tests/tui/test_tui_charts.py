from __future__ import annotations

from collections.abc import Callable

from qraft.model import CleanEvent, Pattern
from tui.state.charts import AGAIN_US, FRESH_US, MAX_CHARTS, Charts

MakePattern = Callable[..., Pattern]


def events(now_us: int, after: int) -> list[CleanEvent]:
    return [
        CleanEvent(event_id=str(i), source="host", entity="", time_us=now_us + i, fields={"x": 1.0})
        for i in range(-3, after + 1)
    ]


def test_it_asks_again_until_enough_follows(make_pattern: MakePattern, now_us: int) -> None:
    charts, pattern = Charts(enough_after=5), make_pattern()
    assert charts.wanted(pattern, now_us, now_us)
    assert not charts.wanted(pattern, now_us, now_us + AGAIN_US - 1)
    charts.answer(pattern.pattern_id, events(now_us, 2))
    assert charts.wanted(pattern, now_us, now_us + AGAIN_US)
    charts.answer(pattern.pattern_id, events(now_us, 5))
    assert not charts.wanted(pattern, now_us, now_us + 10 * AGAIN_US)


def test_an_old_pattern_with_little_after_it_is_not_asked_for_for_ever(make_pattern: MakePattern, now_us: int) -> None:
    charts, pattern = Charts(enough_after=5), make_pattern()
    charts.wanted(pattern, now_us, now_us)
    charts.answer(pattern.pattern_id, events(now_us, 0))
    assert not charts.wanted(pattern, now_us, now_us + FRESH_US + 1)


def test_a_problem_is_tried_again_and_leaves_the_events(make_pattern: MakePattern, now_us: int) -> None:
    charts, pattern = Charts(enough_after=5), make_pattern()
    charts.wanted(pattern, now_us, now_us)
    charts.answer(pattern.pattern_id, events(now_us, 5))
    charts.answer(pattern.pattern_id, [], "ClickHouse does not answer")
    known = charts.get(pattern.pattern_id)
    assert known is not None
    assert (len(known.events), known.problem) == (9, "ClickHouse does not answer")
    assert charts.wanted(pattern, now_us, now_us + FRESH_US * 2)


def test_it_is_bounded(make_pattern: MakePattern, now_us: int) -> None:
    charts = Charts(enough_after=5)
    made = [make_pattern() for _ in range(MAX_CHARTS + 3)]
    for pattern in made:
        charts.wanted(pattern, now_us, now_us)
    assert [charts.get(p.pattern_id) is None for p in made[:4]] == [True, True, True, False]
    charts.answer(made[0].pattern_id, [])
