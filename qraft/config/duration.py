"""Durations as people write them: ``"500ms"``, ``"10s"``, ``"5m"``, ``"1h"``, ``"1d"``."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

_UNITS: Final = {
    "us": 1,
    "ms": 1000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_PATTERN: Final = r"^[0-9]{1,9}(us|ms|s|m|h|d|w)$"
_LONGEST_US: Final = 36_525 * _UNITS["d"]
_EXPECTED: Final = 'expected a duration such as "500ms", "10s", "5m", "1h" or "1d"'


def microseconds(text: str) -> int:
    """The microseconds of a duration: a whole number and one unit of us, ms, s, m, h, d, w.

    Raises:
        ValueError: the text is no duration, or one above a hundred years.
    """
    found = re.fullmatch(_PATTERN, text)
    if found is None:
        raise ValueError(_EXPECTED)
    unit = found.group(1)
    length = int(text.removesuffix(unit)) * _UNITS[unit]
    if length > _LONGEST_US:
        raise ValueError("expected a duration of a hundred years at most")
    return length


def _checked(text: str) -> str:
    microseconds(text)
    return text


def _positive(text: str) -> str:
    if microseconds(text) == 0:
        raise ValueError("expected a duration above zero")
    return text


_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": _PATTERN})
Duration = Annotated[str, AfterValidator(_positive), _SCHEMA]
"""A duration above zero, kept as it was written; `microseconds` reads it."""
DurationOrZero = Annotated[str, AfterValidator(_checked), _SCHEMA]
"""A duration, or none: ``"0s"``."""
