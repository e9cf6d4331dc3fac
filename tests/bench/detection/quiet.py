"""Streams that go on as they were: how many patterns are raised on them."""

from collections import Counter
from concurrent.futures import Executor

import numpy as np

from qraft.config import Settings
from qraft.pipeline import Pipeline
from tests.bench.detection import streams
from tests.bench.detection.table import Table

STREAMS = {"white noise": streams.white, "random walk": streams.walk, "daily sine": streams.sine}
WIDTHS = (8, 3, 1)
_PART = 5_000


def quiet(pool: Executor, *, quick: bool) -> Table:
    """Patterns in 20,000 rows, by stream and number of fields; the target is at most 1."""
    rows = 20_000 if quick else 100_000
    cases = [(name, width) for width in WIDTHS for name in STREAMS]
    done = [pool.submit(_patterns, name, width, rows) for name, width in cases]
    total: Counter[tuple[str, str, str]] = Counter()
    lines = []
    for (name, width), future in zip(cases, done, strict=True):
        found = future.result()
        total.update(found)
        by_detector = ", ".join(f"{d}/{k or t} {n}" for (d, t, k), n in sorted(found.items()))
        count = sum(found.values())
        lines.append(
            (name, width, rows, count, count * 20_000 / rows, "" if count * 20_000 <= rows else "over", by_detector)
        )
    lines.sort(key=lambda line: (line[0], line[1]))
    notes = [f"{d}: {n * 20_000 / (rows * len(cases)):.3f} per 20 k rows" for (d, n) in _by_detector(total)]
    return Table(
        "quiet", ("stream", "fields", "rows", "patterns", "per 20k rows", "target 1", "detector/kind"), lines, notes
    )


def _by_detector(total: Counter[tuple[str, str, str]]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for (detector, kind, _), n in total.items():
        counts[f"{detector} ({kind})"] += n
    return counts.most_common()


def _patterns(name: str, width: int, rows: int) -> Counter[tuple[str, str, str]]:
    draw = np.random.default_rng([list(STREAMS).index(name), width])
    values = STREAMS[name](rows, width, draw)
    pipeline, found = Pipeline(Settings()), Counter[tuple[str, str, str]]()
    for at in range(0, rows, _PART):
        for patterns, _ in streams.stepped(pipeline, streams.events(values[at : at + _PART], first=at)):
            found.update((p.detector, p.type, p.kind) for p in patterns)
    return found
