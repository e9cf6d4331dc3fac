"""Event time from whatever a source calls time, as UTC microseconds since 1970."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from qraft.model import us_from_datetime

EARLIEST_US: Final = -62_135_596_800_000_000
LATEST_US: Final = 253_402_300_799_999_999
"""The years 1 to 9999: what ISO 8601 with four digits can say."""

_SECONDS_BELOW: Final = 10**11
_MILLIS_BELOW: Final = 10**14
_MICROS_BELOW: Final = 10**17


def parse_time(value: object) -> int:
    """UTC microseconds since 1970.

    Text is ISO 8601 in any offset (without one it is UTC), fourteen digits (``20161007123000``) or a number. The magnitude
    of a number tells its unit: below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds.

    Raises:
        ValueError: the value is no time, or lies outside the years 1 to 9999.
    """
    if isinstance(value, str):
        micros = _from_text(value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a time must be text or a number, not {type(value).__name__}")
    else:
        micros = _from_number(value)
    if not EARLIEST_US <= micros <= LATEST_US:
        raise ValueError("the time lies outside the years 1 to 9999")
    return micros


def _from_text(text: str) -> int:
    if text[4:5] == "-" and text[7:8] == "-":
        try:  # the usual case, first
            return us_from_datetime(datetime.fromisoformat(text))
        except ValueError:
            pass
    stripped = text.strip()
    if _looks_numeric(stripped):
        if len(stripped) == 14 and stripped[:2] in ("19", "20") and stripped.isdigit():
            return us_from_datetime(datetime.strptime(stripped + "+0000", "%Y%m%d%H%M%S%z"))
        try:
            return _from_number(int(stripped))
        except ValueError:
            return _from_number(float(stripped))
    if stripped.endswith(" UTC"):
        stripped = stripped[:-4] + "Z"
    try:
        return us_from_datetime(datetime.fromisoformat(stripped))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is neither ISO 8601 nor a number") from None


def _looks_numeric(text: str) -> bool:
    digits = text.lstrip("+-").replace(".", "", 1)
    return digits.isascii() and digits.isdigit()


def _from_number(number: float) -> int:
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError("a time must be finite")
    size = abs(number)
    if size < _SECONDS_BELOW:
        return round(number * 1_000_000)
    if size < _MILLIS_BELOW:
        return round(number * 1000)
    if size < _MICROS_BELOW:
        return round(number)
    return int(number) // 1000
