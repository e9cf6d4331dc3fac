from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from qraft.config.detect import ClusterSettings
from qraft.detect import Finding, freeze, thaw
from qraft.detect.clusters.change import ClusterChange
from qraft.detect.clusters.window import MAX_FIELDS, Window
from qraft.detect.kinds import KINDS as ALL_KINDS
from qraft.detect.track import Tracks
from tests.detect.mixtures import CHANGE, KINDS, mixture, named, stationary
from tests.detect.streams import START_US, Row, cycle, noise, walk

SECOND = 1_000_000
SEEDS = 24


def judged(rows: list[Row], line: float = 0.5) -> list[tuple[int, float, Finding]]:
    tracks = Tracks()
    detector = ClusterChange(ClusterSettings(), tracks)
    out = []
    for at, row in enumerate(rows):
        tracks.row = at + 1
        onset, state, warm, finding = detector.step(START_US + at * SECOND, row, line)
        assert state == 0.0
        assert (finding is not None) == (onset >= line)
        assert warm == 1.0 or (onset == 0.0 and at < 400)
        if finding is not None:
            out.append((at, onset, finding))
    return out


@pytest.mark.parametrize(
    ("kind", "least"), [("birth", 24), ("death", 23), ("merge", 23), ("split", 23), ("moved", 23), ("occupancy", 20)]
)
def test_known_changes_are_found_named_and_explained(kind: str, least: int) -> None:
    found, named_so, lead, told = 0, 0, 0, 0
    for seed in range(SEEDS):
        stream = mixture(kind, seed)
        raised = judged(stream.rows)
        assert not [at for at, *_ in raised if at < CHANGE]
        told += len(raised)
        if not raised:
            continue
        found += 1
        at, confidence, finding = raised[0]
        named_so += finding.kind == kind
        lead += finding.contributors[0].field == stream.lead
        assert confidence <= 1.0
        assert ALL_KINDS[finding.kind] == "cluster_change"
        assert finding.began_us is not None
        assert abs((finding.began_us - START_US) // SECOND - CHANGE) <= 120
        assert finding.began_us <= START_US + at * SECOND
        assert sum(one.score for one in finding.contributors) == pytest.approx(1.0)
        assert len(finding.contributors) == len(stream.rows[0])
        assert finding.contributors[0].field in finding.summary
        assert finding.prev_state["label"] != finding.new_state["label"]
        assert finding.new_state["n"] >= 100
        assert all(math.isfinite(value) for value in finding.metrics.values())
    assert found >= least
    assert named_so >= 0.85 * found
    assert lead >= 0.85 * found
    assert told <= found + 1


def test_a_birth_is_told_in_the_fields_own_units() -> None:
    draw = np.random.default_rng(3)
    rows: list[Row] = []
    for at in range(1400):
        third = at >= 1000 and draw.random() < 0.2
        level, spread = (210.0, 30.0) if third else ((20.0, 4.0) if draw.random() < 0.5 else (80.0, 6.0))
        rows.append({"size": draw.normal(), "latency": level + spread * draw.normal()})
    ((at, _, finding),) = judged(rows)
    assert at < 1400
    assert finding.kind == "birth"
    assert finding.summary.startswith("a third group appeared (")
    assert "where the others stay at" in finding.summary
    lead = finding.contributors[0]
    assert lead.field == "latency"
    assert lead.before == pytest.approx(50.0, abs=5.0)
    assert lead.after == pytest.approx(210.0, abs=20.0)
    assert len(finding.prev_state["occupancy"]) == 2
    assert len(finding.new_state["occupancy"]) == 3


@pytest.mark.parametrize("fields", [1, 3])
def test_what_goes_on_as_it_was_is_quiet(fields: int) -> None:
    draw = np.random.default_rng(fields)
    size = (10_000, fields)
    around = draw.normal(size=size)
    for at in range(1, len(around)):
        around[at] += 0.9 * around[at - 1]
    streams = [
        noise(10_000, fields, 1),
        walk(10_000, fields, 2),
        cycle(10_000, fields=fields, seed=3),
        named(draw.standard_t(3, size), draw),
        named(around, draw),
        named(draw.poisson(2.0, size).astype(float), draw),
    ]
    assert [judged(rows) for rows in streams] == [[]] * len(streams)


def test_a_mixture_that_goes_on_is_quiet() -> None:
    assert sum(len(judged(stationary(seed, 3000))) for seed in range(8)) == 0
    assert sum(len(judged(stationary(seed, 3000, 0.98))) for seed in range(8)) <= 3


def test_a_level_shift_of_one_group_is_left_to_drift() -> None:
    rows = noise(3000, 3, 5)
    for row in rows[1500:]:
        row["f1"] += 8.0
    assert judged(rows) == []


def test_groups_that_all_move_alike_are_left_to_drift() -> None:
    rows = stationary(4, 3000)
    name = next(iter(rows[0]))
    spread = float(np.std([row[name] for row in rows]))
    for at, row in enumerate(rows):
        row[name] += spread * at / 3000
    assert len(judged(rows)) <= 1


@pytest.mark.parametrize("at", [10, 399, 420, 1475, 1600, 1649])
def test_a_restored_detector_says_the_same(at: int) -> None:
    rows = mixture("split", 3).rows
    tracks = Tracks()
    detector = ClusterChange(ClusterSettings(), tracks)
    said = []
    for number, row in enumerate(rows):
        if number == at:
            detector, tracks = thaw(freeze((detector, tracks)))
        tracks.row = number + 1
        said.append(detector.step(START_US + number * SECOND, row, 0.5))
    again = Tracks()
    whole = ClusterChange(ClusterSettings(), again)
    for number, row in enumerate(rows):
        again.row = number + 1
        assert whole.step(START_US + number * SECOND, row, 0.5) == said[number]
    assert any(one.finding for one in said)


def test_fields_that_come_go_and_are_missing_break_nothing() -> None:
    draw = np.random.default_rng(2)
    rows = mixture("birth", 1).rows
    gaps = [{name: value for name, value in row.items() if draw.random() < 0.9} for row in rows]
    assert [finding.kind for *_, finding in judged(gaps)] == ["birth"]
    late = [{**row, "late": draw.normal()} if at > 700 else dict(row) for at, row in enumerate(rows)]
    assert [finding.kind for *_, finding in judged(late)] == ["birth"]
    judged([{f"new{at}": 1.0, "x": draw.normal()} for at in range(1500)])


def test_a_window_keeps_the_last_rows_of_a_bounded_number_of_fields() -> None:
    window = Window(100, 25)
    for at in range(1000):
        window.add(at, {"a": float(at), f"b{at}": 1.0} if at % 2 else {"a": float(at)})
        assert len(window) < 150
    assert len(window.names) <= MAX_FIELDS
    column = window.names.index("a")
    last = window.rows[-100:, column]
    assert last.tolist() == [float(at) for at in range(900, 1000)]
    assert window.times[-100:].tolist() == list(range(900, 1000))
    window.keep(10)
    assert window.rows[:, column].tolist() == [float(at) for at in range(990, 1000)]


def test_every_kind_has_its_generator() -> None:
    assert Counter(KINDS) == Counter(kind for kind, of in ALL_KINDS.items() if of == "cluster_change" and kind != "member")
