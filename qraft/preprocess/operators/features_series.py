"""The features of one field of one entity."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any, Final

from qraft.config.sources.steps_features import ROLLING, STEPS, Feature
from qraft.preprocess.operators.numeric import usable
from qraft.preprocess.operators.rolling import LastRows, LastTime


class Plan:
    """The features of one field: which there are, and which of them share a window.

    Attributes:
        field: the field they are made of.
        names: the made fields, in the order of `Series.run`'s columns.
    """

    def __init__(self, field: str, features: list[Feature], max_rows: int) -> None:
        self.field = field
        self.max_rows = max_rows
        self.steps = [feature for feature in features if feature.kind in STEPS]
        self.rows = _grouped({f.suffix: (f.rows, f.kind) for f in features if f.kind in ROLLING and f.rows})
        self.spans = _grouped({f.suffix: (f.span_us, f.kind) for f in features if f.kind in ROLLING and f.span_us})
        self.alphas = {feature.suffix: feature.alpha for feature in features if feature.kind == "ewm"}
        self.depth = max((feature.rows for feature in features), default=0)
        suffixes = [feature.suffix for feature in self.steps]
        suffixes += [suffix for group in (*self.rows.values(), *self.spans.values()) for suffix in group]
        self.names = [f"{field}.{suffix}" for suffix in (*suffixes, *self.alphas)]


def _grouped(windows: dict[str, tuple[int, str]]) -> dict[int, dict[str, str]]:
    groups: dict[int, dict[str, str]] = {}
    for suffix, (size, kind) in windows.items():
        groups.setdefault(size, {})[suffix] = kind
    return groups


class Series:
    """Takes the values of one field of one entity in the order they come, and gives the features of each."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._history: list[float] = []
        self._rows = [LastRows(size, list(group.values())) for size, group in plan.rows.items()]
        self._spans = [LastTime(size, list(group.values()), plan.max_rows) for size, group in plan.spans.items()]
        self._means: list[float | None] = [None] * len(plan.alphas)

    def run(self, times: list[int], values: list[float]) -> list[list[float | None]]:
        """The features of each value: one list a made field, in the order of the plan's names."""
        plan, history, known = self._plan, self._history, len(self._history)
        history.extend(values)
        columns = [_step(_STEP[feature.kind], feature.rows, history, known) for feature in plan.steps]
        for window in self._rows:
            columns += map(list, zip(*window.run(history, known), strict=True))
        for span in self._spans:
            columns += map(list, zip(*span.run(times, values), strict=True))
        columns += [self._ewm(place, alpha, values) for place, alpha in enumerate(plan.alphas.values())]
        if len(history) > 2 * plan.depth:
            del history[: len(history) - plan.depth]
        return columns

    def take_shortened(self) -> int:
        """How many values gave way in rolling durations since this was asked last."""
        shortened = sum(span.shortened for span in self._spans)
        for span in self._spans:
            span.shortened = 0
        return shortened

    def state(self) -> list[Any]:
        """What was seen, as plain values."""
        known = self._history[max(0, len(self._history) - self._plan.depth) :]
        return [array("d", known).tobytes(), [span.state() for span in self._spans], list(self._means)]

    def load(self, state: list[Any]) -> None:
        """Takes up what `state` gave."""
        known = array("d")
        known.frombytes(state[0])
        self._history = known.tolist()
        for window in self._rows:
            window.load(self._history)
        for span, saved in zip(self._spans, state[1], strict=True):
            span.load(saved)
        self._means = list(state[2])

    def _ewm(self, place: int, alpha: float, values: list[float]) -> list[float | None]:
        mean = self._means[place]
        out: list[float | None] = []
        for value in values:
            mean = value if mean is None else (1 - alpha) * mean + alpha * value
            out.append(mean)
        self._means[place] = mean
        return out


def _step(make: Callable[[float, float], float | None], rows: int, history: list[float], known: int) -> list[float | None]:
    return [usable(make(history[n], history[n - rows])) if n >= rows else None for n in range(known, len(history))]


def _ratio(value: float, before: float) -> float | None:
    return (value - before) / before if before else None


def _log_ratio(value: float, before: float) -> float | None:
    if value <= 0 or before <= 0:
        return None
    ratio = value / before
    return math.log(ratio) if 0 < ratio < math.inf else math.log(value) - math.log(before)


_STEP: Final[dict[str, Callable[[float, float], float | None]]] = {
    "lag": lambda _, before: before,
    "diff": lambda value, before: value - before,
    "pct_change": _ratio,
    "log_return": _log_ratio,
}
