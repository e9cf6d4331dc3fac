"""New fields made of a field's values over time, for each entity on its own, and of the clock.

The values of a field and an entity are a sequence in the order they come; a row without the field (null, text, not finite)
is not part of it, and its features are null. The features, named as `qraft.config.sources.steps_features` says:

- ``diff``, ``pct_change`` (by the former value), ``log_return`` (natural), ``lag``: of the value and the one n before it.
- ``rolling_*`` over the last n values, this one included, null until there are n; or over a duration: the values that lie
  less than that before the newest time so far, from the first on. Standard deviations are of a sample (ddof 1), null below
  two values; z is (value - mean) / std, null where std is 0; the median of an even number is the mean of the middle two.
- ``ewm``: y = (1 - alpha) y + alpha x, from the first value on (pandas' and polars' ``adjust=False``, nulls ignored).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from qraft.config.sources.steps_features import FeaturesStep, feature
from qraft.preprocess.operators.base import ENTITY, TIME
from qraft.preprocess.operators.features_series import Plan, Series
from qraft.preprocess.operators.numeric import numbers

CLOCK: Final = "time"
"""What calendar features are made of, and how their names begin."""

_DAY_US: Final = 86_400_000_000
_PERIODS: Final = {"time_of_day": ("day", 0, _DAY_US), "day_of_week": ("week", 3 * _DAY_US, 7 * _DAY_US)}
"""Name, time from the cycle's start to 1970-01-01 (a Thursday; weeks start on Monday), length."""


class _Entity:
    __slots__ = ("rows", "series")

    def __init__(self, plans: list[Plan]) -> None:
        self.series = [Series(plan) for plan in plans]
        self.rows: list[int] = []


class FeaturesOperator:
    """Adds made fields to every row.

    Attributes:
        evicted: entities whose past was forgotten to make room for others, since the start.
        shortened: values that left a rolling duration early because it held too many, since the start.
    """

    def __init__(self, settings: FeaturesStep) -> None:
        self._plans = [_plan(field, texts, settings.max_rows) for field, texts in settings.of.items()]
        self._calendar = list(dict.fromkeys(settings.calendar))
        self._zone = settings.time_zone
        self._dropped = [] if settings.keep else [plan.field for plan in self._plans]
        self._max_entities = settings.max_entities
        self._entities: dict[str, _Entity] = {}
        self.evicted = 0
        self.shortened = 0

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """These rows with the made fields; a field that is there already by a made one's name is replaced."""
        made = [circle for name in self._calendar for circle in self._circle(frame, name)]
        made += self._features(frame)
        columns = {column.name: column for column in frame.get_columns() if column.name not in self._dropped}
        columns |= {column.name: column for column in made}
        return pl.DataFrame(list(columns.values()))  # with_columns takes twenty times as long

    def origins(self, before: Mapping[str, str]) -> Mapping[str, str]:
        """Of which field of the source each field is: what comes in, as far as it stays, and the made ones."""
        out = {name: origin for name, origin in before.items() if name not in self._dropped}
        out |= {name: before.get(plan.field, plan.field) for plan in self._plans for name in plan.names}
        return out | {f"{CLOCK}.{_PERIODS[name][0]}_{part}": CLOCK for name in self._calendar for part in ("sin", "cos")}

    def state(self) -> dict[str, Any]:
        """What was seen of each entity, as plain values."""
        return {
            "evicted": self.evicted,
            "shortened": self.shortened,
            "entities": [[name, [series.state() for series in entity.series]] for name, entity in self._entities.items()],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes up what `state` gave; the settings must be those it was made with."""
        self.evicted, self.shortened = state["evicted"], state["shortened"]
        self._entities = {}
        for name, saved in state["entities"]:
            self._entities[name] = entity = _Entity(self._plans)
            for series, one in zip(entity.series, saved, strict=True):
                series.load(one)

    def _features(self, frame: pl.DataFrame) -> list[pl.Series]:
        if not self._plans:
            return []
        height, times, seen = frame.height, frame[TIME].to_list(), self._sorted_out(frame[ENTITY].to_list())
        made: list[pl.Series] = []
        for place, plan in enumerate(self._plans):
            values = numbers(frame, plan.field)
            columns: list[list[float | None]] = [[None] * height for _ in plan.names]
            for entity in seen:
                rows = [row for row in entity.rows if values[row] is not None]
                present = [value for row in rows if (value := values[row]) is not None]
                if not rows:
                    continue
                series = entity.series[place]
                for column, results in zip(columns, series.run([times[row] for row in rows], present), strict=True):
                    for row, result in zip(rows, results, strict=True):
                        column[row] = result
                self.shortened += series.take_shortened()
            made += [pl.Series(name, column, pl.Float64) for name, column in zip(plan.names, columns, strict=True)]
        return made

    def _sorted_out(self, names: list[str]) -> list[_Entity]:
        """The entities of these rows, each with the places of its rows.

        One that gives way and comes back within the frame is there twice: with its past, and afresh.
        """
        seen: dict[int, _Entity] = {}
        entities = self._entities
        for row, name in enumerate(names):
            entity = entities.pop(name, None)
            if entity is None:
                if len(entities) >= self._max_entities:
                    del entities[next(iter(entities))]
                    self.evicted += 1
                entity = _Entity(self._plans)
            entities[name] = entity
            if id(entity) not in seen:
                seen[id(entity)] = entity
                entity.rows = []
            entity.rows.append(row)
        return list(seen.values())

    def _circle(self, frame: pl.DataFrame, name: str) -> list[pl.Series]:
        label, offset, period = _PERIODS[name]
        times = frame[TIME]
        if self._zone != "UTC":
            moments = times.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(self._zone)
            times = moments.dt.replace_time_zone(None).cast(pl.Int64)
        turns = [(time + offset) % period / period * math.tau for time in times.to_list()]
        return [
            pl.Series(f"{CLOCK}.{label}_sin", [math.sin(turn) for turn in turns], pl.Float64),
            pl.Series(f"{CLOCK}.{label}_cos", [math.cos(turn) for turn in turns], pl.Float64),
        ]


def _plan(field: str, texts: list[str], max_rows: int) -> Plan:
    features = {one.suffix: one for one in map(feature, texts)}
    return Plan(field, list(features.values()), max_rows)
