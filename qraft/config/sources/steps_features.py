"""Settings of the step that makes features of fields: returns, differences, rolling statistics, the clock."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from qraft.config.base import Section
from qraft.config.duration import microseconds
from qraft.config.sources.names import FieldName

STEPS: Final = ("diff", "pct_change", "log_return", "lag")
"""Features of a value and the one n before it; n is 1 unless given."""
ROLLING: Final = (
    "rolling_mean",
    "rolling_sum",
    "rolling_std",
    "rolling_min",
    "rolling_max",
    "rolling_median",
    "rolling_z",
)
"""Features of the last n values, or of the last stretch of time."""
FEATURES: Final = (*STEPS, *ROLLING, "ewm")

LONGEST: Final = 10_000
"""How many values back a feature may look."""

_LISTED: Final = "diff, pct_change, log_return, lag(n), rolling_mean|sum|std|min|max|median|z(n or duration), ewm(alpha)"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a field.

    Attributes:
        kind: one of ``FEATURES``.
        rows: how many values back it looks, itself included where it is rolling; 0 where that is a duration.
        span_us: the duration it looks back, in microseconds; 0 where rows are counted.
        alpha: the weight of the newest value in ``ewm``.
        suffix: what follows the field and a dot in the made field's name, such as ``rolling_mean_20``.
    """

    kind: str
    suffix: str
    rows: int = 0
    span_us: int = 0
    alpha: float = 0.0


def feature(text: str) -> Feature:
    """The feature that a text such as ``log_return``, ``rolling_z(20)``, ``rolling_mean(5m)`` or ``ewm(span=10)`` means.

    Raises:
        ValueError: it means none.
    """
    found = re.fullmatch(r"([a-z_]+)(?:\(\s*([^()]*?)\s*\))?", text.strip())
    kind, argument = (found.group(1), found.group(2)) if found is not None else (text, None)
    if kind in STEPS:
        rows = 1 if argument is None else _rows(argument, 1)
        return Feature(kind, f"{kind}_{rows}" if kind == "lag" or rows > 1 else kind, rows=rows)
    if kind in ROLLING:
        least = 2 if kind in ("rolling_std", "rolling_z") else 1
        name = "z" if kind == "rolling_z" else kind
        if argument is None:
            raise ValueError(f'expected how far back to look, such as "{kind}(20)" rows or "{kind}(5m)"')
        if argument.isdecimal():
            rows = _rows(argument, least)
            return Feature(kind, f"{name}_{rows}", rows=rows)
        span = microseconds(argument)
        if span == 0:
            raise ValueError("expected a duration above zero")
        return Feature(kind, f"{name}_{argument}", span_us=span)
    if kind == "ewm":
        return _ewm(argument)
    near = difflib.get_close_matches(kind, FEATURES, 1, 0.5)
    hint = f' (nearest: "{near[0]}")' if near else ""
    raise ValueError(f"expected one of {_LISTED}{hint}")


def _rows(argument: str, least: int) -> int:
    rows = int(argument) if argument.isdecimal() and len(argument) < 9 else 0
    if not least <= rows <= LONGEST:
        raise ValueError(f"expected {least} to {LONGEST} rows in the brackets")
    return rows


def _ewm(argument: str | None) -> Feature:
    how, _, number = (argument or "").rpartition("=")
    how, number = how.strip() or "alpha", number.strip()
    plain = re.fullmatch(r"[0-9]{0,9}(\.[0-9]{1,12})?", number) is not None
    size = float(number) if plain and number else 0.0
    if how == "alpha" and 0 < size <= 1:
        alpha, said = size, number
    elif how == "span" and size >= 1:
        alpha, said = 2 / (size + 1), f"span_{number}"
    elif how == "halflife" and size > 0:
        alpha, said = 1 - 0.5 ** (1 / size), f"halflife_{number}"
    else:
        raise ValueError('expected "ewm(0.1)" (alpha, up to 1), "ewm(span=20)" (1 or more) or "ewm(halflife=10)" (rows)')
    return Feature("ewm", f"ewm_{said.replace('.', '_')}", alpha=alpha)


def _known(text: str) -> str:
    feature(text)
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('expected a time zone such as "UTC" or "America/New_York"') from None
    return name


_PATTERN: Final = rf"^ *({'|'.join(FEATURES)})( *\([^()]*\))? *$"
FeatureText = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "pattern": _PATTERN})]


class FeaturesStep(Section):
    """New fields made of a field's values over time, for each entity on its own.

    A made field is called by its field and what it is: ``price.log_return``, ``price.rolling_mean_20``, ``price.z_20``. It
    is null until there are values enough, and where arithmetic has no answer (a division by zero, the log of what is not
    above zero). A row without the field is no value: its features are null, and the next row looks past it.
    """

    do: Literal["features"]
    of: dict[FieldName, Annotated[list[FeatureText], Field(min_length=1)]] = {}
    """What is made of each field: diff, pct_change, log_return, lag(n), rolling_mean(20), rolling_sum, rolling_std,
    rolling_min, rolling_max, rolling_median, rolling_z (in rows, or a duration as in rolling_mean(5m)), ewm(0.1) (alpha),
    ewm(span=20), ewm(halflife=10)."""
    calendar: list[Literal["time_of_day", "day_of_week"]] = []
    """Event time as a point on a circle: time_of_day gives time.day_sin and time.day_cos, day_of_week time.week_sin and
    time.week_cos."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Time zone of the calendar features, such as "America/New_York"."""
    keep: bool = True
    """Whether the fields named in `of` stay beside what is made of them; all others do."""
    max_entities: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Entities whose past is known; the least recently seen gives way and starts afresh when it comes back."""
    max_rows: Annotated[int, Field(ge=2, le=1_000_000)] = LONGEST
    """Values of one field and entity that a rolling duration may hold; beyond it the oldest give way and are counted."""

    @model_validator(mode="after")
    def _something(self) -> FeaturesStep:
        if not self.of and not self.calendar:
            raise ValueError('nothing to make: expected of or calendar, such as of = { price = ["log_return"] }')
        return self
