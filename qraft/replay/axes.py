"""Axes of pictures: where their marks stand and how they are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_STEPS: Final = (
    *(_SECOND * n for n in (1, 2, 5, 10, 15, 30)),
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 7, 14, 28, 91, 182, 365, 730, 1826, 3652, 7305, 18262, 36525)),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from ``low`` to ``high`` on pixels from ``start`` to ``end``; a range of no width is one unit wide."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        width = self.high - self.low
        return self.start + (value - self.low) / width * (self.end - self.start)


def scale_over(low: float, high: float, start: float, end: float, margin: float = 0.0) -> Scale:
    """A scale with ``margin`` of its width to spare at both ends."""
    if not high > low:
        low, high = low - 0.5, low + 0.5
        if not high > low:  # so large that a half is nothing
            low, high = low - abs(low) / 2, low + abs(low) / 2
    spare = (high - low) * margin
    return Scale(low - spare, high + spare, start, end)


def number_marks(low: float, high: float, about: int = 4) -> list[tuple[float, str]]:
    """Round numbers within a range, a step of 1, 2 or 5 times a power of ten apart, and how they are written."""
    rough = (high - low) / (about + 1)
    if not rough > 0 or not math.isfinite(rough):
        return [(low, f"{low:.4g}")]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    unit, letter = _unit(max(abs(low), abs(high)), step)
    decimals = min(max(0, -math.floor(math.log10(step / unit) + 1e-9)), 9)
    return [(n * step, f"{n * step / unit:.{decimals}f}{letter}" if n else "0") for n in range(first, last + 1)]


def _unit(size: float, step: float) -> tuple[float, str]:
    """What an axis counts in, so that its numbers are short: as large as still tells one mark from the next."""
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= 10 * unit and step >= unit / 10:
            return unit, letter
    if size < 1e-4 or size >= 1e16:
        power = math.floor(math.log10(size))
        return 10.0**power, f"e{power}"
    return 1.0, ""


def time_marks(low_us: float, high_us: float, about: int = 8) -> list[tuple[float, str]]:
    """Round moments within a range, UTC: days by their date, what lies between by the clock; the first bears both."""
    step = next((one for one in _STEPS if one * about >= high_us - low_us), _STEPS[-1])
    writes = _clock(step)
    marks = [step * n for n in range(math.ceil(low_us / step), math.floor(high_us / step) + 1)]
    return [(float(at), writes(at, n == 0)) for n, at in enumerate(marks)]


def _clock(step: int) -> Callable[[int, bool], str]:
    def write(at: int, first: bool) -> str:
        moment = datetime.fromtimestamp(at // _SECOND, UTC)
        if step >= _DAY or (at % _DAY == 0 and not first):
            return f"{moment:%Y-%m-%d}"
        clock = f"{moment:%H:%M:%S}" if step < _MINUTE else f"{moment:%H:%M}"
        return f"{moment:%Y-%m-%d} {clock}" if first else clock

    return write
