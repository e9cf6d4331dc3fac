"""Samples of every metric, made of an engine's statistics and its tally at each scrape, so that none disagree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from qraft.metrics.catalogue import CATALOGUE, OTHER, Spec
from qraft.metrics.tally import Labels, Tally
from qraft.model import LEVELS, EngineState, EngineStats, SourceState, SourceStats, StageStats, us_from_iso

Samples = dict[Labels, float]

_ENGINE: Final[Mapping[str, Callable[[EngineStats], float]]] = {
    "qraft_degradation_level": lambda s: LEVELS.index(s.level),
    "qraft_lag_seconds": lambda s: s.lag_seconds,
    "qraft_pending_messages": lambda s: s.pending,
    "qraft_config_valid": lambda s: not s.config_error,
    "qraft_nats_connected": lambda s: s.nats,
    "qraft_clickhouse_connected": lambda s: s.clickhouse,
}
_STAGE: Final[Mapping[str, Callable[[StageStats], float]]] = {
    "qraft_stage_received_total": lambda s: s.received,
    "qraft_stage_sent_total": lambda s: s.sent,
    "qraft_stage_late_total": lambda s: s.late,
    "qraft_stage_seconds_total": lambda s: s.seconds,
    "qraft_stage_depth": lambda s: s.depth,
    "qraft_stage_lag_seconds": lambda s: s.lag_seconds,
}
_SOURCE: Final[Mapping[str, Callable[[SourceStats], float]]] = {
    "qraft_source_read_total": lambda s: s.read,
    "qraft_source_processed_total": lambda s: s.processed,
    "qraft_source_late_total": lambda s: s.late,
    "qraft_source_duplicates_total": lambda s: s.duplicates,
    "qraft_source_missing_total": lambda s: s.missing,
    "qraft_source_lag_seconds": lambda s: s.lag_seconds,
    "qraft_source_entities": lambda s: s.entities,
    "qraft_source_warm_ratio": lambda s: s.warm,
    "qraft_source_score": lambda s: s.score,
}
_SUMMED: Final = frozenset({"qraft_source_entities"})
"""Gauges of sources that may be added up; the other gauges of the sources that are not shown are left out."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All that an engine counts, at one moment.

    Attributes:
        stats: its statistics, with the sources that are shown by name.
        tally: what is counted beside them.
        rest: the sources that are not shown, added up; None where all are.
    """

    stats: EngineStats
    tally: Tally = field(default_factory=Tally)
    rest: SourceStats | None = None


class EngineCollector(Collector):
    """Reads what an engine counts at each scrape."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Every metric of the catalogue; those without a sample have their HELP and TYPE lines."""
        reading = self._read()
        shown = frozenset(source.source for source in reading.stats.sources)
        said = _of_stats(reading.stats, reading.rest)
        for spec in CATALOGUE:
            if spec.buckets:
                yield _histogram(spec, reading.tally)
            else:
                yield _family(spec, _folded(spec, reading.tally.values(spec.name), shown) | said.get(spec.name, {}))


def _of_stats(stats: EngineStats, rest: SourceStats | None) -> dict[str, Samples]:
    found: dict[str, Samples] = {name: {(): float(value(stats))} for name, value in _ENGINE.items()}
    found["qraft_engine_state"] = {(state,): float(state == stats.state) for state in get_args(EngineState)}
    found["qraft_notices_total"] = {(kind,): float(count) for kind, count in stats.notice_counts.items()}
    for name, of_stage in _STAGE.items():
        found[name] = {(stage.stage,): float(of_stage(stage)) for stage in stats.stages}
    found["qraft_stage_dropped_total"] = {
        (stage.stage, reason): float(count) for stage in stats.stages for reason, count in stage.reasons.items()
    }
    for name, of_source in _SOURCE.items():
        found[name] = {(source.source,): float(of_source(source)) for source in stats.sources}
        if rest is not None and (name.endswith("_total") or name in _SUMMED):
            found[name][OTHER,] = float(of_source(rest))
    found["qraft_source_state"] = {
        (source.source, state): float(state == source.state) for source in stats.sources for state in get_args(SourceState)
    }
    found["qraft_source_last_event_timestamp_seconds"] = {
        (source.source,): us_from_iso(source.last_event) / 1e6 for source in stats.sources if source.last_event
    }
    return found


def _folded(spec: Spec, values: Samples, shown: frozenset[str]) -> Samples:
    """The samples with the sources that are not shown added up as one; their gauges, which cannot be, left out."""
    if "source" not in spec.labels:
        return values
    at = spec.labels.index("source")
    folded: Samples = {}
    for labels, value in values.items():
        if labels[at] in shown:
            folded[labels] = value
        elif spec.kind == "counter":
            other = (*labels[:at], OTHER, *labels[at + 1 :])
            folded[other] = folded.get(other, 0.0) + value
    return folded


def _family(spec: Spec, samples: Samples) -> Metric:
    make = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
    family = make(spec.family, spec.text, labels=spec.labels, unit=spec.unit)
    for labels, value in samples.items():
        family.add_metric(labels, value)
    return family


def _bound(bound: float) -> str:
    """As prometheus_client writes ``le``: 1.0, 0.005, 500000.0."""
    return repr(float(bound))


def _histogram(spec: Spec, tally: Tally) -> Metric:
    family = HistogramMetricFamily(spec.family, spec.text, labels=spec.labels, unit=spec.unit)
    bounds = [*(_bound(bound) for bound in spec.buckets), "+Inf"]
    for labels, (counts, total) in tally.histograms(spec.name).items():
        family.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
    return family
