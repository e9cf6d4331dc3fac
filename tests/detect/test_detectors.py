"""What each detector finds, what it says of it, and what leaves it quiet."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from qraft.config.detect import DetectSettings
from qraft.detect import DETECTORS, EntityDetectors, Finding
from tests.detect.streams import LINES, Row, cycle, eventful, findings, noise, only, walk

CHANGE = 3000


def subtle(rows: int) -> list[Row]:
    """Changes of all kinds, none of them large."""
    draw = Random(9)
    out = noise(rows, 3, 9)
    for at, row in enumerate(out):
        row["f0"] *= 1.0 + 1.2 * (at // 900 % 2)
        row["f2"] += 0.7 * (at // 1300 % 2)
        row["f1"] += 8.0 * (draw.random() < (0.5 if at // 1000 % 2 else 0.3))
        if at % 370 == 0:
            row["f0"] = 4.5
        if 120 <= at < 130:
            row["f1"] = 0.5
        if 120 <= at < 128:
            del row["f2"]
    return out


def shifted(rows: int, by: float, fields: int = 8, field: str = "f3", seed: int = 1) -> list[Row]:
    out = noise(rows, fields, seed)
    for row in out[CHANGE:]:
        row[field] += by
    return out


def spread(rows: int, times: float, seed: int = 1) -> list[Row]:
    out = noise(rows, 8, seed)
    for row in out[CHANGE:]:
        row["f3"] *= times
    return out


def spiked(rows: int, seed: int = 1) -> list[Row]:
    out = noise(rows, 8, seed)
    out[CHANGE]["f3"] = 12.0
    return out


def stretched(rows: int, seed: int = 1) -> list[Row]:
    """No row stands out much, but two hundred in a row lean one way."""
    out = noise(rows, 8, seed)
    for row in out[CHANGE : CHANGE + 200]:
        row["f3"] += 4.0
    return out


def mixed(rows: int, seed: int = 1) -> list[Row]:
    """Two clusters that differ in one of eight fields; their shares change."""
    draw = Random(seed)
    out = noise(rows, 8, seed)
    for at, row in enumerate(out):
        row["f3"] += 10.0 * (draw.random() < (0.2 if at < CHANGE else 0.7))
    return out


def born(rows: int, seed: int = 1) -> list[Row]:
    draw = Random(seed)
    out = noise(rows, 8, seed)
    for row in out[CHANGE:]:
        row["f3"] += 12.0 * (draw.random() < 0.4)
    return out


@pytest.mark.parametrize(
    ("detector", "stream"),
    [
        ("drift", lambda rows: shifted(rows, 4.0)),
        ("drift", lambda rows: spread(rows, 3.0)),
        ("adwin", lambda rows: shifted(rows, 4.0)),
        ("ddm", lambda rows: spread(rows, 3.0)),
        ("forest", spiked),
        ("forest", lambda rows: shifted(rows, 6.0)),
        ("forest", stretched),
        ("clusters", mixed),
        ("clusters", born),
    ],
)
def test_the_field_that_changed_comes_first(detector: str, stream: Callable[[int], list[Row]]) -> None:
    found = [one for one in findings(stream(CHANGE + 500), only(detector)) if one[0] >= CHANGE]
    assert found
    _, name, confidence, finding = found[0]
    assert name == detector
    assert 0.5 <= confidence <= 1.0
    first, second = finding.contributors[:2]
    assert first.field == "f3"
    assert first.score > 2 * second.score
    assert sum(one.score for one in finding.contributors) == pytest.approx(1.0)
    assert [one.score for one in finding.contributors] == sorted((one.score for one in finding.contributors), reverse=True)
    assert len(finding.contributors) == 8
    well_said(finding)


def well_said(finding: Finding) -> None:
    assert "f3" in finding.summary
    assert finding.prev_state["label"] != finding.new_state["label"]
    assert finding.prev_state["n"] > 0
    assert finding.new_state["n"] > 0
    assert all(math.isfinite(value) for value in finding.metrics.values())
    for one in finding.contributors:
        assert one.before is not None
        assert one.after is not None


def test_a_level_shift_is_told_in_its_own_units_and_once() -> None:
    rows = shifted(CHANGE + 3000, 4.0)
    for row in rows:
        row["f3"] = 250.0 + 10.0 * row["f3"]
    found = [one for one in findings(rows, only("adwin")) if one[0] >= CHANGE]
    assert len(found) == 1
    at, _, _, finding = found[0]
    assert at - CHANGE <= 100
    lead = finding.contributors[0]
    assert lead.before == pytest.approx(250.0, abs=3.0)
    assert lead.after == pytest.approx(290.0, abs=8.0)
    assert finding.prev_state["spread"] == pytest.approx(10.0, rel=0.2)


@pytest.mark.parametrize("stream", [lambda rows: shifted(rows, 4.0), lambda rows: spread(rows, 3.0)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_change_is_found_within_two_hundred_rows(stream: Callable[[int], list[Row]], seed: int) -> None:
    rows = stream(CHANGE + 200)
    again = noise(len(rows), 8, seed=100 + seed)
    found = findings(
        [{name: row[name] if name == "f3" else other[name] for name in row} for row, other in zip(rows, again, strict=True)]
    )
    assert any(at >= CHANGE for at, *_ in found)
    assert sum(at < CHANGE for at, *_ in found) <= 1


def test_a_counter_that_grows_faster_is_told_by_its_step() -> None:
    draw = Random(1)
    total, rows = 1e9, []
    for at in range(2000):
        total += 100.0 + draw.gauss(0.0, 10.0) + (400.0 if at >= 1500 else 0.0)
        rows.append({"bytes": total})
    found = [one for one in findings(rows, only("adwin")) if one[0] >= 1500]
    assert found
    finding = found[0][3]
    assert finding.contributors[0].before == pytest.approx(100.0, abs=10.0)
    assert finding.contributors[0].after == pytest.approx(500.0, abs=100.0)
    assert "a row" in finding.summary


@pytest.mark.parametrize("stream", [noise, walk, cycle])
def test_quiet_streams_stay_quiet(stream: Callable[..., list[Row]]) -> None:
    assert sum(len(findings(stream(10_000, seed=seed))) for seed in (21, 22)) <= 4


def test_a_repeat_is_told_less_and_less() -> None:
    rows = noise(30_000, 1, seed=5)
    for at in range(2000, 30_000, 600):
        rows[at]["f0"] = 9.0
    told = [at for at, *_ in findings(rows, only("forest"))]
    assert told[0] == 2000
    assert len(told) < 28_000 // 600 / 2


def test_warm_up_is_quiet_and_seen() -> None:
    detectors = EntityDetectors(DetectSettings())
    warm = []
    for at, row in enumerate(noise(700, 2, seed=1)):
        verdict = detectors.step(at, {name: value * (40.0 if at % 50 == 0 else 1.0) for name, value in row.items()}, LINES)
        warm.append(verdict.warm)
        if at < 12:
            assert verdict.change == 0.0
        if at < 150:
            assert max(verdict.anomaly, verdict.abnormal) < 0.5
            assert all(detector.type == "drift" for detector, _ in verdict.raised)
    assert warm[0] < 0.05
    assert all(later >= earlier for earlier, later in pairwise(warm))
    assert max(warm[:199]) < 1.0
    assert warm[500] == 1.0


@pytest.mark.parametrize("detector", DETECTORS)
def test_nothing_breaks_on_awkward_rows(detector: str) -> None:
    draw = Random(4)
    rows: list[Row] = [{"flat": 7.0} for _ in range(600)]
    rows += [{"flat": 7.0, "x": draw.gauss(0, 1)} for _ in range(600)]
    rows += [{} for _ in range(300)]
    rows += [{"x": 1e90 * draw.gauss(0, 1)} for _ in range(300)]
    rows += [{"x": 0.0, f"new{at}": 1.0} for at in range(600)]
    rows += [{"x": 1e-300, "flat": 8.0} for _ in range(600)]
    for _, name, confidence, finding in findings(rows, only(detector)):
        assert name == detector
        assert 0.5 <= confidence <= 1.0
        assert sum(one.score for one in finding.contributors) == pytest.approx(1.0)
        assert all(math.isfinite(value) for value in finding.metrics.values())


def test_a_flat_field_that_moves_is_found_once() -> None:
    rows = [{"flat": 5.0 if at < 1500 else 6.0, "x": value["f0"]} for at, value in enumerate(noise(3000, 1, seed=2))]
    found = findings(rows, only("adwin"))
    assert [finding.contributors[0].field for *_, finding in found] == ["flat"]
    assert not findings([{"flat": 5.0} for _ in range(3000)])


def test_missing_fields_do_not_shift_a_field() -> None:
    draw = Random(8)
    rows = [{name: value for name, value in row.items() if draw.random() < 0.7} for row in noise(6000, 4, seed=8)]
    assert len(findings(rows)) <= 1


def test_many_fields() -> None:
    rows = noise(1500, 50, seed=3)
    for row in rows[1000:]:
        row["f31"] += 6.0
    found = [one for one in findings(rows) if one[0] >= 1000]
    assert found
    assert all(finding.contributors[0].field == "f31" for *_, finding in found)


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_lower_line_raises_more_and_a_higher_one_less(detector: str) -> None:
    rows = subtle(8000)
    raised = [len(findings(rows, only(detector), line)) for line in (0.1, 0.98)]
    assert raised[0] > raised[1]


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_finding_is_given_exactly_at_the_line(detector: str) -> None:
    detectors = EntityDetectors(only(detector))
    raised = 0
    for at, row in enumerate(eventful(4000)):
        verdict = detectors.step(at, row, dict.fromkeys(DETECTORS, 0.4))
        onset = max(verdict.anomaly, verdict.change)
        assert (onset >= 0.4) == bool(verdict.raised)
        assert 0.0 <= onset <= 1.0
        assert 0.0 <= verdict.abnormal <= 1.0
        raised += len(verdict.raised)
    assert raised


def test_a_disabled_detector_says_nothing() -> None:
    settings = DetectSettings.model_validate({name: {"enabled": False} for name in DETECTORS})
    verdict = EntityDetectors(settings).step(0, {"x": 1.0}, LINES)
    assert verdict == (0.0, 0.0, 0.0, 1.0, [])
