"""Payloads made into frames whose columns and types depend on the rows that came, never on how they were cut.

A field's type is fixed by its first value in the order of the rows: numbers (and numeric text), text, or booleans; a
``cast`` fixes it before. Values of another type are null from then on. A frame ends before a row that brings a new field, so
that every row is in a frame with the very columns that were known when it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from qraft.preprocess.fields import MAX_FIELDS, MAX_ITEMS
from qraft.preprocess.operators.base import ENTITY, INDEX, OWN, ROW_ID, TIME, WATERMARK
from qraft.preprocess.values import Kind, Target, Value, as_natural, as_target, kind_of, natural_kind

MAX_COLUMNS: Final = MAX_FIELDS
"""Fields of one source that are taken up, besides those its steps name; others are dropped and counted."""

_MAX_NAME: Final = 256
_MAX_DEPTH: Final = 8

DTYPES: Final[Mapping[Kind, Any]] = {"float": pl.Float64, "string": pl.String, "bool": pl.Boolean}
OWN_DTYPES: Final[Mapping[str, Any]] = {
    INDEX: pl.UInt32,
    TIME: pl.Int64,
    ENTITY: pl.String,
    WATERMARK: pl.Int64,
    ROW_ID: pl.String,
}

Row = dict[str, Value]
Own = tuple[int, int, str, int, str]
"""A row's values of the frame's own columns, in their order."""


class Intake:
    """Takes one source's payloads in order.

    Attributes:
        dropped: values left out since the start: not finite, out of range, of another type than their field, or too many.
    """

    def __init__(
        self,
        declared: Mapping[str, Target],
        reserved: frozenset[str] = frozenset(),
        wanted: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Args:
        declared: how fields are to be read whose type is not their first value's.
        reserved: fields that always find room.
        wanted: which fields are needed at all.
        """
        self._declared = dict(declared)
        self._reserved = reserved
        self._wanted = wanted
        self._kinds: dict[str, Kind] = {}
        self._skipped: set[str] = set()
        self._free = MAX_COLUMNS
        self.dropped = 0

    def read(self, payload: Mapping[str, Any]) -> tuple[Row, list[tuple[str, Kind]]]:
        """The payload's values by field, and the fields that nothing was known of before.

        The row holds those too; `admit` takes them up.
        """
        row: Row = {}
        fresh: list[tuple[str, Kind]] = []
        kinds = self._kinds
        for key, value in payload.items():
            if type(value) is float and kinds.get(key) == "float" and key not in self._declared:
                if -1e100 <= value <= 1e100:  # fields.LARGEST, spelled out for speed in the usual case
                    row[key] = value + 0.0
                else:
                    self.dropped += 1
            else:
                for name, leaf in self._leaves(str(key), value, 0):
                    self._put(row, fresh, name, leaf)
        return row, fresh

    def admit(self, fresh: Sequence[tuple[str, Kind]]) -> None:
        """Takes up new fields."""
        for name, kind in fresh:
            self._kinds[name] = kind
            if name not in self._reserved:
                self._free -= 1

    def schema(self) -> dict[str, Kind]:
        """The fields known, in the order in which they came."""
        return dict(self._kinds)

    def state(self) -> dict[str, Any]:
        """What was seen, as plain values."""
        return {"kinds": dict(self._kinds), "dropped": self.dropped}

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` gave."""
        self._kinds = dict(state["kinds"])
        self.dropped = state["dropped"]
        self._free = MAX_COLUMNS - sum(name not in self._reserved for name in self._kinds)

    def _put(self, row: Row, fresh: list[tuple[str, Kind]], name: str, leaf: object) -> None:
        kind = self._kinds.get(name)
        target = self._declared.get(name)
        if kind is None:
            if leaf is None or name in self._skipped or name in OWN:
                return
            kind = next((known for one, known in fresh if one == name), None)
            if kind is None:
                kind = kind_of(target) if target is not None else natural_kind(leaf)
                if kind is None or not self._has_room(name, len(fresh)):
                    return
                fresh.append((name, kind))
        if leaf is None or leaf == "":
            return
        value = as_natural(leaf, kind) if target is None else as_target(leaf, target)
        if value is None:
            self.dropped += 1
        else:
            row[name] = value

    def _has_room(self, name: str, more: int) -> bool:
        if not self._wanted(name):
            if len(self._skipped) < 16 * MAX_COLUMNS:
                self._skipped.add(name)
            return False
        if name not in self._reserved and (self._free - more <= 0 or len(name) > _MAX_NAME or not _sound(name)):
            self.dropped += 1
            return False
        return True

    def _leaves(self, name: str, value: object, depth: int) -> Iterator[tuple[str, object]]:
        if isinstance(value, dict | list):
            if depth == _MAX_DEPTH or len(value) > (MAX_FIELDS if isinstance(value, dict) else MAX_ITEMS):
                self.dropped += 1
                return
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                yield from self._leaves(f"{name}.{key}", item, depth + 1)
        else:
            yield name, value


def frame(own: Sequence[Own], rows: Sequence[Row], schema: Mapping[str, Kind]) -> pl.DataFrame:
    """Rows as a frame: its own columns, then every field of ``schema``."""
    columns = [_series(name, values, OWN_DTYPES[name]) for name, values in zip(OWN, zip(*own, strict=True), strict=True)]
    columns += [_series(name, [row.get(name) for row in rows], DTYPES[kind]) for name, kind in schema.items()]
    return pl.DataFrame(columns)


def _series(name: str, values: Sequence[Value | None], dtype: Any) -> pl.Series:
    try:
        return pl.Series(name, values, dtype)
    except UnicodeEncodeError:  # half a surrogate pair
        return pl.Series(name, [_mended(value) for value in values], pl.String)


def _sound(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mended(value: object) -> str | None:
    return value.encode(errors="replace").decode() if isinstance(value, str) else None
