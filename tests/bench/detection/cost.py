"""What a judged event costs on one core, beside River's own detectors over the same rows."""

import statistics
import time
from typing import Any

import numpy as np
from river import anomaly, cluster, drift, preprocessing
from river.drift import binary

from qraft.config import Settings
from qraft.pipeline import Pipeline
from tests.bench.detection import streams
from tests.bench.detection.table import Table

WIDTHS = (1, 3, 8)


def cost(*, quick: bool) -> Table:
    """Microseconds of one core an event and field, warm and compiled; the target is 25."""
    rows, runs = (3_000, 2) if quick else (10_000, 5)
    lines = []
    for width in WIDTHS:
        values = streams.white(2_000 + rows, width, np.random.default_rng(width))
        pairs = [(_ours(values, rows), _river(values, min(rows, 2_000))) for _ in range(runs)]
        ours, river = (statistics.median(one) for one in zip(*pairs, strict=True))
        each = [round(a / width, 2) for a, _ in pairs]
        lines.append((width, ours, ours / width, "" if ours / width <= 25 else "over", river, river / width, str(each)))
    columns = ("fields", "us/event", "us/event/field", "target 25", "River us/event", "River us/event/field", "runs")
    notes = ["CPU time of this process, so that others on the machine count little; the whole Pipeline, from decoded events"]
    return Table("cost", columns, lines, notes)


def _ours(values: streams.Rows, rows: int) -> float:
    pipeline, stream = Pipeline(Settings()), streams.events(values)
    for _ in streams.stepped(pipeline, stream[:-rows]):
        pass
    begun = time.process_time()
    for _ in streams.stepped(pipeline, stream[-rows:]):
        pass
    return (time.process_time() - begun) * 1e6 / rows


class PlainRiver:
    """What one writes by hand: Half-Space Trees on scaled rows, ADWIN and DDM on each field's error, k-means."""

    def __init__(self, fields: list[str]) -> None:
        self.scale: Any = preprocessing.MinMaxScaler()
        self.forest: Any = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=250, seed=42)
        self.clusters: Any = cluster.KMeans(n_clusters=4, seed=42)
        self.adwin: dict[str, Any] = {f: drift.ADWIN() for f in fields}  # type: ignore[no-untyped-call]
        self.ddm: dict[str, Any] = {f: binary.DDM() for f in fields}
        self.last = dict.fromkeys(fields, 0.0)
        self.found = 0

    def step(self, row: dict[str, float]) -> None:
        """Scores one row, then learns it."""
        for name, value in row.items():
            error = abs(value - self.last[name])
            self.last[name] += 0.1 * (value - self.last[name])
            self.adwin[name].update(error)
            self.ddm[name].update(error > 2)
            self.found += self.adwin[name].drift_detected + self.ddm[name].drift_detected
        self.scale.learn_one(row)
        scaled = self.scale.transform_one(row)
        self.found += self.forest.score_one(scaled) > 0.9
        self.forest.learn_one(scaled)
        self.clusters.learn_one(scaled)
        self.clusters.predict_one(scaled)


def _river(values: streams.Rows, rows: int) -> float:
    fields = streams.names(values.shape[1])
    plain = PlainRiver(fields)
    stream = [dict(zip(fields, row, strict=True)) for row in values.tolist()[: 1_000 + rows]]
    for row in stream[:1_000]:
        plain.step(row)
    begun = time.process_time()
    for row in stream[1_000:]:
        plain.step(row)
    return (time.process_time() - begun) * 1e6 / rows
