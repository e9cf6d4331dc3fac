"""Alert lines: the confidence from which a detector raises a pattern, moved by operators' verdicts.

The line of a source and detector is a pure function of the verdicts in force, whatever order they came in: among one
operator's verdicts on one pattern the latest that is not undone holds, each counts +1 (false positive), -1 (confirmed) or
0, and their sum moves the line in log-odds. Sums are whole numbers, so an undo restores a line exactly.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from qraft.config.settings import FeedbackSettings
from qraft.model import ASIDES, Feedback, Verdict, us_from_iso

REMEMBERED_PATTERNS: Final = 16_384
REMEMBERED_VERDICTS: Final = 16_384
"""Verdicts that can still be replaced or undone; older ones keep their effect for good."""

_EFFECT: Final[dict[Verdict, int]] = {"false_positive": 1, "confirmed": -1}

Key = tuple[str, str]
"""Source and detector."""


def moved_line(base: float, net: int, settings: FeedbackSettings) -> float:
    """The line when ``net`` more false positives than confirmations are in force.

    The bounds never pull a line the other way than the verdicts: a base outside of them stays where it is.
    """
    if net == 0:
        return base
    line = 1.0 / (1.0 + math.exp(-(math.log(base / (1.0 - base)) + settings.step * net)))
    return min(max(line, min(settings.min_line, base)), max(settings.max_line, base))


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Key
    group: tuple[str, str, str, str]
    effect: int
    order: tuple[int, str]


class AlertLines:
    """Every alert line of one pipeline, and the verdicts behind them. Memory is bounded."""

    def __init__(self, settings: FeedbackSettings) -> None:
        self._settings = settings
        self._patterns: OrderedDict[str, Key] = OrderedDict()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._groups: dict[tuple[str, str, str, str], list[str]] = {}
        self._undone: OrderedDict[str, None] = OrderedDict()
        self._net: dict[Key, int] = {}

    def configure(self, settings: FeedbackSettings) -> None:
        """Takes new settings; the verdicts stay."""
        self._settings = settings

    def line(self, base: float, source: str, detector: str) -> float:
        """The alert line of a source and detector whose configured line is ``base``."""
        return moved_line(base, self._net.get((source, detector), 0), self._settings)

    def remember(self, pattern_id: str, source: str, detector: str) -> None:
        """Notes whose pattern this is, for verdicts that name no detector."""
        self._patterns[pattern_id] = (source, detector)
        if len(self._patterns) > REMEMBERED_PATTERNS:
            self._patterns.popitem(last=False)

    def apply(self, feedback: Feedback) -> Key | None:
        """Takes one verdict; returns the source and detector whose line may have moved.

        A repeated feedback_id changes nothing, nor does a verdict on a pattern nobody knows. An undo may come before the
        verdict it takes back; an undo of an undo has no effect. Mutes and notes are not kept, so their undo finds nothing.
        """
        if feedback.verdict in ASIDES:
            return None
        if feedback.verdict == "undo":
            return self._undo(feedback.undoes)
        if feedback.feedback_id in self._entries:
            return None
        key = self._key(feedback)
        if key is None:
            return None
        group = (*key, feedback.pattern_id, feedback.user)
        before = self._in_force(group)
        order = (_time_us(feedback.timestamp), feedback.feedback_id)
        self._entries[feedback.feedback_id] = _Entry(key, group, _EFFECT.get(feedback.verdict, 0), order)
        self._groups.setdefault(group, []).append(feedback.feedback_id)
        self._move(key, self._in_force(group) - before)
        if len(self._entries) > REMEMBERED_VERDICTS:
            self._settle()
        return key

    def state(self) -> dict[str, Any]:
        """Everything but the settings, as plain values."""
        return {
            "patterns": list(self._patterns.items()),
            "entries": [(name, e.key, e.group, e.effect, e.order) for name, e in self._entries.items()],
            "undone": list(self._undone),
            "net": list(self._net.items()),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes up what `state` gave."""
        self._patterns = OrderedDict(state["patterns"])
        self._entries = OrderedDict((name, _Entry(*rest)) for name, *rest in state["entries"])
        self._undone = OrderedDict.fromkeys(state["undone"])
        self._net = dict(state["net"])
        self._groups = {}
        for name, entry in self._entries.items():
            self._groups.setdefault(entry.group, []).append(name)

    def _key(self, feedback: Feedback) -> Key | None:
        if feedback.source and feedback.detector:
            return feedback.source, feedback.detector
        return self._patterns.get(feedback.pattern_id)

    def _undo(self, feedback_id: str) -> Key | None:
        if not feedback_id or feedback_id in self._undone:
            return None
        entry = self._entries.get(feedback_id)
        before = self._in_force(entry.group) if entry else 0
        self._undone[feedback_id] = None
        if len(self._undone) > REMEMBERED_VERDICTS:
            oldest, _ = self._undone.popitem(last=False)
            if oldest in self._entries:
                self._drop(oldest)
        if entry is None:
            return None
        self._move(entry.key, self._in_force(entry.group) - before)
        return entry.key

    def _in_force(self, group: tuple[str, str, str, str]) -> int:
        standing = [self._entries[name] for name in self._groups.get(group, ()) if name not in self._undone]
        return max(standing, key=lambda entry: entry.order).effect if standing else 0

    def _move(self, key: Key, by: int) -> None:
        net = self._net.get(key, 0) + by
        if net:
            self._net[key] = net
        else:
            self._net.pop(key, None)

    def _settle(self) -> None:
        """Lets the oldest verdict go: what it does to its line now, it does for good."""
        self._drop(next(iter(self._entries)))

    def _drop(self, name: str) -> None:
        entry = self._entries.pop(name)
        group = self._groups[entry.group]
        group.remove(name)
        if not group:
            del self._groups[entry.group]


def _time_us(text: str) -> int:
    try:
        return us_from_iso(text)
    except ValueError:
        return 0
