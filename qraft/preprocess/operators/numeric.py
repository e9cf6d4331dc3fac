"""The numbers of a frame's column, as the operators that remember rows read them."""

from __future__ import annotations

import polars as pl

from qraft.preprocess.fields import LARGEST


def numbers(frame: pl.DataFrame, name: str) -> list[float | None]:
    """One field of every row; None where the row has no such field, or where it holds no number that can be used."""
    column = frame.get_column(name, default=None)
    if column is None or column.dtype != pl.Float64:
        return [None] * frame.height
    return [usable(value) for value in column.to_list()]


def usable(value: float | None) -> float | None:
    """The number, never -0.0; None for None, NaN, infinities and numbers beyond ``LARGEST``."""
    return value + 0.0 if value is not None and -LARGEST <= value <= LARGEST else None
