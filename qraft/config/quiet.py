"""Quiet hours as people write them: ``"22:00-06:00 Europe/Berlin"``, ``"sat,sun"``, ``"mon-fri 12:00-13:00"``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_SPAN: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")
_DAYS: Final = re.compile(r"[a-z]{3}(-[a-z]{3})?(,[a-z]{3}(-[a-z]{3})?)*")
_WHOLE_DAY: Final = 24 * 60
_EXPECTED: Final = (
    'expected days, hours and a time zone, each as needed: "22:00-06:00 Europe/Berlin", "sat,sun" or "mon-fri 12:00-13:00"'
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A stretch of wall-clock time that comes again each week.

    Attributes:
        days: the days on which it begins, Monday is 0.
        start: minute of the day at which it begins.
        end: minute of the day at which it ends, excluded; at or before ``start`` it is one of the next day.
        zone: name of the time zone whose wall clock counts. Where that clock is set forward or back, the stretch is as much
            shorter or longer.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str

    def holds(self, time_us: int) -> bool:
        """Whether it is quiet at ``time_us``, UTC microseconds."""
        local = (_EPOCH + timedelta(microseconds=time_us)).astimezone(_zone(self.zone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or ((day - 1) % 7 in self.days and minute < self.end)


def parse_quiet(text: str) -> QuietHours:
    """Reads quiet hours; without days it is every day, without hours the whole day, without a zone UTC.

    Raises:
        ValueError: the text cannot be read; says what was expected.
    """
    words = text.split()
    days = _days(words.pop(0)) if words and _DAYS.fullmatch(words[0].lower()) else frozenset(range(7))
    start, end, some = 0, _WHOLE_DAY, len(words) < len(text.split())
    if words and (found := _SPAN.fullmatch(words[0])):
        start, end, some = _minute(found[1], found[2]), _minute(found[3], found[4]), True
        if start in {_WHOLE_DAY, end}:
            raise ValueError("expected hours that begin before 24:00 and end at another time")
        words.pop(0)
    if not some or len(words) > 1:
        raise ValueError(_EXPECTED)
    zone = words[0] if words else "UTC"
    _zone(zone)
    return QuietHours(days, start, end, zone)


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = part.partition("-")
        at, until = _day(first), _day(last if dash else first)
        found |= {(at + n) % 7 for n in range((until - at) % 7 + 1)}
    return frozenset(found)


def _day(name: str) -> int:
    if name not in DAYS:
        raise ValueError(f'"{name}" is no day; expected one of {", ".join(DAYS)}')
    return DAYS.index(name)


def _minute(hours: str, minutes: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > _WHOLE_DAY:
        raise ValueError(f'"{hours}:{minutes}" is no time of day; expected 00:00 to 24:00')
    return minute


@lru_cache(64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a name may also lead to a folder, or out of the database's
        raise ValueError(f'unknown time zone "{name}"; expected a name such as "Europe/Berlin" or "UTC"') from None


def _checked(text: str) -> str:
    parse_quiet(text)
    return text


Quiet = Annotated[str, AfterValidator(_checked)]
"""Quiet hours, kept as they were written; `parse_quiet` reads them."""
