"""The operators that compute: derive, filter, entity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from qraft.config.expressions import columns, parse, resolve
from qraft.config.sources.steps import DeriveStep, EntityStep, FilterStep
from qraft.preprocess.fields import LARGEST
from qraft.preprocess.operators.base import ENTITY, OWN
from qraft.preprocess.operators.stateless import Stateless
from qraft.preprocess.values import as_text

_MAX_ENTITY_LENGTH: Final = 256
_WORDS: Final = {"Float64": "a number", "String": "text", "Boolean": "true or false"}


class Expression:
    """An expression over frames: a field that no row ever had is missing, not a mistake."""

    def __init__(self, text: str, *, condition: bool = False) -> None:
        self._expression = parse(text)
        self._condition = condition
        self.reads = tuple(columns(self._expression))
        self._types: dict[tuple[Any, ...], dict[str, Any] | None] = {}

    def value(self, frame: pl.DataFrame, name: str) -> pl.Series:
        """Its values as a field called ``name``: Float64 (never -0.0, null where not finite), String or Boolean.

        Raises:
            ValueError: it cannot be computed with the types the fields have.
            polars.exceptions.PolarsError: it cannot be computed of some row's values.
        """
        schema = frame.schema
        known = tuple(schema.get(read) for read in self.reads)
        if known not in self._types:
            given = {read: dtype for read, dtype in zip(self.reads, known, strict=True) if dtype is not None}
            self._types[known] = resolve(self._expression, given, condition=self._condition)
        types = self._types[known]
        if types is None:
            held = ", ".join(
                f"{read} is {_WORDS.get(str(dtype), str(dtype))}"
                for read, dtype in zip(self.reads, known, strict=True)
                if dtype is not None and read not in OWN
            )
            raise ValueError(f"cannot be computed where {held}; a cast before it says what a field is")
        missing = [pl.lit(None, dtype=types[read]).alias(read) for read in self.reads if read not in schema]
        whole = frame.with_columns(missing) if missing else frame
        if len(whole) == 1 and self.reads:
            # polars divides a column by the reciprocal of a constant, but a single value by the constant itself
            twice = [pl.Series(read, whole.get_column(read).to_list() * 2, whole.schema[read]) for read in self.reads]
            return _field(pl.DataFrame(twice).with_columns(self._expression.alias(name)).get_column(name)).head(1)
        return _field(whole.with_columns(self._expression.alias(name)).get_column(name))


class Derive(Stateless):
    """Makes fields, one after the other."""

    def __init__(self, step: DeriveStep) -> None:
        self._made = {name: Expression(text) for name, text in step.fields.items()}

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with the fields made."""
        for name, expression in self._made.items():
            made = expression.value(frame, name)
            frame = frame.with_columns(made) if name in frame.columns else frame.hstack([made])
        return frame

    def origins(self, before: Mapping[str, str]) -> Mapping[str, str]:
        """A made field is of the fields it was computed from, joined by commas."""
        known = dict(before)
        for name, expression in self._made.items():
            origins = (known.get(read, read) for read in expression.reads if read not in OWN)
            known[name] = ", ".join(dict.fromkeys(one for origin in origins for one in origin.split(", ")))
        return known


class Filter(Stateless):
    """Keeps the rows of which a condition holds."""

    def __init__(self, step: FilterStep) -> None:
        self._condition = Expression(step.expression, condition=True)

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that stay."""
        holds = self._condition.value(frame, "_holds")
        if holds.dtype != pl.Boolean:  # null whatever the row
            return frame.clear()
        return frame if holds.null_count() == 0 and holds.all() else frame.filter(holds)


class Entity(Stateless):
    """Names the entity of each row by fields or an expression; a part that is missing is empty."""

    def __init__(self, step: EntityStep) -> None:
        self._fields = tuple(step.fields)
        self._expression = Expression(step.expression) if step.expression is not None else None

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with their entity."""
        if self._expression is not None:
            names = [as_text(value) for value in self._expression.value(frame, "_name").to_list()]
        else:
            empty: list[Any] = [None] * frame.height
            parts = [frame.get_column(one).to_list() if one in frame.columns else empty for one in self._fields]
            names = ["/".join(map(as_text, row)) for row in zip(*parts, strict=True)]
        return frame.with_columns(pl.Series(ENTITY, [name[:_MAX_ENTITY_LENGTH] for name in names], pl.String))


def _field(values: pl.Series) -> pl.Series:
    if values.dtype in (pl.String, pl.Boolean):
        return values
    number = values.cast(pl.Float64) + 0.0
    usable = np.abs(number.to_numpy()) <= LARGEST
    if np.count_nonzero(usable) == len(number) - number.null_count():
        return number
    return pl.Series(number.name, [value if use else None for value, use in zip(number, usable, strict=True)], pl.Float64)
