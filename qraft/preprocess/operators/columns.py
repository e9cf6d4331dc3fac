"""The operators on whole fields: select, rename, cast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import polars as pl

from qraft.config.sources.steps import CastStep, RenameStep, SelectStep
from qraft.preprocess.operators.base import OWN
from qraft.preprocess.operators.stateless import Stateless
from qraft.preprocess.values import Target, as_target, kind_of

_DTYPES = {"float": pl.Float64, "string": pl.String, "bool": pl.Boolean}


def selected(patterns: Iterable[str], name: str) -> bool:
    """Whether a field is named by one of the patterns, or lies in an object that is."""
    return any(name == one or name.startswith(f"{one}.") or fnmatchcase(name, one) for one in patterns)


class Select(Stateless):
    """Keeps the fields that are named."""

    def __init__(self, step: SelectStep) -> None:
        self._patterns = tuple(step.fields)

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with fewer fields."""
        return frame.select([name for name in frame.columns if name in OWN or selected(self._patterns, name)])

    def origins(self, before: Mapping[str, str]) -> Mapping[str, str]:
        """Those of the fields kept."""
        return {name: origin for name, origin in before.items() if selected(self._patterns, name)}


class Rename(Stateless):
    """Gives fields other names, all at once; a field whose name is taken gives way, whether or not the rows have it."""

    def __init__(self, step: RenameStep) -> None:
        self._names = dict(step.fields)

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows under other names."""
        moved = set(self._names) | set(self._names.values())
        kept = frame.drop([name for name in frame.columns if name in moved])
        return kept.with_columns(
            [frame.get_column(old).alias(new) for new, old in self._names.items() if old in frame.columns]
        )

    def origins(self, before: Mapping[str, str]) -> Mapping[str, str]:
        """A renamed field is of the field it was."""
        moved = set(self._names) | set(self._names.values())
        kept = {name: origin for name, origin in before.items() if name not in moved}
        return kept | {new: before.get(old, old) for new, old in self._names.items()}


class Cast(Stateless):
    """Reads fields as another type, value by value."""

    def __init__(self, fields: Mapping[str, Target]) -> None:
        """``fields``: those that were not read so when their rows came."""
        self._fields = dict(fields)

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with the fields cast."""
        return frame.with_columns(
            [
                pl.Series(
                    name, [as_target(value, target) for value in frame.get_column(name).to_list()], _DTYPES[kind_of(target)]
                )
                for name, target in self._fields.items()
                if name in frame.columns
            ]
        )


def cast_fields(step: CastStep, read: Iterable[str]) -> dict[str, Target]:
    """The fields that a cast still has to read."""
    done = set(read)
    return {name: target for name, target in step.fields.items() if name not in done}
