"""What has changed about a field, in its own units: the kind of a change, what was, what is, and the sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from qraft.detect.drift.layout import (
    COARSE,
    ERRORS,
    FIRST,
    HELD,
    KEPT,
    OLD_MEAN,
    OLD_ROWS,
    OLD_SQUARES,
    ROWS,
    SINCE,
    STEPS,
    USUAL,
    VALUES,
    WINDOW,
    Floats,
)
from qraft.detect.report import pair, short

_LEAST: Final = 8
_BLOCK: Final = 16
_RECENT: Final = 96
"""Rows before a change whose windows say what is usual."""
_SWING, _TURNS, _REACH = 1.5, 4, 1.4
"""Errors that a swing's spread is at least, and how often it has crossed its own
mean; and how much farther than ever before it may go in so many rows and still be the same swing."""
_CLEARLY: Final = 0.3
"""A ramp must fit so much better than a level."""
_JUMP: Final = 1.5
"""Errors that a jump is at least, to be told as one; the values must show one spread of their noise."""
_SECOND: Final = math.sqrt(6.0)
"""Spread of white noise's second differences, in its own."""
_OWN_SHARE: Final = 0.5
"""A change of errors is a change of the values when these show at least half of it."""
_UNITS: Final = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True, slots=True)
class Change:
    """What was found of a field: rows since on the scale it was found on (1 or `COARSE` rows), effect, whether of spread,
    whether a jump that the predictor has been looked through for.
    """

    length: int
    scale: int
    spread: bool
    effect: float
    decades: float
    jump: bool = False

    @property
    def rows(self) -> int:
        """Rows since the change began."""
        return self.length * self.scale


_SHORTEST: Final = 0.001
"""Seconds below which a stretch is told in rows."""


def sides(state: Floats, rows: int) -> tuple[Floats, Floats]:
    """The values kept before and after the last ``rows``; before reaches back to the last change at most."""
    seen = int(state[ROWS])
    many = min(seen, KEPT)
    values = state[VALUES + (np.arange(seen - many, seen) & (KEPT - 1))] + state[FIRST]
    cut = max(many - rows, min(_LEAST, many - 1))
    start = max(0, min(int(state[SINCE]) - (seen - many), cut - _LEAST))
    return values[start:cut], values[cut:]


def strength(state: Floats, change: Change) -> float:
    """How far a field's errors have changed in mean (or in spread) over the last rows, as a chi-square of one degree."""
    held, seen = int(state[HELD]), int(state[ROWS])
    length = min(change.length, held)
    errors = state[ERRORS + ((seen - 1 - np.arange(held)) & (WINDOW - 1))]
    late, early = errors[:length], errors[length:]
    old = state[OLD_ROWS]
    before_rows = old + len(early)
    if length < 2 or before_rows < 2:
        return 0.0
    before = (old * state[OLD_MEAN] + float(early.sum())) / before_rows
    scatter = state[OLD_SQUARES] + old * (state[OLD_MEAN] - before) ** 2 + float(((early - before) ** 2).sum())
    variance = max(scatter / before_rows, 1e-6)
    if change.spread:
        growth = math.log(max(float(((late - before) ** 2).mean()), 1e-6) / variance)
        return growth * growth * length / 2.0
    return float((late.mean() - before) ** 2 * length / variance)


def error_spreads(state: Floats, length: int) -> tuple[float, float]:
    """Usual size of the prediction's error before and after, in the field's own units."""
    held, seen = int(state[HELD]), int(state[ROWS])
    errors = state[ERRORS + ((seen - 1 - np.arange(held)) & (WINDOW - 1))]
    late, early = errors[:length], errors[length:]
    rows = state[OLD_ROWS] + len(early)
    before = math.sqrt((state[OLD_SQUARES] + float((early * early).sum())) / rows) if rows else 0.0
    after = math.sqrt(float((late * late).mean())) if len(late) else 0.0
    unit = float(state[USUAL + int(state[STEPS])])
    return before * unit, after * unit


def kind_of(state: Floats, change: Change) -> str:  # noqa: PLR0911 one return a kind
    """The kind of a change: of the values themselves, or only of how well they can be predicted; empty where none shows.

    Args:
        state: the field's state on the scale of rows.
        change: what was found.
    """
    before, after = sides(state, change.rows)
    if change.spread:
        rough_before, rough_after = _roughness(before), _roughness(after)
        if rough_before <= 0.0 or rough_after <= 0.0:
            return "variance" if rough_before != rough_after else ""
        ratio = abs(math.log(rough_after / rough_before))
        return "variance" if ratio >= _OWN_SHARE * abs(change.effect) else "predictability"
    length = len(after)
    if _oscillates(before, after, float(state[USUAL + int(state[STEPS])])):
        return "predictability"
    if change.jump and abs(change.effect) >= _JUMP:
        near = before[-max(_LEAST, length) :]
        return "mean" if abs(float(after.mean() - near.mean())) >= _roughness(before) / _SECOND else ""
    recent = before[-max(_RECENT, 4 * length) :]
    level = _unusual(float(after.mean()), recent, length)
    steps = np.diff(np.concatenate([before[-1:], after]))
    slope = _unusual(float(steps.mean()), np.diff(recent), length)
    moved = abs(float(after.mean()) - float(recent.mean())) >= _OWN_SHARE * float(recent.std())
    if level and slope and _ramp(before, after):
        return "trend"
    if level and moved:
        return "mean"
    changed = not math.isclose(_slope(after, before), _slope(before), abs_tol=1e-12)
    return "trend" if slope and changed else ""


def _oscillates(before: Floats, after: Floats, error: float) -> bool:
    """Whether a field swings to and fro by more than its error and is still within its swing: only its course is new."""
    spread = float(before.std())
    if len(before) < 4 * _LEAST or spread < _SWING * error:
        return False
    low, high = float(before.min()), float(before.max())
    if not low - 0.25 * spread <= float(after.mean()) <= high + 0.25 * spread:
        return False
    away = (before - before.mean())[: len(before) // COARSE * COARSE].reshape(-1, COARSE).mean(axis=1)
    clear = away[np.abs(away) > 0.5 * spread] > 0.0
    if np.count_nonzero(clear[1:] != clear[:-1]) < _TURNS:
        return False
    lag = len(after)
    if lag >= len(before):
        return True
    return abs(float(after[-1] - before[-1])) <= _REACH * float(np.abs(before[lag:] - before[:-lag]).max())


def _unusual(mean: float, values: Floats, length: int) -> bool:
    """Whether no window of this length had a mean as far out: then it is the values that moved, not their order."""
    if len(values) < 2 * length:
        return True
    sums = np.concatenate([[0.0], np.cumsum(values)])
    low, high = np.quantile((sums[length:] - sums[:-length]) / length, [0.03, 0.97])
    return not low <= mean <= high


def _ramp(before: Floats, after: Floats) -> bool:
    """Whether the values after the split go on moving, rather than stand at another level."""
    if len(after) < 3:
        return False
    places = np.arange(1.0, len(after) + 1.0)
    rise = after - before[-_LEAST:].mean()
    slope = float(rise @ places) / float(places @ places)
    return float(((rise - slope * places) ** 2).sum()) < _CLEARLY * float(((after - after.mean()) ** 2).sum())


def before_after(state: Floats, found: Floats, change: Change, kind: str) -> tuple[float, float]:
    """The figure that the kind is about, before and after, in the field's own units."""
    before, after = sides(state, change.rows)
    if kind == "mean":
        return float(before.mean()), float(after.mean())
    if kind == "trend":
        return _slope(before), _slope(after, before)
    if kind == "variance":
        return _spread(before, steps=found[STEPS] > 0.0), _spread(after, steps=found[STEPS] > 0.0)
    return error_spreads(found, change.length)


def describe(  # noqa: PLR0917 two states and what was found in them
    name: str, state: Floats, found: Floats, change: Change, kind: str, lasted: float
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """State before, state after and the sentence; ``lasted``: seconds since the change began."""
    before, after = sides(state, change.rows)
    was, now = before_after(state, found, change, kind)
    prev: dict[str, Any] = {"field": name, "mean": float(before.mean()), "spread": float(before.std()), "n": len(before)}
    new: dict[str, Any] = {"field": name, "mean": float(after.mean()), "spread": float(after.std()), "n": len(after)}
    since = f"the last {_duration(lasted)}" if lasted >= _SHORTEST else f"the last {change.rows} rows"
    texts = pair(was, now)
    if kind == "mean":
        size = f" ({short(abs(now - was) / prev['spread'])} spreads)" if prev["spread"] > 0.0 else ""
        prev["label"], new["label"] = f"mean {texts[0]}", f"mean {texts[1]}"
        return prev, new, f"{name}: mean {texts[0]} -> {texts[1]}{size} {since}{_usual(before, np.mean)}"
    if kind == "trend":
        prev["step"], new["step"] = was, now
        prev["label"], new["label"] = f"{texts[0]} a row", f"{texts[1]} a row"
        return prev, new, f"{name}: moves by {texts[1]} a row {since}, before by {texts[0]}"
    times = f" {short(now / was)}x" if was > 0.0 else ""
    if kind == "variance":
        figures = np.diff(before) if found[STEPS] > 0.0 else before
        what = "spread of steps" if found[STEPS] > 0.0 else "spread"
        prev["label"], new["label"] = f"{what} {texts[0]}", f"{what} {texts[1]}"
        return prev, new, f"{name}: {what}{times} {since} ({texts[0]} -> {texts[1]}){_usual(figures, np.std)}"
    prev["error"], new["error"] = was, now
    prev["label"], new["label"] = f"off by {texts[0]}", f"off by {texts[1]}"
    ease = "harder" if now >= was else "easier"
    return prev, new, f"{name}: {ease} to predict {since}, error{times} ({texts[0]} -> {texts[1]})"


def _roughness(values: Floats) -> float:
    """Spread of second differences: the noise of a series, whatever its level and trend."""
    return float(np.diff(values, 2).std()) if len(values) > 3 else 0.0


def _spread(values: Floats, *, steps: bool) -> float:
    figures = np.diff(values) if steps else values
    return float(figures.std()) if len(figures) else 0.0


def _slope(values: Floats, earlier: Floats | None = None) -> float:
    """Mean step from row to row; ``earlier``: the values before, whose last one the first step starts from."""
    if earlier is not None:
        return float(values[-1] - earlier[-1]) / len(values)
    return float(values[-1] - values[0]) / (len(values) - 1) if len(values) > 1 else 0.0


def _usual(values: Floats, figure: Any) -> str:
    blocks = [float(figure(values[at : at + _BLOCK])) for at in range(0, len(values) - _BLOCK + 1, _BLOCK)]
    return f"; usual {short(min(blocks))} to {short(max(blocks))}" if len(blocks) > 1 else ""


def _duration(seconds: float) -> str:
    for unit, text in _UNITS:
        if seconds >= unit:
            return f"{seconds / unit:.2g} {text}"
    return f"{seconds * 1000:.0f} ms"


__all__ = ["COARSE", "Change", "before_after", "describe", "kind_of", "sides", "strength"]
