"""Windows of past time: what an operator writes, how a window is shifted and widened, in which zone times are shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from qraft.model import us_from_datetime
from tui.language import t

SECOND_US: Final = 1_000_000
LENGTHS_US: Final = tuple(
    s * SECOND_US
    for s in (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400, 30 * 86_400)
)
"""The lengths that ``+`` and ``-`` step through."""
DEFAULT_US: Final = 900 * SECOND_US
DAY_US: Final = 86_400 * SECOND_US
_UNIT: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


class WindowError(ValueError):
    """A time that cannot be read; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Window:
    """Past time from ``since_us`` (included) to ``until_us`` (excluded), UTC microseconds."""

    since_us: int
    until_us: int

    @property
    def length_us(self) -> int:
        """How long it is."""
        return self.until_us - self.since_us


def last(length_us: int, now_us: int) -> Window:
    """The window of that length that ends now."""
    return Window(now_us - length_us, now_us)


def shifted(window: Window, steps: int, now_us: int) -> Window | None:
    """The window moved by half its length a step; None when that reaches the present, which is live."""
    by = window.length_us // 2 * steps
    return None if window.until_us + by >= now_us else Window(window.since_us + by, window.until_us + by)


def zoomed(window: Window, steps: int, now_us: int) -> Window:
    """The window made so many sizes longer (or shorter), about its middle, never beyond the present."""
    lengths = sorted({*LENGTHS_US, window.length_us})
    length = lengths[min(len(lengths) - 1, max(0, lengths.index(window.length_us) + steps))]
    middle = (window.since_us + window.until_us) // 2
    until = min(now_us, middle - length // 2 + length)
    return Window(until - length, until)


def parse_window(text: str, now_us: int, zone: tzinfo) -> Window | None:
    """Reads what an operator wrote; None for ``now``.

    ``-15m`` (the last 15 minutes), ``10:00`` (from then, a quarter of an hour), ``10:00/+1h``, ``10:00/11:30``,
    ``2026-11-22``, ``2026-11-22T10:00/+30m``, ``-2d/+1h``.

    Raises:
        WindowError: it cannot be read, is empty or lies in the future.
    """
    text = text.strip()
    if text.lower() in ("", "now", "live"):
        return None
    start, slash, end = (part.strip() for part in text.partition("/"))
    since, natural = _moment(start, now_us, zone)
    if not slash:
        until = now_us if start.startswith("-") else min(now_us, since + natural)
    elif end.startswith("+"):
        until = since + _span(end[1:], end)
    else:
        until, _ = _moment(end, now_us, zone)
        if until <= since and ":" in end and "-" not in end:
            until += 86_400 * SECOND_US
    if since >= now_us:
        raise WindowError(t("{time} lies in the future", time=start))
    until = min(until, now_us)
    if until <= since:
        raise WindowError(t("{time} is empty: its end is not after its start", time=text))
    return Window(since, until)


def _moment(text: str, now_us: int, zone: tzinfo) -> tuple[int, int]:
    """The moment, and how long it is by itself: a day for a date, a quarter of an hour for a time."""
    if text.startswith("-") and text[1:2].isdigit():
        return now_us - _span(text[1:], text), DEFAULT_US
    try:
        if ":" in text and not re.match(r"\d{4}-", text):
            return _last_clock(time.fromisoformat(text.zfill(5) if len(text) < 5 else text), now_us, zone), DEFAULT_US
        if len(text) == 10:
            day = datetime.combine(date.fromisoformat(text), time(), zone)
            return us_from_datetime(day), 86_400 * SECOND_US
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        said = t(
            '"{text}" is no time; write -15m, 10:00, 10:00/+1h, 10:00/11:30, 2026-11-22 or 2026-11-22T10:00/+1h', text=text
        )
        raise WindowError(said) from None
    return us_from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=zone)), DEFAULT_US


def _last_clock(at: time, now_us: int, zone: tzinfo) -> int:
    """The latest moment not after now at which clocks showed ``at``."""
    now = datetime.fromtimestamp(now_us / 1e6, zone)
    day = datetime.combine(now.date(), at, zone)
    return us_from_datetime(day if day <= now else day - timedelta(days=1))


def _span(text: str, whole: str) -> int:
    pieces = _SPAN.findall(text)
    if not pieces or _SPAN.sub("", text).strip():
        raise WindowError(t('"{text}" is no span of time; write for example -15m, -2h, -1d or +1h30m', text=whole))
    total = sum(float(number) * _UNIT[unit] for number, unit in pieces)
    if not 0 < total <= 3660 * 86_400:
        raise WindowError(t('"{text}" is out of range; between a second and ten years', text=whole))
    return max(1, round(total * SECOND_US))
