"""Figure (a): events a second of the pipeline, beside a plain River loop over the same detectors."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from river import anomaly, cluster, drift, preprocessing
from river.drift import binary

from qraft.config import Settings
from qraft.config.detect import ClusterSettings, DetectSettings, ForestSettings
from qraft.model import Event
from qraft.pipeline import Pipeline
from tests.bench.events import FIELDS, make_events
from tests.bench.measure import figure, interleaved, seconds

Item = TypeVar("Item")

BATCH = 500
WARM = 1_000


def pipeline_rate(events: int, runs: int) -> None:
    """Prints events a second of ``Pipeline.step`` in batches of 500, decoded events in, patterns out."""
    stream = make_events(WARM + events)
    rows = [event.payload for event in stream]
    ours, plain = interleaved(lambda: events / _pipeline(stream), lambda: events / _river(rows), runs)
    figure("pipeline_events_per_second", ours, "events/s", reference=plain, of="plain River loop, same detectors")


def _pipeline(events: Sequence[Event]) -> float:
    pipeline = Pipeline(Settings())
    batches = [events[at : at + BATCH] for at in range(WARM, len(events), BATCH)]
    pipeline.step(events[:WARM])
    return _each(pipeline.step, batches)


class _PlainRiver:
    """What a user writes by hand: Half-Space Trees on scaled rows, ADWIN and DDM on each field's one-step error, k-means."""

    def __init__(self, detect: DetectSettings) -> None:
        forest: ForestSettings = detect.forest
        clusters: ClusterSettings = detect.clusters
        self.scale: Any = preprocessing.MinMaxScaler()
        self.forest: Any = anomaly.HalfSpaceTrees(
            n_trees=forest.trees, height=forest.height, window_size=forest.window, seed=forest.seed
        )
        self.clusters: Any = cluster.KMeans(n_clusters=clusters.clusters, seed=42)
        self.adwin: dict[str, Any] = {f: drift.ADWIN(delta=detect.adwin.delta) for f in FIELDS}  # type: ignore[no-untyped-call]
        self.ddm: dict[str, Any] = {f: binary.DDM(drift_threshold=detect.ddm.drift_threshold) for f in FIELDS}
        self.last = dict.fromkeys(FIELDS, 0.0)
        self.spread = dict.fromkeys(FIELDS, 1.0)
        self.found = 0

    def step(self, row: dict[str, float]) -> None:
        for field, value in row.items():
            error = abs(value - self.last[field])
            self.last[field] += 0.1 * (value - self.last[field])
            self.spread[field] += 0.01 * (error - self.spread[field])
            self.adwin[field].update(error)
            self.ddm[field].update(error > 2 * self.spread[field])
            self.found += self.adwin[field].drift_detected + self.ddm[field].drift_detected
        self.scale.learn_one(row)
        scaled = self.scale.transform_one(row)
        self.found += self.forest.score_one(scaled) > 0.9
        self.forest.learn_one(scaled)
        self.clusters.learn_one(scaled)
        self.clusters.predict_one(scaled)


def _river(rows: Sequence[dict[str, float]]) -> float:
    plain = _PlainRiver(DetectSettings())
    for row in rows[:WARM]:
        plain.step(row)
    return _each(plain.step, rows[WARM:])


def _each(step: Callable[[Item], object], items: Sequence[Item]) -> float:
    def run() -> None:
        for item in items:
            step(item)

    return seconds(run)
