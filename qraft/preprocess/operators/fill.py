"""The operator that puts something where a field is missing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from qraft.config.duration import microseconds
from qraft.config.sources.steps import FillStep
from qraft.preprocess.operators.base import ENTITY, TIME
from qraft.preprocess.operators.stateless import Stateless
from qraft.preprocess.values import Target, Value, as_target

_DTYPES: Final[Mapping[type, Any]] = {float: pl.Float64, int: pl.Float64, str: pl.String, bool: pl.Boolean}
_TARGETS: Final[Mapping[Any, Target]] = {pl.Float64: "float", pl.String: "string", pl.Boolean: "bool"}
_TYPES: Final[Mapping[Any, type]] = {pl.Float64: float, pl.String: str, pl.Boolean: bool}


class FillConstant(Stateless):
    """Puts a constant where a field is missing; one that cannot be of the field's type leaves it missing."""

    def __init__(self, step: FillStep) -> None:
        self._fields = tuple(dict.fromkeys(step.fields))
        self._value = step.value

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with the gaps filled."""
        filled = []
        for name in self._fields:
            dtype = frame.schema.get(name, _DTYPES[type(self._value)])
            constant = as_target(self._value, _TARGETS[dtype])
            values = frame.get_column(name).to_list() if name in frame.columns else [None] * frame.height
            filled.append(pl.Series(name, [constant if value is None else value for value in values], dtype))
        return frame.with_columns(filled)


class FillPrevious:
    """Puts a field's previous value in the same entity where it is missing, within bounds of age and of rows."""

    def __init__(self, step: FillStep) -> None:
        self._fields = tuple(dict.fromkeys(step.fields))
        self._max_age = microseconds(step.max_age) if step.max_age is not None else None
        self._max_rows = step.max_rows
        self._max_entities = step.max_entities
        self._entities: OrderedDict[str, dict[str, tuple[Value, int, int]]] = OrderedDict()
        """By entity and field: the value, its time, and how many rows ago it was."""

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with the gaps filled."""
        filled = {name: frame.get_column(name).to_list() for name in self._fields if name in frame.columns}
        types = {name: _TYPES[frame.schema[name]] for name in filled}
        entities, times = frame.get_column(ENTITY).to_list(), frame.get_column(TIME).to_list()
        for at, (entity, time) in enumerate(zip(entities, times, strict=True)):
            known = self._known(entity)
            for name, values in filled.items():
                value = values[at]
                if value is not None:
                    known[name] = (value, time, 0)
                elif name in known:
                    last, seen, rows = known[name]
                    known[name] = (last, seen, rows + 1)
                    if type(last) is types[name] and self._counts(time - seen, rows + 1):
                        values[at] = last
        return frame.with_columns([pl.Series(name, values, frame.schema[name]) for name, values in filled.items()])

    def origins(self, before: Mapping[str, str]) -> Mapping[str, str]:
        """As they were."""
        return before

    def state(self) -> list[Any]:
        """The values known, least recently seen entity first."""
        return [(entity, list(known.items())) for entity, known in self._entities.items()]

    def load(self, state: list[Any]) -> None:
        """Takes up what `state` gave."""
        self._entities = OrderedDict((entity, dict(known)) for entity, known in state)

    def _counts(self, age: int, rows: int) -> bool:
        return (self._max_age is None or age <= self._max_age) and (self._max_rows is None or rows <= self._max_rows)

    def _known(self, entity: str) -> dict[str, tuple[Value, int, int]]:
        known = self._entities.get(entity)
        if known is None:
            known = self._entities[entity] = {}
            if len(self._entities) > self._max_entities:
                self._entities.popitem(last=False)
        else:
            self._entities.move_to_end(entity)
        return known
