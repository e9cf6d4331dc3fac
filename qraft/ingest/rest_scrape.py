"""Scrapes of an exporter as rows of numbers: what counts becomes a rate, what is a distribution its mean and quantiles.

Names of fields: the metric's, then its labels by name (``node_disk_io_now.device=sda``), so that ``fields = ["METRIC"]``
covers all its series. A counter ``x_total`` gives ``x_per_second``; a histogram ``x`` gives ``x_count_per_second``,
``x_mean`` and, on request, ``x_p99``; a summary the same but its own quantiles (``x.quantile=0.99``).
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from qraft.config.sources.rest import PrometheusSettings
from qraft.ingest.rest_prometheus import Exposition, Labels, Sample

Role = Literal["gauge", "counter", "bucket", "sum", "count", "ignored"]

_PARTS: Final[dict[str, Role]] = {"_bucket": "bucket", "_sum": "sum", "_count": "count"}
_ROLES: Final[dict[str, dict[str, Role]]] = {
    "counter": {"_total": "counter", "_created": "ignored"},
    "histogram": {**_PARTS, "_created": "ignored"},
    "summary": {"_sum": "sum", "_count": "count", "_created": "ignored"},
    "gaugehistogram": {"_bucket": "ignored", "_gcount": "gauge", "_gsum": "gauge"},
    "info": {"_info": "ignored"},
}
"""By the type of a metric and the suffix of a sample's name: what the sample is. OpenMetrics has all of these."""
_COUNTERS: Final = ("_total", "_count", "_sum", "_bucket")


class Row(NamedTuple):
    """The fields of one entity at one time; ``time_us`` only where the exporter gave a time of its own."""

    entity: str
    time_us: int | None
    fields: dict[str, float]


class Family(NamedTuple):
    """What a sample is part of, and as what."""

    name: str
    role: Role


class _Reading(NamedTuple):
    """A value of a counter, and when it was (UTC microseconds)."""

    value: float
    time_us: int


@dataclass(slots=True)
class _Distribution:
    """The parts of one histogram or summary: the increase of each since the scrape before; None was reset or is new."""

    seconds: float = 0.0
    count: float | None = None
    sum: float | None = None
    buckets: dict[float, float | None] = field(default_factory=dict)


@dataclass(slots=True)
class _Metric:
    """The rows' fields that one metric gives, by (entity, time of its own)."""

    rank: int
    names: dict[str, None] = field(default_factory=dict)
    values: dict[tuple[str, int | None], dict[str, float]] = field(default_factory=dict)
    distributions: dict[tuple[str, int | None, Labels], _Distribution] = field(default_factory=dict)


class Scrapes:
    """Turns the scrapes of one exporter, in their order, into rows.

    The first scrape primes the counters. A counter that fell was reset: its rate is left out once. Which fields there are is
    decided by the first scrape and only added to, while there is room, so that rows stay comparable.

    Attributes:
        left_out: names of fields of the last scrape that had no room.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        self._include = [re.compile(fnmatch.translate(glob)) for glob in settings.include]
        self._exclude = _any_of(settings.exclude)
        self._counters = _any_of(settings.counters)
        self._before: dict[tuple[str, Labels], _Reading] = {}
        self._chosen: dict[str, None] = {}
        self.left_out = 0

    def rows(self, scrape: Exposition, arrival_us: int) -> list[Row]:
        """The rows of a scrape that came at ``arrival_us`` (UTC microseconds since 1970)."""
        now: dict[tuple[str, Labels], _Reading] = {}
        metrics: dict[str, _Metric] = {}
        families = _Families(scrape)
        for sample in scrape.samples:
            family = families.of(sample.name)
            metric = metrics.get(family.name) or self._metric(sample.name, family.name)
            if metric is None or family.role == "ignored":
                continue
            metrics[family.name] = metric
            self._take(sample, family, metric, now, arrival_us)
        self._before = now
        for name, metric in metrics.items():
            for (entity, time_us, labels), parts in metric.distributions.items():
                metric.values.setdefault((entity, time_us), {}).update(self._reduced(name, labels, parts))
        self._choose(metrics.values())
        return list(self._collected(metrics.values()))

    def _metric(self, name: str, family: str) -> _Metric | None:
        """A place for a metric's fields, ranked by the pattern that asks for it; None where it is not to be read."""
        if self._exclude(name) or self._exclude(family):
            return None
        if not self._include:
            return _Metric(0)
        rank = next((n for n, glob in enumerate(self._include) if glob.match(name) or glob.match(family)), None)
        return None if rank is None else _Metric(rank)

    def _take(
        self, sample: Sample, family: Family, metric: _Metric, now: dict[tuple[str, Labels], _Reading], arrival_us: int
    ) -> None:
        entity, labels = self._split(sample.labels)
        role = "counter" if family.role == "gauge" and self._counters(sample.name) else family.role
        if role == "gauge":
            name = _field(sample.name, labels)
            metric.names[name] = None
            if math.isfinite(sample.value):
                metric.values.setdefault((entity, sample.time_us), {})[name] = sample.value
            return
        time_us = arrival_us if sample.time_us is None else sample.time_us
        before = self._before.get(sample[:2])
        seconds = (time_us - before.time_us) / 1e6 if before is not None else 0.0
        grown = sample.value - before.value if before is not None and seconds > 0 else None
        grown = grown if grown is not None and grown >= 0 else None
        if math.isfinite(sample.value):
            now[sample[:2]] = _Reading(sample.value, time_us)
        if role == "counter":
            name = _field(sample.name.removesuffix("_total") + "_per_second", labels)
            metric.names[name] = None
            if grown is not None:
                metric.values.setdefault((entity, sample.time_us), {})[name] = grown / seconds
            return
        own = tuple(label for label in labels if label[0] != "le") if role == "bucket" else labels
        parts = metric.distributions.setdefault((entity, sample.time_us, own), _Distribution())
        metric.names |= dict.fromkeys(self._names(family.name, own))
        if role == "bucket":
            bound = _bound(labels)
            if bound is not None:
                parts.buckets[bound] = grown
        elif role == "count":
            parts.count, parts.seconds = grown, seconds
        else:
            parts.sum = grown

    def _split(self, labels: Labels) -> tuple[str, Labels]:
        """The entity that labels name, and the other labels; a label that is missing counts as empty."""
        names = self._settings.entity_labels
        if not names:
            return "", labels
        values = dict(labels)
        found = [values.pop(name, "") for name in names]
        return "/".join(found) if any(found) else "", tuple(values.items())

    def _names(self, name: str, labels: Labels) -> Iterator[str]:
        yield _field(f"{name}_count_per_second", labels)
        yield _field(f"{name}_mean", labels)
        for quantile in self._settings.quantiles:
            yield _field(f"{name}_{_percentile(quantile)}", labels)

    def _reduced(self, name: str, labels: Labels, parts: _Distribution) -> dict[str, float]:
        out = {}
        if parts.count is not None:
            out[_field(f"{name}_count_per_second", labels)] = parts.count / parts.seconds
            if parts.count > 0 and parts.sum is not None:
                out[_field(f"{name}_mean", labels)] = parts.sum / parts.count
        for quantile in self._settings.quantiles:
            value = bucket_quantile(quantile, sorted(parts.buckets.items()))
            if value is not None:
                out[_field(f"{name}_{_percentile(quantile)}", labels)] = value
        return out

    def _choose(self, metrics: Iterable[_Metric]) -> None:
        """Adds fields while there is room: of the pattern named first, then of the metric with the fewest."""
        self.left_out = 0
        for metric in sorted(metrics, key=lambda metric: (metric.rank, len(metric.names))):
            new = [name for name in metric.names if name not in self._chosen]
            if len(self._chosen) + len(new) <= self._settings.max_fields:
                self._chosen |= dict.fromkeys(new)
            else:
                self.left_out += len(new)

    def _collected(self, metrics: Iterable[_Metric]) -> Iterator[Row]:
        rows: dict[tuple[str, int | None], dict[str, float]] = {}
        for metric in metrics:
            for key, values in metric.values.items():
                chosen = {name: value for name, value in values.items() if name in self._chosen}
                if chosen:
                    rows.setdefault(key, {}).update(chosen)
        for (entity, time_us), fields in rows.items():
            yield Row(entity, time_us, fields)


class _Families:
    """Which metric each sample name belongs to, by the types the exporter gives or, without one, by the name."""

    def __init__(self, scrape: Exposition) -> None:
        self._types = scrape.types
        self._known: dict[str, Family] = {}
        names = {sample.name for sample in scrape.samples}
        self._histograms = {
            sample.name.removesuffix("_bucket")
            for sample in scrape.samples
            if sample.name.endswith("_bucket") and any(name == "le" for name, _ in sample.labels)
        }
        self._summaries = {
            base for name in names if f"{(base := name.removesuffix('_sum'))}_count" in names and base != name
        }

    def of(self, name: str) -> Family:
        """The metric a sample name belongs to, and as what."""
        family = self._known.get(name)
        if family is None:
            family = self._known[name] = self._find(name)
        return family

    def _find(self, name: str) -> Family:
        kind = self._types.get(name, "untyped")
        if kind in ("untyped", "unknown"):
            return self._part(name) or Family(name, "counter" if name.endswith(_COUNTERS) else "gauge")
        # A summary's own name carries its quantiles; a histogram's own name is none that the format has.
        role: dict[str, Role] = {"gauge": "gauge", "stateset": "gauge", "summary": "gauge", "counter": "counter"}
        return Family(name, role.get(kind, "ignored"))

    def _part(self, name: str) -> Family | None:
        """What a name without a type of its own is a part of, if anything."""
        base, suffix = _based(name)
        kind = self._types.get(base, "") if suffix else ""
        if not kind:
            distributions = self._histograms if suffix == "_bucket" else self._histograms | self._summaries
            return Family(base, _PARTS[suffix]) if suffix in _PARTS and base in distributions else None
        role = _ROLES.get(kind, {}).get(suffix)
        return None if role is None else Family(base, role)


def bucket_quantile(quantile: float, buckets: Sequence[tuple[float, float | None]]) -> float | None:
    """The quantile of cumulative bucket counts by linear interpolation, as PromQL's ``histogram_quantile`` does it.

    Args:
        quantile: between 0 and 1, both excluded.
        buckets: (upper bound, count of all at or below it), by bound; the last bound is infinite.

    Returns:
        None where there is no observation, a count is missing, or the buckets do not end at infinity.
    """
    counts: list[float] = []
    for _, count in buckets:
        if count is None:
            return None
        counts.append(max(count, counts[-1] if counts else 0.0))
    if len(counts) < 2 or not math.isinf(buckets[-1][0]) or counts[-1] <= 0:
        return None
    rank = quantile * counts[-1]
    here = next(n for n, count in enumerate(counts) if count >= rank)
    upper = buckets[here][0]
    if here == len(counts) - 1:
        return buckets[-2][0]
    if here == 0:
        return upper if upper <= 0 else upper * rank / counts[0]
    lower, below = buckets[here - 1][0], counts[here - 1]
    return lower + (upper - lower) * (rank - below) / (counts[here] - below)


def _based(name: str) -> tuple[str, str]:
    for suffix in ("_total", "_created", "_bucket", "_count", "_sum", "_gcount", "_gsum", "_info"):
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


def _bound(labels: Labels) -> float | None:
    try:
        return float(dict(labels)["le"])
    except (KeyError, ValueError):
        return None


def _field(name: str, labels: Labels) -> str:
    return name + "".join(f".{key}={value}" for key, value in labels)


def _percentile(quantile: float) -> str:
    return "p" + f"{100 * quantile:.10g}".replace(".", "_")


def _any_of(globs: Sequence[str]) -> Callable[[str], bool]:
    """Tells whether a name matches any of the patterns."""
    if not globs:
        return lambda _: False
    pattern = re.compile("|".join(fnmatch.translate(glob) for glob in globs))
    return lambda name: pattern.match(name) is not None
