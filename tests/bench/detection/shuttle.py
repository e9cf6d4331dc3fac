"""The Shuttle set that ships with River: ROC AUC of the scores, beside River's Half-Space Trees on the same rows."""

import math
from itertools import islice
from typing import Any

from river import anomaly, compose, datasets, metrics, preprocessing

from qraft.config import Settings
from qraft.model import Event, iso_from_us
from qraft.pipeline import Pipeline
from tests.bench.detection.streams import SOURCE, START_US, stepped
from tests.bench.detection.table import Table

ROWS = 10_000


def shuttle(*, quick: bool) -> Table:
    """Over the first rows: ROC AUC over all, that of the last 1,000, and the mean of the latter over the run."""
    rows: list[tuple[dict[str, float], bool]] = [
        ({str(k): float(v) for k, v in x.items()}, bool(y)) for x, y in islice(datasets.Shuttle(), 2_000 if quick else ROWS)
    ]
    truth = [y for _, y in rows]
    abnormal, onset = scores_of([x for x, _ in rows])
    lines = [
        ("abnormal", *_auc(abnormal, truth)),
        ("anomaly_score", *_auc(onset, truth)),
        ("River HalfSpaceTrees", *_auc(_forest([x for x, _ in rows]), truth)),
    ]
    notes = [f"{len(rows):,} rows, {sum(truth)} anomalous; target 0.97 over all 10,000 (River: HST .90, LODA .96)"]
    return Table("shuttle", ("score", "ROC AUC", "rolling, at the end", "rolling, mean"), lines, notes)


def scores_of(rows: list[dict[str, float]]) -> tuple[list[float], list[float]]:
    """The states and the onsets of the rows."""
    stream = [
        Event(
            event_id=f"e{n}", source=SOURCE, type="row", timestamp=iso_from_us(START_US + n * 1_000_000), payload=dict(row)
        )
        for n, row in enumerate(rows)
    ]
    scores = [score for _, batch in stepped(Pipeline(Settings()), stream) for score in batch]
    return [s.abnormal if s else 0.0 for s in scores], [s.anomaly if s else 0.0 for s in scores]


def _forest(rows: list[dict[str, float]]) -> list[float]:
    model: Any = compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=42))
    scores = []
    for row in rows:
        scores.append(model.score_one(row))
        model.learn_one(row)
    return scores


def _auc(scores: list[float], truth: list[bool]) -> tuple[float, float, float]:
    untyped: Any = metrics.RollingROCAUC
    whole, rolling = untyped(window_size=len(truth)), untyped()
    passing = []
    for n, (score, y) in enumerate(zip(scores, truth, strict=True), 1):
        whole.update(y, score)
        rolling.update(y, score)
        if n % 250 == 0 and n >= 1_000:
            passing.append(rolling.get())
    known = [value for value in passing if not math.isnan(value)]
    return whole.get(), rolling.get(), sum(known) / len(known)
