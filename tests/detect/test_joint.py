"""The joint anomaly detector: what it finds and whose fault it says it is, its state, its silence, its snapshots."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from qraft.config.detect import ForestSettings
from qraft.detect.anomaly.forest import WARMUP, ForestAnomaly
from qraft.detect.anomaly.joint_fields import MAX_FIELDS
from qraft.detect.base import Finding, Judgement
from qraft.detect.state import freeze, thaw
from qraft.detect.track import Tracks
from tests.detect.streams import START_US, Row, cycle, eventful, noise, walk

SECOND = 1_000_000
DAY = 86_400 * SECOND


class Watch:
    """A detector with its tracks; one row a second unless told otherwise."""

    def __init__(self, line: float = 0.5, every_us: int = SECOND, **kwargs: int) -> None:
        self.tracks = Tracks()
        self.detector = ForestAnomaly(ForestSettings.model_validate(kwargs), self.tracks)
        self.line = line
        self.every_us = every_us

    def step(self, row: Row) -> Judgement:
        self.tracks.update(row)
        return self.detector.step(START_US + self.tracks.row * self.every_us, row, self.line)

    def judge(self, rows: Iterable[Row]) -> list[Judgement]:
        return [self.step(row) for row in rows]

    def frozen(self) -> Watch:
        """Itself, by way of bytes."""
        self.tracks, self.detector = thaw(freeze((self.tracks, self.detector)))
        return self


def told(judgements: list[Judgement]) -> list[tuple[int, Finding]]:
    return [(at, one.finding) for at, one in enumerate(judgements) if one.finding is not None]


def shifted(by: float, at: int, rows: int, seed: int, field: str = "f3") -> list[Row]:
    out = noise(rows, 8, seed)
    for row in out[at:]:
        row[field] += by
    return out


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("by", [3.0, -5.0])
def test_a_shift_of_one_field_of_eight_is_told_once_and_soon(by: float, seed: int) -> None:
    field = f"f{seed}"
    found = told(Watch().judge(shifted(by, 1200, 1600, seed, field)))
    assert len(found) == 1
    at, finding = found[0]
    assert 1200 <= at < 1250
    lead = finding.contributors[0]
    assert lead.field == field
    assert finding.summary.startswith(field)
    assert sum(each.score for each in finding.contributors) == pytest.approx(1.0)
    assert finding.kind == "joint"


def test_a_stretch_is_told_in_its_own_units_and_says_since_when() -> None:
    rows = shifted(3.0, 1200, 1400, 5)
    for row in rows:
        row["f3"] = 1e9 + 50.0 * row["f3"]
    [(at, finding)] = told(Watch().judge(rows))
    lead = finding.contributors[0]
    assert lead.field == "f3"
    assert lead.before is not None
    assert lead.after is not None
    assert abs(lead.before - 1e9) < 25.0
    assert 50.0 < lead.after - lead.before < 200.0
    assert finding.began_us is not None
    assert START_US + 1190 * SECOND <= finding.began_us <= START_US + (at + 1) * SECOND


@pytest.mark.parametrize("seed", range(4))
def test_one_wild_row_is_told_and_is_no_stretch(seed: int) -> None:
    rows = noise(1400, 8, seed)
    rows[1200]["f5"] = -12.0
    judgements = Watch().judge(rows)
    [(at, finding)] = told(judgements)
    assert at == 1200
    assert finding.contributors[0].field == "f5"
    assert finding.contributors[0].after == -12.0
    assert finding.contributors[0].before == pytest.approx(0.0, abs=1.0)
    assert judgements[1200].state >= 0.5
    assert all(one.state < 0.5 for one in judgements[1201:1260])


def test_fields_that_part_are_told_though_each_looks_as_usual() -> None:
    draw = Random(2)
    rows = noise(1300, 6, 2)
    for at, row in enumerate(rows):
        row["f2"] = row["f1"] + draw.gauss(0.0, 0.1) if at < 1200 else -row["f1"]
    [(at, finding)] = told(Watch().judge(rows))[:1]
    assert 1200 <= at < 1220
    assert {each.field for each in finding.contributors[:2]} == {"f1", "f2"}
    assert "does not go with the other fields" in finding.summary


def test_a_stretch_stays_abnormal_and_ends_when_it_ends() -> None:
    rows = noise(2000, 8, 4)
    for row in rows[1000:1500]:
        row["f1"] += 3.0
    states = [one.state >= 0.5 for one in Watch().judge(rows)]
    assert sum(states[:1000]) < 20
    assert all(states[1030:1500])
    assert not any(states[1600:])


def test_a_stretch_that_lasts_becomes_the_normal() -> None:
    rows = noise(4200, 4, 6)
    for row in rows[1500:]:
        row["f1"] += 4.0
    states = [one.state >= 0.5 for one in Watch().judge(rows)]
    assert all(states[1530:2450])
    assert not any(states[2600:])


def test_on_a_slow_stream_a_week_is_enough() -> None:
    rows = noise(2000, 4, 6)
    for row in rows[1200:]:
        row["f1"] += 4.0
    hourly = [one.state >= 0.5 for one in Watch(every_us=DAY // 24).judge(rows)]
    assert all(hourly[1230:1390])
    assert not any(hourly[1450:])


def test_wild_rows_now_and_then_do_not_make_a_stretch() -> None:
    draw = Random(3)
    rows = noise(6000, 5, 3)
    wild = {at for at in range(500, 6000) if draw.random() < 0.05}
    for at in wild:
        rows[at]["f0"] += 12.0
    judgements = Watch().judge(rows)
    calm = [one.state for at, one in enumerate(judgements) if at >= 1000 and at not in wild]
    assert sum(state >= 0.5 for state in calm) < 0.02 * len(calm)
    odd = [one.state for at, one in enumerate(judgements) if at >= 1000 and at in wild]
    above = sum(state > usual for state in odd for usual in calm) / (len(odd) * len(calm))
    assert above > 0.9


@pytest.mark.parametrize("fields", [1, 8])
@pytest.mark.parametrize("stream", [noise, walk, cycle])
def test_quiet_streams_stay_quiet(stream: Callable[..., list[Row]], fields: int) -> None:
    judgements = Watch().judge(stream(8000, fields=fields, seed=31))
    assert not told(judgements)
    known = judgements[2880:]  # of a cycle two turns
    assert sum(one.state >= 0.5 for one in known) < 0.05 * len(known)


def test_heavy_tails_and_benign_bursts_are_told_less_and_less() -> None:
    draw = Random(7)
    rows = noise(12_000, 3, 7)
    for at, row in enumerate(rows):
        for name in row:
            row[name] /= math.sqrt(draw.gammavariate(1.5, 1.0 / 1.5))
            row[name] *= 4.0 if at % 1000 < 40 else 1.0
    found = told(Watch().judge(rows))
    assert len(found) <= 8
    assert len([at for at, _ in found if at >= 6000]) <= 3


def test_warm_up_is_seen_short_and_quiet() -> None:
    judgements = Watch().judge({name: 50.0 * value if at % 20 == 0 else value for name, value in row.items()}
                               for at, row in enumerate(noise(400, 3, 1)))  # fmt: skip
    warm = [one.warm for one in judgements]
    assert warm == sorted(warm)
    assert warm[0] < 0.02
    assert warm[WARMUP] == 1.0
    assert all(max(one.onset, one.state) < 0.5 for one in judgements if one.warm < 1.0)


def test_a_field_that_comes_late_is_judged_once_it_is_known() -> None:
    rows = noise(2500, 3, 8)
    for row in rows[:1000]:
        del row["f1"]
    for row in rows[1800:]:
        row["f1"] += 5.0
    [(at, finding)] = told(Watch().judge(rows))
    assert 1800 <= at < 1830
    assert finding.contributors[0].field == "f1"


def test_a_gated_row_keeps_its_rank_below_the_line() -> None:
    rows = noise(1300, 3, 9)
    for at in (1200, 1210, 1220):
        rows[at]["f0"] = 15.0
    judgements = Watch().judge(rows)
    assert [at for at, _ in told(judgements)] == [1200]
    for at in (1210, 1220):
        assert sorted(one.onset for one in judgements[900:1200])[295] < judgements[at].onset < 0.5


@pytest.mark.parametrize("cut", [1, 150, 260, 777, 1503])
def test_a_snapshot_in_mid_stream_changes_nothing(cut: int) -> None:
    rows = eventful(2200)
    whole = Watch(line=0.3, window=100).judge(rows)
    watch = Watch(line=0.3, window=100)
    parts = watch.judge(rows[:cut])
    parts += watch.frozen().judge(rows[cut:])
    assert parts == whole
    assert told(whole)


def test_more_fields_than_there_are_places_are_passed_over_and_places_are_given_on() -> None:
    watch = Watch(window=50, trees=2, height=3)
    row = {f"f{number}": 1.0 for number in range(MAX_FIELDS + 20)}
    watch.judge(row for _ in range(60))
    names = watch.detector._fields.names
    assert len(names) == MAX_FIELDS
    assert "f140" not in names
    watch.judge({"f140": 1.0, "f0": 2.0} for _ in range(1100))
    assert "f140" in names
    assert "f0" in names
    assert len(names) == MAX_FIELDS


def test_the_state_is_bounded() -> None:
    watch = Watch()
    draw = Random(5)
    sizes = []
    for _ in range(4):
        watch.judge({f"f{number}": draw.gauss(0.0, 1.0) for number in range(8)} for _ in range(1500))
        sizes.append(len(freeze(watch.detector)) - len(freeze(watch.tracks)))
    assert max(sizes) < 60_000
    assert sizes[-1] < 1.1 * sizes[1]


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-5.0, 5.0),
    st.sampled_from([0.0, 5e-324, -5e-324, 1e300, -1e300, 1.7e308, 1.0]),
)
ROWS = st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(2, 9), st.booleans())
def test_whatever_comes_what_is_said_is_finite(rows: list[Row], times: int, settle: bool) -> None:
    watch = Watch(line=0.2, window=20, trees=2, height=3)
    watch.judge(noise(300, 2, 3) if settle else [])
    for row in rows * times + noise(150, 1, 1) + rows:
        onset, state, warm, finding = watch.step(row)
        assert 0.0 <= onset <= 1.0
        assert 0.0 <= state <= 1.0
        assert 0.0 <= warm <= 1.0
        assert (finding is not None) == (onset >= 0.2)
        if finding is not None:
            assert sum(each.score for each in finding.contributors) == pytest.approx(1.0)
            numbers = [*finding.metrics.values()]
            numbers += [
                number for each in finding.contributors for number in (each.before, each.after) if number is not None
            ]
            assert all(math.isfinite(number) for number in numbers)


@settings(max_examples=20, deadline=None)
@given(st.integers(-100, 100), st.floats(-3.0, 3.0), st.integers(0, 1000))
def test_units_do_not_matter(power: int, offset: float, seed: int) -> None:
    """Powers of two and an origin at the first value change no digit."""
    rows = noise(500, 3, seed)
    rows[400]["f1"] = 9.0
    scaled = [{name: math.ldexp(value, power) for name, value in row.items()} for row in rows]
    assert [one[:3] for one in Watch().judge(scaled)] == [one[:3] for one in Watch().judge(rows)]
