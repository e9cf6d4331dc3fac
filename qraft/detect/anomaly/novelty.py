"""Anomaly of each field by itself: the stream has never taken this course, or never at this time of day.

Four members judge each row of a field: the distance of the last rows, in blocks of 3, 5 and 7, to the nearest window
that is remembered, and the distance of the last rows' mean from what this time of day brings. Each distance becomes the
rarity of its own past, the four are averaged (the time of day at half weight), and the field that stands out most speaks.

Nearest-neighbour novelty of windows is the idea of conformal k-NN detectors (Burnaev & Ishimtsev 2016, arXiv 1608.04585)
and of discords (Keogh, Lin & Fu 2005); scales, weights and gate were found by measurement, see docs/detection.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from qraft.config.detect import NoveltySettings
from qraft.detect.anomaly import novelty_kernel as kernel
from qraft.detect.base import Finding, Judgement
from qraft.detect.evidence import confidence
from qraft.detect.gate import Gate
from qraft.detect.report import QUIET, Weight, pair, ranked, short
from qraft.model import PatternType

LINE: Final = 0.7
"""Rarity in decades, beyond what is demanded, that is worth a confidence of 0.5."""
_SIMMERS: Final = 0.7
"""Share of the line from which an incident counts as begun: what has simmered speaks only when it doubles."""
_PER_FIELD: Final = 0.7
"""Decades more that are demanded for each tenfold number of fields."""
_PER_TRIAL: Final = 0.4
"""Decades more for each tenfold number of independent rows."""
_MOST_FIELDS: Final = 128
_GROWTH: Final = 4
"""Fields by which the arrays grow."""
_DAY_US: Final = 86_400_000_000


def demand(rows: float) -> float:
    """Decades that a field's rarity must exceed after so many rows: the longer a stream is watched, the rarer it must be.

    0.6 a tenfold from 700 to 4,000 rows (0 at 1,000), then 2 a tenfold up to 100,000, from where it stays. The first slope
    is what labelled streams of a few thousand rows ask for, the second keeps long streams quiet.
    """
    early = 0.6 * math.log10(min(max(rows, 700.0), 4e3) / 1e3)
    return early + 2.0 * math.log10(min(max(rows, 4e3), 1e5) / 4e3)


class NoveltyAnomaly:
    """Judges each field of a row before it is learned; one incident speaks once. Bytes a field: `novelty_kernel.BYTES`."""

    name = "novelty"
    type: PatternType = "anomaly"

    def __init__(self, settings: NoveltySettings) -> None:
        self._warmup = settings.warmup
        self._names: list[str] = []
        self._order: list[str] = []
        self._slots: list[int] = []
        self._states = np.zeros((0, kernel.STATE))
        self._memories = np.zeros((0, kernel.MEMORY), np.float32)
        self._values = np.zeros(0)
        self._out = np.zeros((0, kernel.OUT))
        self._rows = 0
        self._gate = Gate()

    def __getstate__(self) -> dict[str, Any]:
        fields = len(self._names)
        return {
            "warmup": self._warmup,
            "names": self._names,
            "states": self._states[:fields].tobytes(),
            "memories": self._memories[:fields].tobytes(),
            "rows": self._rows,
            "gate": self._gate,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._warmup = state["warmup"]
        self._names = state["names"]
        fields = len(self._names)
        self._states = np.frombuffer(state["states"]).reshape(fields, kernel.STATE).copy()
        self._memories = np.frombuffer(state["memories"], np.float32).reshape(fields, kernel.MEMORY).copy()
        self._values = np.full(fields, math.nan)
        self._out = np.zeros((fields, kernel.OUT))
        self._order = []
        self._slots = []
        self._rows = state["rows"]
        self._gate = state["gate"]

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Judges this row, then learns it."""
        self._rows += 1
        if list(row) != self._order:
            self._arrange(list(row))
        slots = self._slots
        if not slots:
            return self._quiet()
        values = list(row.values())
        for slot, value in zip(slots, values, strict=False):  # fields beyond the most that are followed have no slot
            self._values[slot] = value
        second = time_us % _DAY_US / 1e6
        kernel.step(self._states, self._memories, self._values, second, self._out)
        if self._rows <= self._warmup:
            return self._quiet()
        evidence = self._out[:, kernel.OUT_EVIDENCE].tolist()
        most = max([evidence[slot] for slot in slots])
        if most <= 0.0 and self._rows >= 1000:
            return QUIET
        lead = max(slots, key=lambda slot: evidence[slot] - self._demand(slot))
        asked = self._demand(lead) + _PER_FIELD * math.log10(len(slots))
        level = evidence[lead] - asked if evidence[lead] > 0.0 else 0.0
        return self._judge(time_us, lead, level, asked, line) if level > 0.0 else QUIET

    def _demand(self, slot: int) -> float:
        told = self._out[slot]
        return demand(float(told[kernel.OUT_ROWS])) + _PER_TRIAL * float(told[kernel.OUT_INDEPENDENCE])

    def _judge(self, time_us: int, lead: int, level: float, asked: float, line: float) -> Judgement:
        sure = confidence(level, LINE)
        held = self._gate.holds(self._rows, level, time_us)
        if not held and level >= _SIMMERS * LINE:
            self._gate.alert(self._rows, level, time_us)
        state = sure if level >= LINE else 0.0
        if held or sure < line:
            return Judgement(0.0, state, 1.0, None)
        return Judgement(sure, state, 1.0, self._finding(lead, level, asked))

    def _quiet(self) -> Judgement:
        return QUIET if self._rows > self._warmup else Judgement(0.0, 0.0, self._rows / (self._warmup + 1), None)

    def _arrange(self, names: list[str]) -> None:
        """Gives each field of the row its slot; fields that are not in it are passed over."""
        known = {name: slot for slot, name in enumerate(self._names)}
        for name in names:
            if name not in known and len(known) < _MOST_FIELDS:
                known[name] = len(known)
                self._names.append(name)
        missing = len(self._names) - len(self._states)
        if missing > 0:
            more = -(-missing // _GROWTH) * _GROWTH
            self._states = np.concatenate([self._states, np.zeros((more, kernel.STATE))])
            self._memories = np.concatenate([self._memories, np.zeros((more, kernel.MEMORY), np.float32)])
        self._values = np.full(len(self._states), math.nan)
        self._out = np.zeros((len(self._states), kernel.OUT))
        self._order = names
        followed = [name for name in names if name in known]
        self._slots = [known[name] for name in followed]
        if len(followed) < len(names):
            self._order = []  # the next row must find its followed fields again

    def _finding(self, lead: int, level: float, asked: float) -> Finding:
        told = self._out[lead].tolist()
        name = self._names[lead]
        weights = {self._names[slot]: self._weight(slot) for slot in self._slots}
        tails = told[kernel.OUT_TAIL : kernel.OUT_TAIL + kernel.MEMBERS]
        now, low, high = told[kernel.OUT_NOW], told[kernel.OUT_LOW], told[kernel.OUT_HIGH]
        metrics = {
            "decades": level + asked,
            "decades_asked": asked,
            "decades_blocks_of_3": tails[0],
            "decades_blocks_of_5": tails[1],
            "decades_blocks_of_7": tails[2],
            "decades_time_of_day": tails[3],
            "rows": told[kernel.OUT_ROWS],
        }
        before, after = pair(weights[name].before, now)
        usual = f"usually {short(low)} to {short(high)}"
        if _by_hour(tails):
            spread = 2.0 * told[kernel.OUT_HOUR_SPREAD]
            text = f"usual at this hour {before} ± {short(spread)}"
        else:
            at = max(range(kernel.SCALES), key=lambda scale: tails[scale])
            times = told[kernel.OUT_DISTANCE + at] / max(told[kernel.OUT_USUAL], 1e-12)
            farther = f"{short(times)} times farther than usual" if 1.0 < times < 1e4 else "far"
            text = f"its course is {farther} from any seen before; {usual}"
        rows = int(told[kernel.OUT_ROWS]) - 1
        prev = {"field": name, "low": low, "high": high, "expected": weights[name].before, "n": rows, "label": usual}
        new = {"field": name, "value": now, "n": 1, "label": after}
        return Finding(prev, new, ranked(weights), f"{name} {after}: {text}", metrics, "novelty")

    def _weight(self, slot: int) -> Weight:
        told = self._out[slot].tolist()
        tails = told[kernel.OUT_TAIL : kernel.OUT_TAIL + kernel.MEMBERS]
        expected = told[kernel.OUT_HOUR] if _by_hour(tails) else told[kernel.OUT_EXPECTED]
        return Weight(max(told[kernel.OUT_EVIDENCE], 0.0), expected, told[kernel.OUT_NOW])


def _by_hour(tails: list[float]) -> bool:
    """Whether the time of day says more than the windows."""
    return 0.5 * tails[kernel.SCALES] > max(tails[: kernel.SCALES])
