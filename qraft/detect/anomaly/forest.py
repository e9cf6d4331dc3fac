"""Anomaly: all fields of an entity together, three ways, each turned into rarity against the stream's own past.

- The row: how far each field lies from what was expected of it, and what of that the other fields do not explain; the sum of
  Student-t logarithms over fields (it decomposes by field exactly), weighed against its own past.
- The neighbourhood: Half-Space Trees (Tan, Ting & Liu 2011, River's) over the fields' distances from their references, for
  rows between the places where the stream usually is.
- The stretch: the recent rows' means against the references, each in units of how far such a mean strays by itself (see
  `joint_kernel`), as a chi-square value with the freedom that the correlations leave.

The row's and the stretch's rarity make the state. A stretch teaches the references little, so it stays abnormal; one that
lasts becomes the normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from qraft.config.detect import ForestSettings
from qraft.detect.anomaly.joint_fields import Fields, Reading
from qraft.detect.anomaly.joint_kernel import RECENT_ROWS, SETTLING
from qraft.detect.anomaly.joint_report import finding
from qraft.detect.anomaly.tail import Tail
from qraft.detect.backend import HalfSpaceForest
from qraft.detect.base import Finding, Judgement
from qraft.detect.evidence import Habit, confidence
from qraft.detect.gate import Gate
from qraft.detect.track import Tracks
from qraft.model import DEFAULT_LINE, PatternType

WARMUP: Final = 200
"""Rows until the detector speaks: half of them to settle, half to know its own scores. The trees join a window and 100
rows after the fields have settled."""
_CALIBRATION: Final = 100
"""Scores after which a score can be weighed against its past."""
_LINE: Final = 4.5
"""Rarity worth a confidence of 0.5: half-rank rarities of several members, of which the largest counts, come less than once
in 10^5 rows from there on."""
_LINE_FIELDS: Final = 0.25
"""Decades more for each tenfold number of fields: the sum over many fields strays further than a tail foretells."""
_TREE_DOUBT: Final = 1.0
"""Trees know a window only and stray more from one to the next: their rarity counts for so many decades less."""
_STRETCH_LINE: Final = 4.6
"""The same for the recent rows together, whose rarity knows of the number of fields."""
_YOUNG: Final = 1.0
_YOUNG_ROWS: Final = 1000
"""Decades more for a stretch at the start, falling to none at so many rows: what wanders slowly has not been seen to yet."""
_THEORY_MOST: Final = 8.0
"""No more is taken from theory alone: what is often as rare as that is no news."""
_STATE_LINE: Final = 2.3
"""Rarity of the recent rows together from which they count as an abnormal stretch. It costs one ordinary row in two
hundred, less where the own past says that such rows are common."""
_STATE_SLOPE: Final = 5.0
"""Log-odds of the state a decade of the stretch."""
_SAME: Final = 16
"""Of an abnormal stretch every so many rows count as a past one."""
_CALM: Final = 1.0
"""A stretch began after the last row on which it was no rarer than this."""
_ADOPT_ROWS: Final = 1000
"""Abnormal rows after which a stretch is the new normal: as many as the reference remembers."""
_ADOPT_LEAST: Final = 200
_ADOPT_US: Final = 7 * 86_400 * 1_000_000
"""Or a week, for slow streams, with `_ADOPT_LEAST` abnormal rows."""
_RECOVERY: Final = 4
"""Calm rows undo so many abnormal ones."""
_TO_DECADES: Final = 1.0 / math.log(10.0)
_RANKED: Final = 0.9
"""Share of the line that the rank of a row of which nothing is told reaches at most."""
_RANK_MIDDLE: Final = 2.0
"""Decades of extremeness that bring half of that."""
_MOST: Final = 24.0


class ForestAnomaly:
    """Scores each row before it is learned; speaks once an incident.

    The state takes 0.5 kB a field and 16 bytes for each pair of fields (2.5 kB a field for 128), and 40 kB an entity for the
    trees and the past scores, compressed in snapshots.
    """

    name = "forest"
    type: PatternType = "anomaly"

    def __init__(self, settings: ForestSettings, tracks: Tracks) -> None:
        self._shape = (settings.trees, settings.height, settings.window, settings.seed)
        self._tracks = tracks
        self._fields = Fields(tracks)
        self._largest = 2.0 ** (settings.height + 1) - 1.0
        self._window = settings.window
        self._forest: HalfSpaceForest | None = None
        self._in_trees = 0
        self._built = 0
        self._rows = 0
        self._row_tail = Tail(-8.0, _MOST, 320)
        self._peak_tail = Tail(-8.0, 40.0, 480)
        self._tree_tail = Tail(-math.log(2 ** (settings.height + 1)), 0.1, 250)
        self._stretch_tail = Tail(0.0, 14.0, 140)
        self._gate = Gate()
        self._habit = Habit()
        self._abnormal = 0
        self._told = False
        self._calm_us = self._began_us = 0

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Judges this row; `Tracks.update` must have taken it."""
        self._rows += 1
        fields = self._fields
        fields.judge(row)
        lonely = self._lonely()
        settled = fields.settled
        alone = max(self._row_tail.weigh(fields.score), self._peak()) if settled else 0.0
        if self._row_tail.rows < _CALIBRATION or self._rows < WARMUP:
            self._calm_us = time_us
            self._told = fields.decades >= _CALM  # what began before is no onset
            rank = self._rank(line) if row else 0.0
            return Judgement(rank, rank, min(self._warm(), 0.99), None)
        if not settled:
            return Judgement(0.0, 0.0, 1.0, None)
        return self._judge(time_us, line, alone, lonely, settled)

    def _judge(self, time_us: int, line: float, alone: float, lonely: float, settled: int) -> Judgement:
        together = self._fields.decades
        # rows of one stretch are one thing that happened, not many
        fresh = together < _STATE_LINE or self._abnormal % _SAME == 0
        known = self._stretch_tail.weigh(together, learn=fresh)
        steady = _STATE_SLOPE * (together - _STATE_LINE)
        state = confidence(max(self._row_tail.soft, _LINE + steady), _LINE)
        self._follow(time_us, together)
        young = max(_YOUNG * (1.0 - self._rows / _YOUNG_ROWS), 0.0)
        many = _LINE_FIELDS * math.log10(2 * settled)
        stretch = -math.inf if self._told else 0.5 * (min(together, _THEORY_MOST) + known) - _STRETCH_LINE - young
        stretch = max(_LINE + many + (stretch if stretch > 0.0 else _STATE_SLOPE * stretch), 0.0)
        level = max(alone, lonely - _TREE_DOUBT, stretch)
        now = self._tracks.row
        demand = self._habit.demand(now)
        onset = confidence(level, _LINE + many + demand)
        if state < DEFAULT_LINE:
            state = self._rank(DEFAULT_LINE)
        if self._gate.holds(now, level) or onset < line:
            return Judgement(self._rank(line), state, 1.0, None)
        metrics = {
            "score": self._fields.score,
            "decades": level,
            "decades_row": alone,
            "decades_trees": lonely,
            "decades_recent": together,
            "habit_decades": demand,
        }
        told = self._finding(metrics)
        self._gate.alert(now, level)
        self._habit.note(now)
        self._told = self._told or together >= _STATE_LINE
        return Judgement(onset, state, 1.0, told)

    def _follow(self, time_us: int, together: float) -> None:
        """Counts the rows of an abnormal stretch; takes it as normal when it has lasted."""
        if together < _CALM:
            self._calm_us = time_us
        if together < _STATE_LINE:
            self._abnormal = max(self._abnormal - _RECOVERY, 0)
            self._told = self._told and self._abnormal > 0
            return
        if self._abnormal == 0:
            self._began_us = self._calm_us
        self._abnormal += 1
        most = max(min(_ADOPT_ROWS, self._rows - self._abnormal), _ADOPT_LEAST)
        lasted = time_us - self._began_us >= _ADOPT_US and self._abnormal >= _ADOPT_LEAST
        if self._abnormal >= most or lasted:
            self._fields.adopt()
            self._abnormal = 0
            self._told = False

    def _rank(self, line: float) -> float:
        """A confidence below the line for a row that nothing is told of: it keeps the order of how extreme and how
        unexpected rows are.
        """
        known = self._row_tail.soft
        rarity = 0.5 * (self._fields.extreme + known) if known > 0.0 else self._fields.extreme
        return _RANKED * line * confidence(rarity, _RANK_MIDDLE)

    def _peak(self) -> float:
        """Rarity of the field that stands out most: half by the fields' own tails, half by how often that was so."""
        peak = self._fields.peak
        return 0.5 * (self._peak_tail.weigh(peak) + min(max(peak * _TO_DECADES, 0.0), _THEORY_MOST))

    def _warm(self) -> float:
        return min(self._rows / WARMUP, (SETTLING + self._row_tail.rows) / WARMUP)

    def _lonely(self) -> float:
        """Rarity of the row's neighbourhood; trees are made anew when fields have come."""
        forest = self._forest
        since = self._rows - self._built
        if forest is None or since % self._window == 0:
            places = len(self._fields.names)
            if places != self._in_trees and self._fields.settled:
                self._in_trees = places
                self._built = self._rows
                self._forest = HalfSpaceForest(places, *self._shape)
                return 0.0
        if forest is None:
            return 0.0
        full = forest.full
        score = forest.watch(self._fields.point)
        if not full:
            return 0.0
        rarity = self._tree_tail.weigh(self._loneliness(score))
        return rarity if self._tree_tail.rows > _CALIBRATION else 0.0

    def _loneliness(self, score: float) -> float:
        """Minus the logarithm of the mass around the row, as a multiple of an even spread."""
        return -math.log(max((1.0 - score) * self._largest, 1e-3))

    def _finding(self, metrics: dict[str, float]) -> Finding:
        alone, lonely, together = metrics["decades_row"], metrics["decades_trees"], metrics["decades_recent"]
        past = self._rows - 1
        if together > max(alone, lonely - _TREE_DOUBT):
            rows = int(2 * RECENT_ROWS)
            return finding(self._fields.stretch_readings(), metrics, rows=rows, past=past, began_us=self._calm_us)
        readings = self._fields.row_readings()
        if lonely - _TREE_DOUBT > alone:
            readings = self._tree_readings(readings)
        lead = max(readings, key=lambda name: readings[name].evidence)
        return finding(readings, metrics, rows=1, past=past, residual_share=self._fields.residual_share(lead))

    def _tree_readings(self, readings: dict[str, Reading]) -> dict[str, Reading]:
        """How much less lonely the row would be with each field where it usually is."""
        forest = self._forest
        if forest is None:
            return readings
        point = self._fields.point
        lonely = self._loneliness(forest.rate(point))
        out = {}
        for name, reading in readings.items():
            slot = self._fields.names.index(name)
            evidence = 0.0
            if slot < self._in_trees:
                usual = point.copy()
                usual[slot] = 0.5
                evidence = max(lonely - self._loneliness(forest.rate(usual)), 0.0)
            out[name] = reading._replace(evidence=evidence)
        return out
