"""What drift finds, of which kind, since when; what it says; what leaves it quiet."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from qraft.config.detect import DriftSettings
from qraft.detect import Finding
from qraft.detect.drift.detector import MAX_FIELDS, DriftDetector
from qraft.detect.state import freeze, thaw
from tests.detect.streams import START_US, Row, cycle, eventful, noise, walk

CHANGE = 1000


def judged(rows: list[Row], detector: DriftDetector | None = None) -> list[tuple[int, float, Finding]]:
    detector = detector or DriftDetector(DriftSettings())
    out = []
    for at, row in enumerate(rows):
        onset, state, _, finding = detector.step(START_US + at * 60_000_000, row, 0.5)
        assert (onset >= 0.5) == (finding is not None)
        assert state == 0.0
        if finding is not None:
            out.append((at, onset, finding))
    return out


def first_after(rows: list[Row]) -> tuple[int, Finding]:
    found = [(at, finding) for at, _, finding in judged(rows) if at >= CHANGE]
    assert found
    return found[0]


def level(seed: int) -> list[Row]:
    rows = noise(CHANGE + 60, 8, seed)
    for row in rows[CHANGE:]:
        row["f3"] += 4.0
    return rows


def spread(seed: int) -> list[Row]:
    rows = noise(CHANGE + 60, 8, seed)
    for row in rows[CHANGE:]:
        row["f3"] *= 3.0
    return rows


def slope(seed: int) -> list[Row]:
    rows = walk(CHANGE + 60, 8, seed)
    for at, row in enumerate(rows[CHANGE:], 1):
        row["f3"] += 3.0 * at
    return rows


def period(seed: int) -> list[Row]:
    draw = Random(seed)
    rows, phase = noise(CHANGE + 60, 8, seed), draw.random()
    for at, row in enumerate(rows):
        phase += 1.0 / (24.0 if at < CHANGE else 12.0)
        row["f3"] += 3.0 * math.sin(2.0 * math.pi * phase)
    return rows


@pytest.mark.parametrize(
    ("stream", "kinds"),
    [(level, {"mean"}), (spread, {"variance"}), (slope, {"trend"}), (period, {"predictability"})],
)
def test_each_kind_is_told_soon_and_the_field_that_changed_comes_first(
    stream: Callable[[int], list[Row]], kinds: set[str]
) -> None:
    right = 0
    for seed in range(10):
        found = [(at, finding) for at, _, finding in judged(stream(seed)) if at >= CHANGE]
        if found:
            finding = found[0][1]
            assert math.isclose(sum(one.score for one in finding.contributors), 1.0)
            right += finding.kind in kinds and finding.contributors[0].field == "f3" and "f3" in finding.summary
    assert right >= 7


def test_a_finding_tells_when_it_began_and_how_large_it_is() -> None:
    rows = level(2)
    for row in rows:
        row["f3"] = 250.0 + 10.0 * row["f3"]
    at, finding = first_after(rows)
    assert finding.kind == "mean"
    assert finding.began_us is not None
    assert abs(finding.began_us - (START_US + CHANGE * 60_000_000)) <= 3 * 60_000_000
    lead = finding.contributors[0]
    assert lead.before == pytest.approx(250.0, abs=5.0)
    assert lead.after == pytest.approx(290.0, abs=12.0)
    assert finding.prev_state["spread"] == pytest.approx(10.0, rel=0.25)
    assert finding.metrics["rows_since"] == at + 1 - CHANGE or finding.metrics["rows_since"] <= at + 4 - CHANGE
    assert "mean" in finding.summary
    assert "min" in finding.summary


def test_one_change_speaks_once() -> None:
    rows = noise(CHANGE + 1500, 2, seed=4)
    for row in rows[CHANGE:]:
        row["f0"] += 5.0
        row["f1"] -= 5.0
    assert len([at for at, *_ in judged(rows) if at >= CHANGE]) == 1


def test_a_short_series_is_judged_from_its_twelfth_row() -> None:
    draw = Random(5)
    rows = [{"x": draw.gauss(0.0 if at < 20 else 8.0, 1.0)} for at in range(40)]
    found = judged(rows)
    assert found
    assert 20 <= found[0][0] <= 25
    detector = DriftDetector(DriftSettings())
    warm = [detector.step(at, row, 0.5).warm for at, row in enumerate(rows[:20])]
    assert warm[0] < 0.2
    assert warm[11] == 1.0


@pytest.mark.parametrize("stream", [noise, walk, cycle])
def test_quiet_streams_stay_quiet(stream: Callable[..., list[Row]]) -> None:
    assert sum(len(judged(stream(6000, seed=seed))) for seed in (1, 2, 3)) <= 6


def test_a_flat_field_that_moves_is_found_once() -> None:
    assert not judged([{"x": 5.0}] * 1000)
    assert len(judged([{"x": 5.0 if at < 500 else 6.0} for at in range(1000)])) == 1


@pytest.mark.parametrize("cut", [1, 11, 700, 1303, 2600])
def test_a_snapshot_changes_nothing(cut: int) -> None:
    rows = eventful(4000)
    whole = judged(rows)
    detector = DriftDetector(DriftSettings())
    for at, row in enumerate(rows[:cut]):
        detector.step(START_US + at * 60_000_000, row, 0.5)
    restored = thaw(freeze(detector))
    assert freeze(restored) == freeze(pickle.loads(freeze(restored)))
    rest = []
    for at, row in enumerate(rows[cut:], cut):
        onset, _, _, finding = restored.step(START_US + at * 60_000_000, row, 0.5)
        if finding is not None:
            rest.append((at, onset, finding))
    assert rest == [one for one in whole if one[0] >= cut]
    assert whole


def test_fields_come_and_go_within_bounds() -> None:
    detector = DriftDetector(DriftSettings())
    for at in range(3 * MAX_FIELDS):
        detector.step(at, {f"f{at}": 1.0, "x": 0.5 * at}, 0.5)
    assert len(freeze(detector)) < MAX_FIELDS * 13_000
    assert detector.step(0, {}, 0.5).finding is None


def test_evidence_does_not_depend_on_the_unit() -> None:
    rows = level(5)
    scaled = [{name: 1e6 * value + 3.0 for name, value in row.items()} for row in rows]
    assert [at for at, *_ in judged(rows)] == [at for at, *_ in judged(scaled)]
    assert np.isfinite([onset for _, onset, _ in judged(rows)]).all()
