"""Counters, gauges and histograms by name and labels, as cheap to write as a dictionary."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from qraft.metrics.catalogue import BY_NAME, CATALOGUE, Spec

Labels = tuple[str, ...]


class Histogram:
    """How many values fell at or below each bound, and their sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Takes a value, or ``times`` alike."""
        self.counts[bisect_left(self._bounds, value)] += times
        self.total += value * times

    def bucket(self, value: float) -> int:
        """The number of the bucket that a value falls into."""
        return bisect_left(self._bounds, value)


class Tally:
    """What is counted beside the statistics. One thread writes; others may read copies.

    Every name must stand in the catalogue, with as many labels as it says there: else KeyError or ValueError.
    """

    def __init__(self) -> None:
        self._values: Final[dict[str, dict[Labels, float]]] = {
            spec.name: _beginning(spec) for spec in CATALOGUE if not spec.buckets
        }
        self._histograms: Final[dict[str, dict[Labels, Histogram]]] = {
            spec.name: {} if spec.labels else {(): Histogram(spec.buckets)} for spec in CATALOGUE if spec.buckets
        }

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Adds to a counter; ``by=0`` makes it known, so that its first increase shows."""
        values = self._values[name]
        values[labels] = values[labels] + by if labels in values else _checked(name, labels, by)

    def set(self, name: str, *labels: str, value: float) -> None:
        """Sets a gauge, or a counter that is kept elsewhere."""
        values = self._values[name]
        values[labels] = value if labels in values else _checked(name, labels, value)

    def observe(self, name: str, value: float, *labels: str, times: int = 1) -> None:
        """Takes a value into a histogram, or ``times`` alike."""
        self.histogram(name, *labels).observe(value, times)

    def histogram(self, name: str, *labels: str) -> Histogram:
        """The histogram of these labels, made on first use."""
        made = self._histograms[name]
        if labels not in made:
            _checked(name, labels, 0.0)
            made[labels] = Histogram(BY_NAME[name].buckets)
        return made[labels]

    def forget(self, source: str) -> None:
        """Lets go of all that is counted of a source."""
        for name, values in self._values.items():
            if "source" in BY_NAME[name].labels:
                at = BY_NAME[name].labels.index("source")
                for labels in [labels for labels in values if labels[at] == source]:
                    del values[labels]

    def values(self, name: str) -> dict[Labels, float]:
        """A copy of what a counter or gauge has, by labels."""
        return dict(self._values[name])

    def histograms(self, name: str) -> dict[Labels, tuple[list[int], float]]:
        """A copy of a histogram's counts (a bucket each, not yet added up) and sum, by labels."""
        return {labels: (list(one.counts), one.total) for labels, one in dict(self._histograms[name]).items()}


def _beginning(spec: Spec) -> dict[Labels, float]:
    """What a metric has before anything is counted: a counter without labels is 0, all else is not there."""
    if spec.starts:
        return {(start,): 0.0 for start in spec.starts}
    return {(): 0.0} if spec.kind == "counter" and not spec.labels else {}


def _checked(name: str, labels: Labels, value: float) -> float:
    wanted = BY_NAME[name].labels
    if len(labels) != len(wanted):
        raise ValueError(f"{name} has the labels {wanted}, not {labels}")
    return value
