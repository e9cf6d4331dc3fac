"""Rows that do not come: told against the stream's own rhythm, once, and not where the hour explains it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from qraft.config.detect import SilenceSettings
from qraft.detect import Finding, freeze, thaw
from qraft.detect.silence.detector import SilenceAnomaly
from qraft.detect.silence.lengths import Lengths
from qraft.detect.silence.words import spell, spread
from tests.detect.streams import START_US

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


def bursty(draw: Random, share: float) -> float:
    return draw.expovariate(1.0) * (0.01 if draw.random() > share else 30.0)


GAPS: dict[str, Callable[[Random], float]] = {
    "regular": lambda _: 1.0,
    "rounded": lambda draw: float(draw.random() < 0.5),
    "jittered": lambda draw: draw.uniform(0.5, 1.5),
    "normal": lambda draw: max(0.001, draw.gauss(1.0, 0.1)),
    "poisson": lambda draw: draw.expovariate(1.0),
    "lost": lambda draw: 1.0 + (draw.random() < 0.01),
    "bursts": lambda draw: bursty(draw, 0.05),
    "rare pauses": lambda draw: bursty(draw, 0.01),
}


def times(kind: str, rows: int, seed: int) -> Iterator[int]:
    draw, gap = Random(seed), GAPS[kind]
    return accumulate((round(gap(draw) * SECOND) for _ in range(rows)), initial=START_US)


def findings(moments: Iterable[int], detector: SilenceAnomaly | None = None) -> list[tuple[int, float, Finding]]:
    detector = detector or SilenceAnomaly(SilenceSettings())
    out = []
    for moment in moments:
        judgement = detector.step(moment, {"a": 1.0}, 0.5)
        if judgement.finding is not None:
            out.append((moment, judgement.onset, judgement.finding))
        assert judgement.state == 0.0
    return out


@pytest.mark.parametrize("kind", GAPS)
def test_a_stream_in_its_own_rhythm_is_quiet(kind: str) -> None:
    assert findings(times(kind, 50_000, seed=11)) == []


@pytest.mark.parametrize("kind", GAPS)
def test_a_long_gap_is_told_at_the_row_that_ends_it(kind: str) -> None:
    before = list(times(kind, 2000, seed=3))
    after = [before[-1] + 3 * HOUR + offset for offset in range(0, 500 * SECOND, SECOND)]
    ((moment, confidence, finding),) = findings([*before, *after])
    assert moment == after[0]
    assert confidence > 0.9
    assert finding.kind == "silence"
    assert finding.summary.startswith("no row for 3 h; usual gap ")
    assert finding.metrics["gap_seconds"] == 3 * 3600.0
    assert finding.began_us is not None
    assert before[-1] < finding.began_us < before[-1] + HOUR


@pytest.mark.parametrize("seed", range(5))
def test_a_silence_is_told_while_it_lasts_and_its_return_once(seed: int) -> None:
    detector = SilenceAnomaly(SilenceSettings())
    before = list(times("jittered", 300, seed))
    assert findings(before, detector) == []
    assert detector.silent(before[-1] + 2 * SECOND, 0.5) is None
    due = detector.due_us()
    assert 3 * SECOND < due - before[-1] < 15 * SECOND
    judgement = detector.silent(math.ceil(due) + 1, 0.5)
    assert judgement is not None
    assert judgement.onset >= 0.5
    assert judgement.finding is not None
    assert judgement.finding.kind == "silence"
    assert detector.due_us() == math.inf
    assert detector.silent(math.ceil(due) + HOUR, 0.5) is None
    after = [before[-1] + 250 * SECOND + offset for offset in range(0, 1000 * SECOND, SECOND)]
    ((moment, _, finding),) = findings(after, detector)
    assert moment == after[0]
    assert (finding.kind, finding.summary) == ("return", "back after 4 min 10 s")


def market(days: int, hours: int, draw: Random) -> list[int]:
    """Trades of a market that is open so many hours of five days a week, from a Monday on."""
    monday = START_US - START_US % (7 * DAY) + 4 * DAY
    out = []
    for day in range(days):
        if day % 7 < 5:
            at = monday + day * DAY + 9 * HOUR
            close = at + hours * HOUR
            while (at := at + round(draw.expovariate(1 / 20) * SECOND)) < close:
                out.append(at)
    return out


def test_a_night_and_a_weekend_are_told_once_each() -> None:
    told = findings(market(28, 7, Random(2)))
    days = [(moment - START_US) // DAY for moment, *_ in told]
    assert len(told) <= 3
    assert max(days) <= 14


def test_an_outage_within_hours_is_told_though_nights_are_known() -> None:
    rows = market(28, 7, Random(2))
    monday = rows[0] - rows[0] % DAY
    first = monday + 22 * DAY + 12 * HOUR
    told = findings(moment for moment in rows if not first <= moment < first + HOUR)
    assert [moment for moment, *_ in told if first <= moment < first + 2 * HOUR]


def test_a_slower_rhythm_is_learned() -> None:
    draw = Random(6)
    fast = list(times("poisson", 3000, seed=6))
    slow = list(accumulate((round(draw.expovariate(1 / 60) * SECOND) for _ in range(5000)), initial=fast[-1]))
    told = findings([*fast, *slow])
    assert len(told) <= 4
    assert sum(moment > slow[1000] for moment, *_ in told) <= 1


def test_what_nobody_watched_is_no_silence() -> None:
    detector = SilenceAnomaly(SilenceSettings())
    before = list(times("regular", 300, seed=1))
    findings(before, detector)
    detector.floor_us = before[-1] + HOUR
    after = [before[-1] + HOUR + offset * SECOND for offset in range(300)]
    assert findings(after, detector) == []
    assert findings([after[-1] + HOUR], detector)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 700), kind=st.sampled_from(sorted(GAPS)))
def test_a_restored_detector_says_the_same(seed: int, cut: int, kind: str) -> None:
    moments = list(times(kind, 400, seed))
    moments += [moment + HOUR for moment in times(kind, 300, seed + 1) if moment > 0]
    one, other = SilenceAnomaly(SilenceSettings()), SilenceAnomaly(SilenceSettings())
    for at, moment in enumerate(moments):
        if at == cut:
            other = thaw(freeze(other))
        row = {"a": 1.0} if at % 97 < 80 else {"b": 1.0}
        assert one.step(moment, row, 0.5) == other.step(moment, row, 0.5)
    assert freeze(one) == freeze(thaw(freeze(other)))


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 10**7), min_size=50, max_size=300),
    line=st.floats(0.05, 0.95),
    demand=st.floats(0, 3),
)
def test_the_due_length_has_the_rarity_of_the_line(lengths: list[int], line: float, demand: float) -> None:
    known = Lengths(96)
    for length in lengths:
        known.add(length)
    known.measure()
    due = known.due(line, demand)
    assert known.longest >= max(lengths)
    assert due > 0
    expected = 5.0 + math.log(line / (1 - line)) + demand
    assert known.decades(due) == pytest.approx(max(expected, known.decades(0)), rel=1e-6, abs=1e-6)
    assert known.decades(due * 2) > known.decades(due)


def test_its_state_is_bounded() -> None:
    detector = SilenceAnomaly(SilenceSettings())
    findings(market(200, 7, Random(2)), detector)
    assert len(freeze(detector)) < 5000


@pytest.mark.parametrize(
    ("time_us", "text"),
    [
        (250_000, "250 ms"),
        (1_200_000, "1.2 s"),
        (59_990_000, "1 min"),
        (250 * SECOND, "4 min 10 s"),
        (16 * HOUR + 5 * 60 * SECOND, "16 h 5 min"),
        (2 * DAY + 4 * HOUR, "2 d 4 h"),
    ],
)
def test_times_as_people_read_them(time_us: int, text: str) -> None:
    assert spell(time_us) == text


def test_ranges_as_people_read_them() -> None:
    assert spread(SECOND, 1_200_000) == "1-1.2 s"
    assert spread(SECOND, SECOND) == "1 s"
    assert spread(900_000, SECOND) == "900 ms to 1 s"
    assert spread(50 * SECOND, 70 * SECOND) == "50 s to 1 min 10 s"
