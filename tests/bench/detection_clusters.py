"""``python -m tests.bench.detection_clusters``: what cluster change finds in generated streams, what it says of quiet ones,
and what it costs.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from qraft.config.detect import ClusterSettings
from qraft.detect import Finding
from qraft.detect.clusters.change import ClusterChange
from qraft.detect.track import Tracks
from tests.detect.mixtures import CHANGE, KINDS, mixture, named, stationary
from tests.detect.streams import Row

SECOND: Final = 1_000_000


class Raised(NamedTuple):
    """A finding and the row it was raised at."""

    row: int
    finding: Finding


def judged(rows: list[Row]) -> list[Raised]:
    """What the detector alone, with default settings, raises."""
    tracks = Tracks()
    detector = ClusterChange(ClusterSettings(), tracks)
    out = []
    for at, row in enumerate(rows):
        tracks.row = at + 1
        found = detector.step(at * SECOND, row, 0.5).finding
        if found is not None:
            out.append(Raised(at, found))
    return out


def found_changes(seeds: int, stay: float = 0.0) -> None:
    """Known changes: share found within two windows, of the right kind, right field first."""
    head = "kind       found  kind  field  rows until told  began off by (median, 90 %)  before the change  told as"
    print(f"{head} [{seeds} seeds]")
    for kind in KINDS:
        early, delays, offs, names, fields = 0, [], [], Counter[str](), 0
        for seed in range(seeds):
            stream = mixture(kind, seed, stay=stay)
            raised = judged(stream.rows)
            early += sum(one.row < CHANGE for one in raised)
            first = next((one for one in raised if one.row >= CHANGE), None)
            if first is None:
                continue
            delays.append(first.row - CHANGE)
            offs.append(abs((first.finding.began_us or 0) // SECOND - CHANGE))
            names[first.finding.kind] += 1
            fields += first.finding.contributors[0].field == stream.lead
        found = len(delays)
        print(
            f"{kind:10} {found / seeds:5.0%} {names[kind] / max(found, 1):5.0%} {fields / max(found, 1):6.0%}"
            f" {np.median(delays or [0]):16.0f} {np.median(offs or [0]):18.0f} {np.quantile(offs or [0], 0.9):9.0f}"
            f" {early:18d}  {dict(names.most_common())}",
            flush=True,
        )


def quiet_streams(rows: int) -> dict[str, Callable[[np.random.Generator, int], np.ndarray]]:
    """Streams that go on as they were, by name."""
    at = np.arange(rows)[:, None]

    def sine(draw: np.random.Generator, fields: int) -> np.ndarray:
        turn = 0.13 * np.arange(fields)
        return 3.0 * np.sin(2.0 * np.pi * (at / 1440.0 + turn)) + draw.normal(size=(rows, fields))

    def autoregression(draw: np.random.Generator, fields: int) -> np.ndarray:
        out = draw.normal(size=(rows, fields))
        for row in range(1, rows):
            out[row] += 0.9 * out[row - 1]
        return out

    return {
        "white noise": lambda draw, fields: draw.normal(size=(rows, fields)),
        "random walk": lambda draw, fields: draw.normal(size=(rows, fields)).cumsum(axis=0),
        "daily sine + noise": sine,
        "t3 noise": lambda draw, fields: draw.standard_t(3, (rows, fields)),
        "AR(1) .9": autoregression,
        "lognormal": lambda draw, fields: np.exp(draw.normal(size=(rows, fields))),
        "Poisson(2)": lambda draw, fields: draw.poisson(2.0, (rows, fields)).astype(float),
    }


def quiet(rows: int, seeds: int) -> None:
    """Findings on streams that do not change."""
    print(f"quiet stream          fields   rows  findings [{seeds} seeds each]")
    for name, stream in quiet_streams(rows).items():
        for fields in (1, 3, 8):
            raised = [
                one
                for seed in range(seeds)
                for one in judged(named(stream(np.random.default_rng([seed, fields]), fields), np.random.default_rng(seed)))
            ]
            kinds = dict(Counter(one.finding.kind for one in raised))
            print(f"{name:22} {fields:5d} {rows * seeds:8d} {len(raised):6d}  {kinds}", flush=True)
    for name, stay in (("mixture", 0.0), ("mixture, sticky 50", 0.98)):
        streams = max(rows * seeds // 5000, 1)
        raised = [one for seed in range(streams) for one in judged(stationary(seed, 5000, stay))]
        kinds = dict(Counter(one.finding.kind for one in raised))
        print(f"{name:22}   1-8 {5000 * streams:8d} {len(raised):6d}  {kinds}  ({streams} streams of 5000)", flush=True)


def cost(rows: int) -> None:
    """Microseconds an event and field."""
    print("cost, CPU us an event and field: fields, noise, mixture of four")
    for fields in (1, 3, 8, 30):
        draw = np.random.default_rng(1)
        places = draw.uniform(-12, 12, (4, fields))
        streams = draw.normal(size=(rows, fields)), places[draw.integers(0, 4, rows)] + draw.normal(size=(rows, fields))
        figures = []
        for values in streams:
            given = named(values, np.random.default_rng(2))
            judged(given[:1000])
            begun = time.process_time()
            judged(given)
            figures.append((time.process_time() - begun) / rows / fields * 1e6)
        print(f"{fields:3d} {figures[0]:6.2f} {figures[1]:6.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", help="any of found, quiet, cost; all by default")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--rows", type=int, default=100_000)
    chosen = parser.parse_args()
    groups = chosen.groups or ["found", "quiet", "cost"]
    if "found" in groups:
        found_changes(chosen.seeds)
    if "quiet" in groups:
        quiet(chosen.rows, 1)
    if "cost" in groups:
        cost(min(chosen.rows, 20_000))


if __name__ == "__main__":
    main()
