"""The score against labelled windows: its laws, worked examples, and the scorer of the benchmark where it is present."""

import importlib.util
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from qraft.replay.labels import read_labels, rows_of, runs_of
from qraft.replay.scoring import PROFILES, Series, Stream, best_threshold, detections, nab_score, weigh

BENCHMARK = Path(__file__).resolve().parents[3] / "shared" / "benchmarks" / "nab"
STANDARD = PROFILES["standard"]


def stream(rows: int, *windows: tuple[int, int]) -> Stream:
    return Stream(windows=windows, times_us=np.arange(rows, dtype=np.int64) * 60_000_000)


def series(scores: dict[int, float]) -> Series:
    rows = sorted(scores)
    return Series(rows=np.array(rows, dtype=np.int64), scores=np.array([scores[row] for row in rows]))


@st.composite
def streams(draw: st.DrawFn) -> tuple[Stream, Series]:
    rows = draw(st.integers(20, 400))
    ends = sorted(draw(st.sets(st.integers(0, rows - 1), max_size=8)))
    windows = list(zip(ends[::2], ends[1::2], strict=False))
    scores = draw(st.dictionaries(st.integers(0, rows - 1), st.sampled_from([0.2, 0.5, 0.7, 1.0]), max_size=60))
    return stream(rows, *windows), series(scores)


def test_silence_is_zero_and_the_first_row_of_every_window_is_a_hundred() -> None:
    here = [stream(1000, (300, 400), (700, 720))]
    for profile in PROFILES.values():
        assert nab_score(here, [series({})], profile, 0.5) == 0.0
        assert nab_score(here, [series({300: 0.9, 700: 0.9})], profile, 0.5) == pytest.approx(100.0)
    assert nab_score([stream(100)], [series({50: 1.0})], STANDARD, 0.5) is None


def test_the_weights_follow_the_published_curve() -> None:
    here = stream(1000, (300, 399))
    weights, window = weigh(here, np.array([100, 300, 399, 400, 450, 800]), STANDARD)
    assert window.tolist() == [-1, 0, 0, -1, -1, -1]
    assert weights[0] == -0.11
    assert weights[1] == 1.0
    assert 0.0 < weights[2] < 0.03
    assert weights[3] == pytest.approx(0.11 * (2 / (1 + math.exp(5 / 99)) - 1))
    assert weights[3] > weights[4] > weights[5] == -0.11


def test_the_profiles_punish_what_they_are_named_after() -> None:
    here = [stream(2000, (500, 600), (1500, 1600))]
    alarms = [series({500: 1.0, 800: 1.0, 900: 1.0, 1000: 1.0})]
    standard, low_fp, low_fn = (nab_score(here, alarms, profile, 0.5) or 0.0 for profile in PROFILES.values())
    assert standard == pytest.approx(100 * (1 - 1 - 3 * 0.11 + 2) / 4, abs=0.01)
    assert low_fp == pytest.approx(100 * (1 - 1 - 3 * 0.22 + 2) / 4, abs=0.01)
    assert low_fn == pytest.approx(100 * (1 - 2 - 3 * 0.11 + 4) / 6, abs=0.01)


def test_the_first_rows_do_not_count() -> None:
    here = stream(1000, (100, 160))
    assert here.probation == 150
    assert detections([here], [series({120: 1.0, 50: 1.0})], 0.5).caught == 0
    assert stream(100_000).probation == 750


def test_precision_recall_and_delay() -> None:
    here = [stream(1000, (300, 400), (700, 720))]
    found = detections(here, [series({310: 0.6, 312: 0.9, 500: 0.5, 800: 0.4})], 0.5)
    assert (found.windows, found.caught, found.inside, found.outside) == (2, 1, 2, 1)
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == 0.5
    assert (found.delay_rows, found.delay_seconds) == (10.0, 600.0)
    nothing = detections(here, [series({})], 0.5)
    assert (nothing.precision, nothing.recall, nothing.delay_rows) == (None, 0.0, None)
    assert detections([stream(50)], [series({})], 0.5).recall is None


@given(st.lists(streams(), min_size=1, max_size=4), st.sampled_from(sorted(PROFILES)))
def test_no_threshold_beats_the_best(cases: list[tuple[Stream, Series]], name: str) -> None:
    here, said = [one for one, _ in cases], [one for _, one in cases]
    best = best_threshold(here, said, PROFILES[name])
    reached = nab_score(here, said, PROFILES[name], best)
    for threshold in (0.1, 0.2, 0.3, 0.5, 0.7, 0.99, 1.0, math.inf):
        other = nab_score(here, said, PROFILES[name], threshold)
        assert (reached is None) == (other is None)
        assert (other or 0.0) <= (reached or 0.0) + 1e-9
    assert reached is None or -1e-9 <= reached <= 100.0 + 1e-9


@given(streams(), st.integers(1, 399))
def test_a_false_alarm_more_never_helps(case: tuple[Stream, Series], row: int) -> None:
    here, said = case
    if row >= len(here.times_us) or any(a <= row <= b for a, b in here.windows) or row in said.rows:
        return
    more = series({**dict(zip(said.rows.tolist(), said.scores.tolist(), strict=True)), row: 1.0})
    before, after = (nab_score([here], [one], STANDARD, 0.5) or 0.0 for one in (said, more))
    assert after <= before + 1e-9


def benchmark() -> Any:
    if not BENCHMARK.is_dir():
        pytest.skip("no shared/benchmarks/nab beside the repository")
    spec = importlib.util.spec_from_file_location("score_nab", BENCHMARK / "score_nab.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


THEIRS = {"standard": "standard", "low_fp": "reward_low_FP_rate", "low_fn": "reward_low_FN_rate"}


@given(st.lists(streams(), min_size=1, max_size=3), st.sampled_from(sorted(PROFILES)), st.sampled_from([0.2, 0.5, None]))
def test_it_equals_the_scorer_of_the_benchmark(
    cases: list[tuple[Stream, Series]], name: str, threshold: float | None
) -> None:
    module = benchmark()
    here, said, files, scores = [], [], [], {}
    for number, (one, series_) in enumerate(cases):
        stamps = np.datetime_as_string(one.times_us.astype("datetime64[us]"))
        windows = [(str(stamps[a]), str(stamps[b])) for a, b in one.windows]
        files.append(module.LabelledFile(str(number), list(stamps), windows))
        dense = np.zeros(len(stamps))
        dense[series_.rows] = series_.scores
        scores[str(number)] = dense
        here.append(one)
        said.append(series_)
    theirs = module.evaluate(files, scores, THEIRS[name], threshold)
    at = best_threshold(here, said, PROFILES[name]) if threshold is None else threshold
    ours = nab_score(here, said, PROFILES[name], at)
    if ours is None:
        assert math.isnan(theirs["score"])
    elif theirs["threshold"] != 0.0:  # a threshold of 0 finds every row; here none
        assert ours == pytest.approx(theirs["score"], abs=1e-9)
        assert detections(here, said, at).caught == theirs["windows_caught"]


def test_it_equals_the_scorer_on_the_benchmark_itself() -> None:
    module = benchmark()
    only = (BENCHMARK / "files.txt").read_text().split()
    files = module.load_labels(BENCHMARK / "data", BENCHMARK / "windows.json", only)
    labels = read_labels(BENCHMARK / "windows.json")
    draw = np.random.default_rng(5)
    scores = {one.name: np.round(draw.random(one.n) ** 40, 3) for one in files}
    here, said = [], []
    for one in files:
        stamps = module.read_columns(BENCHMARK / "data" / one.name, "timestamp")[0]
        times = np.array([np.datetime64(text.replace(" ", "T"), "us") for text in stamps]).astype(np.int64)
        spans = rows_of(labels[one.name], times)
        assert list(spans) == one.windows
        here.append(Stream(windows=spans, times_us=times))
        rows = np.flatnonzero(scores[one.name])
        said.append(Series(rows=rows, scores=scores[one.name][rows]))
    for name, profile in PROFILES.items():
        for threshold in (None, 0.5, 0.9):
            theirs = module.evaluate(files, scores, THEIRS[name], threshold)
            at = best_threshold(here, said, profile) if threshold is None else threshold
            assert nab_score(here, said, profile, at) == pytest.approx(theirs["score"], abs=1e-9)
            if threshold is None:
                assert at == (theirs["threshold"] if theirs["threshold"] is not None else math.inf)
            found = detections(here, said, at)
            assert (found.caught, found.outside) == (theirs["windows_caught"], theirs["false_rows"])


@given(st.lists(st.booleans(), max_size=40))
def test_runs_are_the_flags_again(flags: list[bool]) -> None:
    spans = runs_of(np.array(flags, dtype=np.bool_))
    again = [any(a <= n <= b for a, b in spans) for n in range(len(flags))]
    assert again == flags
    assert all(before[1] + 1 < after[0] for before, after in pairwise(spans))


def test_the_figures_are_plain_json() -> None:
    found = detections([stream(1000, (300, 400))], [series({310: 0.6})], 0.5)
    assert json.dumps([found.windows, found.caught, found.inside, found.outside, found.precision, found.recall]) == (
        "[1, 1, 1, 0, 1.0, 1.0]"
    )
