"""``python -m tests.bench.detection.drifts [drift|adwin|ddm ...] [--quick]``: changes put into one field, found in time?

The detectors see the rows alone, without the rest of the pipeline, so that each is measured for itself: ``drift``, and
what stays available beside it, ADWIN and DDM of River over the same predictors' errors (``adwin``, ``ddm``).
"""

import argparse
import statistics
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from qraft.config.detect import AdwinSettings, DdmSettings, DriftSettings
from qraft.detect.base import Finding, Judgement
from qraft.detect.drift.adwin import AdwinDrift
from qraft.detect.drift.ddm import DdmDrift
from qraft.detect.drift.detector import DriftDetector
from qraft.detect.track import Tracks
from tests.bench.detection import streams
from tests.bench.detection.streams import Rows
from tests.bench.detection.table import Table

_QUIET = (500, 2000)
Draw = np.random.Generator

BASES: dict[str, Callable[[int, int, Draw], Rows]] = {
    "white": streams.white,
    "ar1 .5": lambda rows, fields, draw: streams.autoregressive(rows, fields, draw, 0.5),
    "sine 1440": streams.sine,
    "sine 288": lambda rows, fields, draw: streams.sine(rows, fields, draw, 288),
    "walk": streams.walk,
}


def _two_peaks(rows: int, draw: Draw) -> Rows:
    return np.asarray((draw.integers(0, 2, rows) * 2.0 - 1.0) * np.sqrt(1.0 - 0.3**2) + 0.3 * draw.standard_normal(rows))


def _exponential(rows: int, draw: Draw) -> Rows:
    return draw.exponential(1.0, rows) - 1.0


SHAPES: dict[str, Callable[[int, Draw], Rows]] = {"two peaks": _two_peaks, "exponential": _exponential}


@dataclass(frozen=True)
class Case:
    """One change: the stream, its width, what changes and by how much, the kinds that are right, the rows it may take."""

    base: str
    fields: int
    change: str
    size: float
    kinds: tuple[str, ...]
    within: int = 50
    target: float = 0.95


def _cases() -> list[Case]:
    spread, mean = ("variance",), ("mean",)
    three = ("white", "ar1 .5", "sine 1440")
    cases = [Case(base, width, "spread", 2.0, spread) for base in (*three, "sine 288") for width in (1, 8)]
    cases += [Case(base, 1, "spread", size, spread, target=0.0) for base in three for size in (3.0, 1.5, 0.5)]
    cases += [Case(base, width, "level", 3.0, mean) for base in (*three, "sine 288") for width in (1, 8)]
    cases += [Case("walk", 1, "spread", 2.0, spread, target=0.0), Case("walk", 1, "slope", 2.0, ("trend",), target=0.0)]
    cases += [Case(f"sine {period}", 1, "period", 2.0, ("predictability", "distribution")) for period in (20, 30, 50, 100)]
    cases += [Case("white", 1, shape, 1.0, ("distribution",), 200, 1.0) for shape in SHAPES]
    cases += [Case("ar1 .5", 8, shape, 1.0, ("distribution",), 200, 1.0) for shape in SHAPES]
    return cases


CASES = _cases()


@dataclass
class Tally:
    """What became of a case: how often it was tried, found, told as the right kind, with the right field first; when."""

    tried: int = 0
    found: int = 0
    kind: int = 0
    right: int = 0
    delays: list[int] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


def drifts(pool: Executor, *, quick: bool, detector: str = "drift", cases: list[Case] | None = None) -> Table:
    """The share of seeds by case; a finding counts from the change on, and the first one alone."""
    seeds = 20 if quick else 60
    chosen = CASES if cases is None else cases
    done = [pool.submit(tried, case, range(seeds), detector) for case in chosen]
    lines = [_line(case, future.result()) for case, future in zip(chosen, done, strict=True)]
    columns = ("change", "size", "base", "fields", "within", "found", "kind", "and field", "target", "rows", "kinds")
    return Table(detector, columns, lines, [f"{seeds} seeds a case; rows: the median until it is found"])


def _line(case: Case, tally: Tally) -> tuple[str | int | float | None, ...]:
    found, kind, right = (part / tally.tried for part in (tally.found, tally.kind, tally.right))
    under = "" if right >= case.target else f"under {case.target:g}"
    delay = statistics.median(tally.delays) if tally.delays else None
    kinds = ", ".join(f"{name} {n}" for name, n in tally.kinds.most_common())
    return (case.change, case.size, case.base, case.fields, case.within, found, kind, right, under, delay, kinds)


def tried(case: Case, seeds: range, detector: str) -> Tally:
    """Runs a case with each seed."""
    tally = Tally()
    for seed in seeds:
        draw = np.random.default_rng([seed, len(case.base), case.fields])
        begin = int(draw.integers(*_QUIET))
        where = int(draw.integers(case.fields))
        rows = _changed(case, begin, where, draw)
        judge = _judge(detector)
        names = streams.names(case.fields)
        tally.tried += 1
        for at, row in enumerate(rows.tolist()):
            finding = judge(streams.START_US + at * streams.STEP_US, dict(zip(names, row, strict=True))).finding
            if finding is not None and at >= begin:
                _count(tally, case, finding, f"f{where}", at + 1 - begin)
                break
    return tally


def _count(tally: Tally, case: Case, finding: Finding, name: str, delay: int) -> None:
    right = finding.kind in case.kinds or not finding.kind
    tally.found += 1
    tally.delays.append(delay)
    tally.kinds[finding.kind] += 1
    tally.kind += right
    tally.right += right and finding.contributors[0].field == name


def _changed(case: Case, begin: int, where: int, draw: Draw) -> Rows:
    length = begin + case.within
    if case.change in SHAPES or case.change == "spread":
        rows, noise = _noisy(case, length, draw)
        part = noise[:, where]
        if case.change == "spread":
            part[begin:] *= case.size
        else:
            part[begin:] = SHAPES[case.change](case.within, draw)
        return rows(noise)
    if case.change == "period":
        period = np.where(np.arange(length) < begin, 1.0, case.size) / int(case.base.split()[1])
        turn = 2 * np.pi * (np.cumsum(period)[:, None] + draw.uniform(0, 1, case.fields))
        return 3.0 * np.sin(turn) + draw.standard_normal((length, case.fields))
    rows_ = BASES[case.base](length, case.fields, draw)
    if case.change == "slope":
        rows_[begin:, where] += case.size * np.arange(1, case.within + 1)
    else:
        rows_[begin:, where] += case.size
    return rows_


def _noisy(case: Case, length: int, draw: Draw) -> tuple[Callable[[Rows], Rows], Rows]:
    """The noise a stream is made of, which a change may alter, and what makes the stream of it."""
    noise = draw.standard_normal((length, case.fields))
    phase = draw.uniform(0, 2 * np.pi, case.fields)

    def made(values: Rows) -> Rows:
        if case.base == "walk":
            return np.cumsum(values, axis=0)
        if case.base.startswith("sine"):
            period = int(case.base.split()[1])
            return 3.0 * np.sin(2 * np.pi * np.arange(length)[:, None] / period + phase) + values
        if case.base.startswith("ar1"):
            out = values * np.sqrt(0.75)
            for at in range(1, length):
                out[at] += 0.5 * out[at - 1]
            return np.asarray(out)
        return values

    return made, noise


def _judge(name: str) -> Callable[[int, dict[str, float]], Judgement]:
    if name == "drift":
        one = DriftDetector(DriftSettings())
        return lambda time, row: one.step(time, row, 0.5)
    tracks = Tracks()
    other = AdwinDrift(AdwinSettings(), tracks) if name == "adwin" else DdmDrift(DdmSettings(), tracks)

    def step(time: int, row: dict[str, float]) -> Judgement:
        tracks.update(row)
        return other.step(time, row, 0.5)

    return step


def main() -> None:
    """Parses the arguments and prints a table a detector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detectors", nargs="*", metavar="NAME", help="drift, adwin or ddm; all three by default")
    parser.add_argument("--quick", action="store_true", help="20 seeds a case instead of 60")
    chosen = parser.parse_args()
    with ProcessPoolExecutor(2) as pool:
        for name in chosen.detectors or ("drift", "adwin", "ddm"):
            print(drifts(pool, quick=chosen.quick, detector=name).text(), flush=True)


if __name__ == "__main__":
    main()
