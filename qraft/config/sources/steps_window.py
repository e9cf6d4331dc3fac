"""Settings of the step that makes one row of all rows of a stretch of event time."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from qraft.config.base import Section
from qraft.config.duration import Duration, DurationOrZero, microseconds
from qraft.config.sources.names import FieldName

KINDS: Final = ("ohlc", "mean", "sum", "count", "std", "min", "max", "first", "last", "median")
"""What can be made of a field besides quantiles, which are called p1 to p99 (p99.9)."""

_QUANTILE: Final = r"p([1-9][0-9]?(\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9])"


def quantile(kind: str) -> float | None:
    """The share of the values that lie below: 0.99 for ``p99``, 0.5 for ``median``; None for other kinds."""
    if kind == "median":
        return 0.5
    return float(kind[1:]) / 100 if re.fullmatch(_QUANTILE, kind) else None


def _known(kind: str) -> str:
    if kind in KINDS or quantile(kind) is not None:
        return kind
    if kind == "vwap":
        raise ValueError('vwap is a key of its own, as it needs a weight: vwap = { price = "size" }')
    near = difflib.get_close_matches(kind, KINDS, 1, 0.5)
    hint = f' (nearest: "{near[0]}")' if near else ""
    raise ValueError(f"expected one of {', '.join(KINDS)}, or a quantile such as p99{hint}")


_PATTERN: Final = f"^({'|'.join(KINDS)}|{_QUANTILE})$"
Kind = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "pattern": _PATTERN})]


class WindowStep(Section):
    """One row for each stretch of event time and entity, made of its rows; the rows themselves go no further.

    Windows start at multiples of ``every`` from 1970-01-01T00:00Z. A window is closed, and its row made, by the event that
    moves the source's watermark to its end plus ``allowed_lateness``. A made field is called ``price.mean``, ``price.close``
    and so on; ``rows`` is how many rows there were.
    """

    do: Literal["window"]
    every: Duration
    """How often a window starts, such as "1m"."""
    length: Duration | None = None
    """How long a window is, a multiple of `every`: the windows overlap when it is longer. Not given, it is `every`."""
    allowed_lateness: DurationOrZero = "0s"
    """How long a window waits for late rows after the source's watermark has passed its end."""
    aggregate: dict[FieldName, Annotated[list[Kind], Field(min_length=1)]] = {}
    """What is made of each field: ohlc (four fields: open, high, low, close), mean, sum, count (of values), std, min, max,
    first, last, median, or a quantile such as p99."""
    vwap: dict[FieldName, FieldName] = {}
    """Mean of a field weighted by another, such as { price = "size" }; gives price.vwap."""
    max_entities: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Entities that may have open windows; the least recently seen gives way, its open windows are given up and counted."""
    max_open: Annotated[int, Field(ge=2, le=100_000)] = 1000
    """Stretches of `every` that one entity may have open; a row that would open one more is given up and counted."""
    max_values: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Rows of one entity kept for medians and quantiles (nothing else needs them); further ones are given up and counted."""

    @model_validator(mode="after")
    def _consistent(self) -> WindowStep:
        every = microseconds(self.every)
        length = every if self.length is None else microseconds(self.length)
        if not self.aggregate and not self.vwap:
            raise ValueError('nothing to make: expected aggregate or vwap, such as aggregate = { price = ["ohlc"] }')
        if length % every:
            raise ValueError(f"length must be a multiple of every: {self.length} is none of {self.every}")
        needed = -(-(length + microseconds(self.allowed_lateness)) // every) + 1
        if needed > self.max_open:
            raise ValueError(f"max_open must be {needed} or more: so many stretches of every are open at once")
        return self
