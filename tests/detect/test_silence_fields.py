"""Fields that go missing and values that stand still: found within rows, and never where they do so by themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from qraft.config.detect import FlatSettings, SilenceSettings
from qraft.detect import Judgement, freeze, thaw
from qraft.detect.silence.detector import SilenceAnomaly
from qraft.detect.silence.fields import MAX_FIELDS
from qraft.detect.silence.flat import FADE_ROWS, FlatAnomaly
from tests.detect.streams import START_US, Row, eventful, noise

START = 300


def judged(detector: SilenceAnomaly | FlatAnomaly, rows: list[Row]) -> Iterator[tuple[int, Judgement]]:
    for at, row in enumerate(rows):
        yield at, detector.step(START_US + at * 1_000_000, row, 0.5)


def told(detector: SilenceAnomaly | FlatAnomaly, rows: list[Row]) -> list[tuple[int, str, str]]:
    return [(at, one.finding.kind, one.finding.summary) for at, one in judged(detector, rows) if one.finding is not None]


def dropout(seed: int, rows: int = 120, back: int = 60) -> list[Row]:
    out = noise(START + rows, 8, seed)
    for row in out[START : START + back]:
        del row["f3"]
    return out


def frozen(seed: int, rows: int = 120, back: int = 60) -> list[Row]:
    out = noise(START + rows, 8, seed)
    for row in out[START : START + back]:
        row["f3"] = 21.4
    return out


@pytest.mark.parametrize(
    ("make", "stream", "kind"),
    [(SilenceAnomaly, dropout, "silence"), (FlatAnomaly, frozen, "flat")],
    ids=["dropout", "frozen"],
)
def test_found_within_a_few_rows_with_the_right_field(
    make: type[SilenceAnomaly | FlatAnomaly], stream: Callable[[int], list[Row]], kind: str
) -> None:
    settings_of = {SilenceAnomaly: SilenceSettings(), FlatAnomaly: FlatSettings()}
    for seed in range(200):
        detector = make(settings_of[make])  # type: ignore[arg-type]  # each gets its own settings
        found = [(at, one.finding) for at, one in judged(detector, stream(seed)) if one.finding is not None]
        (at, finding), (end, back) = found
        assert START <= at < START + 15
        assert finding.kind == kind
        assert finding.contributors[0].field == "f3"
        assert finding.began_us is not None
        assert abs(finding.began_us - START_US - START * 1_000_000) <= 1_000_000
        assert (end, back.kind) == (START + 60, "return")
        assert back.contributors[0].field == "f3"


def test_what_is_said_of_a_dropout() -> None:
    assert told(SilenceAnomaly(SilenceSettings()), dropout(1)) == [
        (START + 7, "silence", "f3: no value for 8 rows; was in every row"),
        (START + 60, "return", "f3: back after 60 rows without a value"),
    ]


def test_what_is_said_of_a_flat_line() -> None:
    assert told(FlatAnomaly(FlatSettings()), frozen(1)) == [
        (START + 9, "flat", "f3: stands at 21.4 for 10 rows; usually moves every row"),
        (START + 60, "return", "f3: moves again after 60 rows at one value"),
    ]


@pytest.mark.parametrize(
    "detector", [SilenceAnomaly(SilenceSettings()), FlatAnomaly(FlatSettings())], ids=["silence", "flat"]
)
def test_the_state_lasts_as_long_as_what_is_wrong_but_not_for_ever(detector: SilenceAnomaly | FlatAnomaly) -> None:
    stream = dropout if isinstance(detector, SilenceAnomaly) else frozen
    rows = stream(2, 3 * FADE_ROWS, 2 * FADE_ROWS)
    states = [one.state for _, one in judged(detector, rows)]
    assert max(states[: START + 7]) == 0.0
    assert min(states[START + 10 : START + FADE_ROWS - 10]) >= 0.5
    assert max(states[START + FADE_ROWS + 1 :]) == 0.0


def test_fields_that_go_together_are_one_finding() -> None:
    rows = noise(START + 50, 4, 3)
    for row in rows[START:]:
        row["f1"] = row["f2"] = 0.0
    ((_, one),) = [(at, one) for at, one in judged(FlatAnomaly(FlatSettings()), rows) if one.finding is not None]
    assert one.finding is not None
    assert {two.field for two in one.finding.contributors} == {"f1", "f2"}
    assert sum(two.score for two in one.finding.contributors) == pytest.approx(1.0)


def values(kind: str, draw: Random) -> Iterator[float]:
    x, at = 0.0, 0
    while True:
        at += 1
        if kind == "whole numbers":
            yield float(round(draw.gauss(100, 10)))
        elif kind == "few values":
            yield float(round(draw.gauss(0, 0.7)))
        elif kind == "mostly zero":
            yield float(draw.random() < 0.02)
        elif kind == "coarse walk":
            x += draw.gauss(0, 0.05)
            yield round(x, 1)
        elif kind == "coarse sine":
            yield round(10 * math.sin(at * 2 * math.pi / 1440), 1)
        elif kind == "coarser sine":
            yield float(round(10 * math.sin(at * 2 * math.pi / 1440)))
        elif kind == "counter":
            x += draw.random() < 0.3
            yield x
        elif kind == "constant":
            yield 3.0
        elif kind == "polled too often":
            x = draw.gauss(0, 1) if draw.random() < 0.2 else x
            yield x
        elif kind == "switch":
            x = 1.0 - x if draw.random() < 0.005 else x
            yield x


@pytest.mark.parametrize(
    "kind",
    [
        "whole numbers",
        "few values",
        "mostly zero",
        "coarse walk",
        "coarse sine",
        "coarser sine",
        "counter",
        "constant",
        "polled too often",
        "switch",
    ],
)
def test_values_that_repeat_by_themselves_are_no_flat_line(kind: str) -> None:
    for seed in range(2):
        stream = values(kind, Random(seed))
        assert told(FlatAnomaly(FlatSettings()), [{"a": next(stream)} for _ in range(15_000)]) == []


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_fields_that_come_and_go_by_themselves_are_not_missed(share: float) -> None:
    draw = Random(5)
    rows = [{"a": 1.0, "b": 2.0} if draw.random() < share else {"a": 1.0} for _ in range(30_000)]
    assert told(SilenceAnomaly(SilenceSettings()), rows) == []


def test_rows_of_two_kinds_are_not_missed() -> None:
    draw = Random(5)
    rows = [{"a": 1.0, "b": 2.0} if at // 3 % 2 and draw.random() < 0.9 else {"a": 1.0, "c": 1.0} for at in range(20_000)]
    assert told(SilenceAnomaly(SilenceSettings()), rows) == []


@pytest.mark.parametrize("make", [lambda: SilenceAnomaly(SilenceSettings()), lambda: FlatAnomaly(FlatSettings())])
def test_any_number_of_fields_is_bounded(make: Callable[[], SilenceAnomaly | FlatAnomaly]) -> None:
    detector, draw = make(), Random(1)
    for at in range(3000):
        row = {"x": draw.gauss(0, 1), **{f"n{at + extra}": 1.0 for extra in range(3)}}
        detector.step(START_US + at, row, 0.5)
    assert len(freeze(detector)) < MAX_FIELDS * 1000


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(1, 900), min_size=1, max_size=4))
def test_restored_anywhere_they_say_the_same(seed: int, cuts: list[int]) -> None:
    rows = eventful(500, seed) + frozen(seed) + dropout(seed)
    for make in (lambda: SilenceAnomaly(SilenceSettings()), lambda: FlatAnomaly(FlatSettings())):
        one: SilenceAnomaly | FlatAnomaly = make()
        other: SilenceAnomaly | FlatAnomaly = make()
        for at, row in enumerate(rows):
            if at in cuts:
                other = thaw(freeze(other))
            assert one.step(START_US + at * 1_000_000, row, 0.5) == other.step(START_US + at * 1_000_000, row, 0.5)
