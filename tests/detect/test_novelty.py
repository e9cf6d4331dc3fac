"""Novelty of each field: what is unlike the past is found, what goes on is not, and no cut changes anything."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from qraft.config.detect import NoveltySettings
from qraft.detect.anomaly.novelty import NoveltyAnomaly, demand
from qraft.detect.anomaly.novelty_kernel import BYTES
from qraft.detect.base import Finding, Judgement
from qraft.detect.state import freeze, thaw
from tests.detect.streams import START_US, Row, cycle, noise, walk

MINUTE_US = 60_000_000


def judge(rows: Iterable[Row], detector: NoveltyAnomaly | None = None) -> list[Judgement]:
    detector = detector or NoveltyAnomaly(NoveltySettings())
    return [detector.step(START_US + at * MINUTE_US, row, 0.5) for at, row in enumerate(rows)]


def findings(judgements: Iterable[Judgement]) -> list[tuple[int, Finding]]:
    return [(at, one.finding) for at, one in enumerate(judgements) if one.finding is not None]


def daily(rows: int, seed: int = 0) -> list[Row]:
    """One field: a day of 1440 rows with little noise."""
    draw = Random(seed)
    return [{"load": 50.0 + 20.0 * math.sin(2.0 * math.pi * at / 1440) + draw.gauss(0.0, 1.0)} for at in range(rows)]


@pytest.mark.parametrize("stream", [noise, walk, cycle])
def test_a_stream_that_goes_on_is_not_news(stream: object) -> None:
    found = [findings(judge(stream(20_000, fields=1, seed=seed))) for seed in (3, 4, 5)]  # type: ignore[operator]
    assert sum(len(one) for one in found) <= 9


def test_nothing_is_said_before_the_warm_up_and_it_shows() -> None:
    rows: list[Row] = [{"x": 1e6 if at == 100 else float(at % 7)} for at in range(400)]
    judgements = judge(rows)
    assert all(one.onset == 0.0 and one.state == 0.0 for one in judgements[:150])
    shares = [one.warm for one in judgements[:151]]
    assert shares == sorted(shares)
    assert shares[0] < 0.02
    assert judgements[151].warm == 1.0


def test_the_missing_peak_of_a_day_is_found_and_told_once() -> None:
    rows = daily(1440 * 9)
    peak = 1440 * 7 + 240
    for at in range(peak, peak + 240):
        rows[at] = {"load": 20.0 + 0.1 * (at % 3)}
    found = findings(judge(rows))
    within = [at for at, _ in found if peak <= at < peak + 240]
    assert within
    assert within[0] < peak + 60
    assert len([at for at, _ in found if peak <= at < peak + 400]) <= 2


def test_a_value_of_another_hour_is_told_against_this_hour() -> None:
    rows = daily(1440 * 9)
    night = 1440 * 7 + 1080
    for at in range(night, night + 30):
        rows[at] = {"load": 70.0 + 0.1 * (at % 3)}
    told = [finding for at, finding in findings(judge(rows)) if night <= at < night + 30]
    assert told
    assert told[0].kind == "novelty"
    assert told[0].summary.startswith("load ")
    contributor = told[0].contributors[0]
    assert contributor.before is not None
    assert contributor.after is not None
    assert contributor.before < 60.0 < contributor.after


def test_the_field_that_went_wrong_comes_first() -> None:
    first = 0
    for seed in range(20):
        rows = noise(1500, 8, seed)
        field = f"f{seed % 8}"
        for row in rows[1200:1230]:
            row[field] += 8.0
        found = [finding for at, finding in findings(judge(rows)) if 1200 <= at < 1250]
        first += bool(found) and found[0].contributors[0].field == field
    assert first >= 19


def test_another_field_may_come_late_and_go() -> None:
    rows = noise(2000, 2, 1)
    for at, row in enumerate(rows):
        if at >= 700:
            row["late"] = 5.0 + at % 3
        if at % 10 == 0:
            del row["f1"]
    assert len(findings(judge(rows))) <= 2


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, -1e300, 1e300, 5e-324, 1e-300, 3.5]), min_size=200, max_size=300))
@settings(max_examples=25, deadline=None)
def test_any_finite_values_give_finite_confidences(values: list[float]) -> None:
    for judgement in judge({"x": value} for value in values):
        assert 0.0 <= judgement.onset <= 1.0
        assert 0.0 <= judgement.state <= 1.0
        assert (judgement.finding is not None) == (judgement.onset >= 0.5)


@given(st.integers(0, 1400), st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_a_restored_detector_says_the_same(cut: int, seed: int) -> None:
    rows = noise(1500, 2, seed)
    rows[1450]["f0"] = 30.0
    whole = judge(rows)
    detector = NoveltyAnomaly(NoveltySettings())
    before = judge(rows[:cut], detector)
    restored: NoveltyAnomaly = thaw(freeze(detector))
    after = [restored.step(START_US + at * MINUTE_US, row, 0.5) for at, row in enumerate(rows[cut:], cut)]
    assert before + after == whole


def test_state_stays_as_small_as_it_says() -> None:
    detector = NoveltyAnomaly(NoveltySettings())
    judge(noise(9000, 2, 3), detector)
    assert len(pickle.dumps(detector)) < 2 * BYTES + 1000


def test_more_fields_than_are_followed_do_no_harm() -> None:
    rows: list[Row] = [{f"f{field}": float(at % 5) for field in range(140)} for at in range(200)]
    assert not findings(judge(rows))


def test_what_is_demanded_grows_with_the_rows_and_ends() -> None:
    asked = [demand(rows) for rows in (1, 100, 1000, 4000, 20_000, 100_000, 10**7)]
    assert asked == sorted(asked)
    assert asked[2] == 0.0
    assert asked[-1] == asked[-2]
