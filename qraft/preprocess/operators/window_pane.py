"""What is known of one entity's rows in one stretch of event time, in a size that does not grow with the rows."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from qraft.config.sources.steps_window import WindowStep, quantile as share_of
from qraft.preprocess.operators.exact import Moments, WeightedMean, quantile
from qraft.preprocess.operators.numeric import usable

_OHLC: Final = ("open", "high", "low", "close")
_SUMS: Final = ("mean", "sum", "std")


class Totals:
    """What is known of one field: the count, the extremes, the first and last by event time (of one time, by arrival).

    Sums and the values themselves (for quantiles) are there where a result needs them.
    """

    __slots__ = ("count", "first", "first_time", "high", "last", "last_time", "low", "sums", "values")

    def __init__(self, *, sums: bool, values: bool) -> None:
        self.count = 0
        self.low = self.high = self.first = self.last = 0.0
        self.first_time = self.last_time = 0
        self.sums = Moments() if sums else None
        self.values = array("d") if values else None

    def add(self, time: int, value: float) -> None:
        """Adds one finite value; of those of one time the first added is the first."""
        if not self.count:
            self.low = self.high = self.first = self.last = value
            self.first_time = self.last_time = time
        else:
            if value < self.low:
                self.low = value
            elif value > self.high:
                self.high = value
            if time >= self.last_time:
                self.last, self.last_time = value, time
            elif time < self.first_time:
                self.first, self.first_time = value, time
        self.count += 1
        if self.sums is not None:
            self.sums.add(value)
        if self.values is not None:
            self.values.append(value)

    def merge(self, later: Totals) -> None:
        """Adds all of a later stretch of time."""
        if not later.count:
            return
        if not self.count:
            self.low, self.high = later.low, later.high
            self.first, self.first_time = later.first, later.first_time
        else:
            self.low, self.high = min(self.low, later.low), max(self.high, later.high)
        self.last, self.last_time = later.last, later.last_time
        self.count += later.count
        if self.sums is not None and later.sums is not None:
            self.sums.merge(later.sums)
        if self.values is not None and later.values is not None:
            self.values.extend(later.values)

    def state(self) -> list[Any]:
        """All of it as plain values."""
        return [
            self.count,
            [self.low, self.high, self.first, self.last],
            [self.first_time, self.last_time],
            None if self.sums is None else self.sums.state(),
            None if self.values is None else self.values.tobytes(),
        ]

    def load(self, state: list[Any]) -> None:
        """Takes up what `state` gave."""
        self.count = state[0]
        self.low, self.high, self.first, self.last = state[1]
        self.first_time, self.last_time = state[2]
        if self.sums is not None:
            self.sums.load(state[3])
        if self.values is not None:
            self.values = array("d")
            self.values.frombytes(state[4])


class Pane:
    """One entity's rows in one stretch of event time as long as `every`; a window is one pane, or several put together."""

    __slots__ = ("fields", "rows", "weighted")

    def __init__(self, plan: Plan) -> None:
        self.rows = 0
        self.fields = [Totals(sums=field.sums, values=field.values) for field in plan.fields]
        self.weighted = [WeightedMean() for _ in plan.weighted]

    def merge(self, later: Pane) -> None:
        """Adds all of a later stretch of time."""
        self.rows += later.rows
        for mine, others in zip(self.fields, later.fields, strict=True):
            mine.merge(others)
        for mean, other in zip(self.weighted, later.weighted, strict=True):
            mean.merge(other)

    def state(self) -> list[Any]:
        """All of it as plain values."""
        return [self.rows, [field.state() for field in self.fields], [mean.state() for mean in self.weighted]]

    def load(self, state: list[Any]) -> None:
        """Takes up what `state` gave."""
        self.rows = state[0]
        for field, saved in zip(self.fields, state[1], strict=True):
            field.load(saved)
        for mean, saved in zip(self.weighted, state[2], strict=True):
            mean.load(saved)


@dataclass(frozen=True, slots=True)
class _Field:
    column: int
    sums: bool
    values: bool
    results: dict[str, str]


class Plan:
    """What is made of which columns.

    Attributes:
        columns: the fields that are read.
        fields: what to know of which of them, in the order of the results.
        weighted: for each weighted mean the places of its field and of its weight in ``columns``.
        names: the made fields, in the order of `results`, and the field each is made of.
    """

    def __init__(self, settings: WindowStep) -> None:
        pairs = settings.vwap.items()
        self.columns = list(dict.fromkeys([*settings.aggregate, *(name for pair in pairs for name in pair)]))
        self.fields = [self._field(name, kinds) for name, kinds in settings.aggregate.items()]
        self.weighted = [(self.columns.index(name), self.columns.index(weight)) for name, weight in pairs]
        self.names = {made: self.columns[field.column] for field in self.fields for made in field.results}
        self.names |= {f"{name}.vwap": name for name in settings.vwap}
        self.keeps_values = any(field.values for field in self.fields)

    def _field(self, name: str, kinds: list[str]) -> _Field:
        parts = [part for kind in kinds for part in (_OHLC if kind == "ohlc" else (kind,))]
        return _Field(
            column=self.columns.index(name),
            sums=any(part in _SUMS for part in parts),
            values=any(share_of(part) is not None for part in parts),
            results={f"{name}.{part.replace('.', '_')}": part for part in parts},
        )

    def add(self, pane: Pane, time: int, values: tuple[float | None, ...]) -> None:
        """Adds a row to a pane; ``values`` stand in the order of ``columns``, None where there is none."""
        pane.rows += 1
        for field, totals in zip(self.fields, pane.fields, strict=True):
            value = values[field.column]
            if value is not None:
                totals.add(time, value)
        for (place, weight_place), mean in zip(self.weighted, pane.weighted, strict=True):
            value, weight = values[place], values[weight_place]
            if value is not None and weight is not None:
                mean.add(value, weight)

    def results(self, pane: Pane) -> list[float | None]:
        """The made fields of a window, in the order of ``names``; None where there was no value."""
        out: list[float | None] = []
        for field, totals in zip(self.fields, pane.fields, strict=True):
            ordered = sorted(totals.values) if totals.values else []
            for part in field.results.values():
                if part == "count":
                    out.append(float(totals.count))
                elif not totals.count:
                    out.append(None)
                elif (share := share_of(part)) is not None:
                    out.append(quantile(ordered, share))
                else:
                    out.append(_READ[part](totals))
        out += [mean.mean() for mean in pane.weighted]
        return [usable(value) for value in out]


def _summed(read: Callable[[Moments], float | None]) -> Callable[[Totals], float | None]:
    return lambda totals: None if totals.sums is None else read(totals.sums)


_READ: Final[dict[str, Callable[[Totals], float | None]]] = {
    "open": lambda totals: totals.first,
    "first": lambda totals: totals.first,
    "high": lambda totals: totals.high,
    "max": lambda totals: totals.high,
    "low": lambda totals: totals.low,
    "min": lambda totals: totals.low,
    "close": lambda totals: totals.last,
    "last": lambda totals: totals.last,
    "mean": _summed(Moments.mean),
    "sum": _summed(Moments.sum),
    "std": _summed(Moments.std),
}
