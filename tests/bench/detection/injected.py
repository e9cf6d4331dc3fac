"""Faults put into quiet streams: found within 50 rows, with the right type, the right field first?

A seed makes one quiet stream; each fault begins at its end, from the same state of the pipeline.
"""

import copy
import statistics
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from qraft.config import Settings
from qraft.model import Event, Pattern
from qraft.pipeline import Pipeline
from tests.bench.detection import streams
from tests.bench.detection.streams import Rows
from tests.bench.detection.table import Table

WITHIN = 50
GAP = 60
PERIOD = 60
LENGTH = 60
_QUIET = (600, 2000)
_CHUNK = 5

BASES: dict[str, Callable[[int, int, np.random.Generator], Rows]] = {
    "white": streams.white,
    "ar1": streams.autoregressive,
    "sine": lambda rows, fields, draw: streams.sine(rows, fields, draw, PERIOD),
}
FAULTS = {
    "level": "drift",
    "spread": "drift",
    "period": "drift",
    "absent": "anomaly",
    "gap": "anomaly",
    "silent": "anomaly",
    "frozen": "anomaly",
}
"""Each fault and the type of pattern that is right: a level 3 standard deviations off, values twice as far from their mean,
half the period, the field missing, no row for 60 steps and then one, no row while ticks let time pass, the last value again
and again."""


@dataclass
class Tally:
    """What became of one fault: how often it was put in, found, found as the right type, and with the right field first."""

    tried: int = 0
    found: int = 0
    typed: int = 0
    right: int = 0
    delays: list[int] = field(default_factory=list)
    first: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Takes in another's counts."""
        self.tried += other.tried
        self.found += other.found
        self.typed += other.typed
        self.right += other.right
        self.delays += other.delays
        self.first += other.first


Key = tuple[str, str, int]


def injected(pool: Executor, *, quick: bool) -> Table:
    """The share of seeds by fault, base noise and number of fields; the fault is in one field. The target is 0.95 right."""
    seeds = 20 if quick else 200
    chunks = [
        pool.submit(_seeds, base, width, range(at, min(at + _CHUNK, seeds)))
        for width in (8, 1)
        for base in BASES
        for at in range(0, seeds, _CHUNK)
    ]
    tallies: dict[Key, Tally] = {}
    early: Counter[str] = Counter()
    quiet_rows = 0
    for chunk in chunks:
        part, raised, rows = chunk.result()
        early += raised
        quiet_rows += rows
        for key, tally in part.items():
            tallies.setdefault(key, Tally()).add(tally)
    lines = [_line(key, tallies[key]) for key in sorted(tallies, key=lambda k: (list(FAULTS).index(k[0]), -k[2], k[1]))]
    per_20k = {detector: round(n * 20_000 / quiet_rows, 2) for detector, n in early.most_common()}
    notes = [f"in the {quiet_rows:,} quiet rows before the faults, patterns per 20k rows: {per_20k or 'none'}"]
    columns = (
        "fault",
        "fields",
        "base",
        "seeds",
        "found",
        "right type",
        "and field",
        "target .95",
        "median rows",
        "first found by",
    )
    return Table("injected", columns, lines, notes)


def _line(key: Key, tally: Tally) -> tuple[str | int | float | None, ...]:
    fault, base, width = key
    shares = [part / tally.tried for part in (tally.found, tally.typed, tally.right)]
    delay = statistics.median(tally.delays) if tally.delays else None
    by = ", ".join(f"{name} {n}" for name, n in tally.first.most_common(3))
    return (fault, width, base, tally.tried, *shares, "" if shares[2] >= 0.95 else "under", delay, by)


def _seeds(base: str, width: int, seeds: range) -> tuple[dict[Key, Tally], Counter[str], int]:
    tallies: dict[Key, Tally] = {}
    early: Counter[str] = Counter()
    rows = 0
    for seed in seeds:
        draw = np.random.default_rng([seed, list(BASES).index(base), width])
        begin = int(draw.integers(*_QUIET))
        where = int(draw.integers(width))
        values = BASES[base](begin + 2 * LENGTH, width, draw)
        pipeline = Pipeline(Settings())
        for patterns, _ in streams.stepped(pipeline, streams.events(values[:begin])):
            early.update(p.detector for p in patterns)
        rows += begin
        for fault in FAULTS:
            if (fault == "period" and base != "sine") or (fault == "absent" and width == 1):
                continue
            tally = tallies.setdefault((fault, base, width), Tally())
            _try(copy.deepcopy(pipeline), _faulty(fault, values, begin, where), fault, f"f{where}", tally)
    return tallies, early, rows


def _faulty(fault: str, values: Rows, begin: int, where: int) -> list[Event]:
    """The rows from the fault on."""
    if fault == "silent":
        return streams.ticks(LENGTH, first=begin)
    rows = values[begin : begin + LENGTH].copy()
    before, part = values[:begin, where], rows[:, where]
    if fault == "level":
        part += 3 * before.std()
    elif fault == "spread":
        part += part - before.mean()
    elif fault == "period":
        part[:] = values[begin : begin + 2 * LENGTH : 2, where]
    elif fault == "absent":
        part[:] = np.nan
    elif fault == "frozen":
        part[:] = before[-1]
    return streams.events(rows, first=begin, late_us=GAP * streams.STEP_US if fault == "gap" else 0)


def _try(pipeline: Pipeline, stream: list[Event], fault: str, name: str, tally: Tally) -> None:
    limit = 1 if fault == "gap" else WITHIN
    places = {event.event_id: at for at, event in enumerate(stream[:limit], 1)}
    found: list[Pattern] = pipeline.step(stream[:limit]).patterns
    typed = [p for p in found if p.type == FAULTS[fault]]
    right = [p for p in typed if fault in ("gap", "silent") or (p.contributors and p.contributors[0].field == name)]
    tally.tried += 1
    tally.found += bool(found)
    tally.typed += bool(typed)
    tally.right += bool(typed) and (typed[0] in right)
    if typed:
        tally.delays.append(places[typed[0].event_id])
        tally.first[typed[0].detector] += 1
