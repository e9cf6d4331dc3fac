"""The mutes that operators set: which of them hold at a moment, and what they cover. They end by themselves."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any, Final

from qraft.model import LONGEST_MUTE_US, Feedback, Scope, feedback_fault, us_from_iso
from tui.language import t

DEFAULT_TTL: Final = "1h"
_UNITS: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
_TTL: Final = re.compile(r"([0-9]{1,9})\s*([smhdw])")
_MAX_CACHED: Final = 50_000
_LONG_AGO: Final = -(2**63)
_NEVER: Final = 2**63

Place = tuple[str, str, str, str]
"""Source, entity, type and detector of an episode; in a scope, empty means any."""


def parse_ttl(text: str) -> int:
    """Microseconds from ``90m``, ``2h`` or ``1d`` (units s, m, h, d, w); nothing stands for an hour.

    Raises:
        ValueError: it is no length of time, or one that no mute may have; the text is for the operator.
    """
    found = _TTL.fullmatch(text.strip().lower() or DEFAULT_TTL)
    if found is None:
        raise ValueError(t('"{text}" is no length of time; write 90m, 2h or 1d', text=text.strip()))
    length = int(found[1]) * _UNITS[found[2]]
    if length == 0:
        raise ValueError(t("a mute lasts longer than nothing"))
    if length > LONGEST_MUTE_US:
        raise ValueError(t("a mute ends after 30 days at the latest"))
    return length


def ends_us(mute: Feedback) -> int:
    """When a mute ends, UTC microseconds."""
    return us_from_iso(mute.until)


class Mutes:
    """The mutes known, idempotent by ``feedback_id``; an undo may come before its mute. The caller says what time it is."""

    def __init__(self) -> None:
        self._mutes: dict[str, Feedback] = {}
        self._undoes: dict[str, str] = {}
        self._refused: set[str] = set()
        self._standing: list[Feedback] = []
        self._ranks: list[tuple[itemgetter[Any], dict[Any, int]]] = []
        self._answers: dict[Place, int] = {}
        self._from_us, self._to_us = _NEVER, _LONG_AGO

    def add(self, feedback: Feedback) -> None:
        """Takes a mute, or an undo of whatever. All else is no concern of mutes, nor is a mute that breaks the contract."""
        if feedback.verdict == "undo":
            known = self._undoes
            if feedback.feedback_id in known or not feedback.undoes:
                return
            known[feedback.feedback_id] = feedback.undoes
        elif feedback.verdict == "mute":
            if feedback.feedback_id in self._mutes or feedback_fault(feedback):
                return
            self._mutes[feedback.feedback_id] = feedback
        else:
            return
        self._changed()

    def refuse(self, feedback_id: str) -> None:
        """A mute or an undo of one was refused for good: it counts no more. Other ids may be given too."""
        if feedback_id not in self._refused:
            self._refused.add(feedback_id)
            self._changed()

    def active(self, now_us: int) -> list[Feedback]:
        """The mutes that hold at ``now_us``, the one that ends first at the begin."""
        self._bring_to(now_us)
        return list(self._standing)

    def covers(self, source: str, entity: str, kind: str, detector: str, now_us: int) -> Feedback | None:
        """The mute that covers this at ``now_us``, of several the one that ends last; ``kind`` is the pattern's type."""
        if not self._from_us <= now_us < self._to_us:
            self._bring_to(now_us)
        if not self._standing:
            return None
        place = (source, entity, kind, detector)
        rank = self._answers.get(place)
        if rank is None:
            if len(self._answers) >= _MAX_CACHED:
                self._answers.clear()
            rank = -1
            for named, ranks in self._ranks:
                rank = max(rank, ranks.get(named(place), -1))
            self._answers[place] = rank
        return self._standing[rank] if rank >= 0 else None

    def _changed(self) -> None:
        self._from_us, self._to_us = _NEVER, _LONG_AGO

    def _bring_to(self, now_us: int) -> None:
        """Works out which mutes hold, and in which stretch of time around ``now_us`` this is so."""
        if self._from_us <= now_us < self._to_us:
            return
        undone = {target for undo, target in self._undoes.items() if undo not in self._refused}
        valid = [m for i, m in self._mutes.items() if i not in undone and i not in self._refused]
        ended = [end for m in valid if (end := ends_us(m)) <= now_us]
        self._standing = sorted((m for m in valid if ends_us(m) > now_us), key=_end)
        self._from_us = max(ended, default=_LONG_AGO)
        self._to_us = ends_us(self._standing[0]) if self._standing else _NEVER
        by_keys: dict[tuple[int, ...], dict[Any, int]] = {}
        for rank, mute in enumerate(self._standing):  # in the order of their ends, so the last to end stays
            scope = mute.scope or Scope()
            place = (scope.source, scope.entity, scope.type, scope.detector)
            named = tuple(i for i, name in enumerate(place) if name)
            by_keys.setdefault(named, {})[itemgetter(*named)(place)] = rank
        self._ranks = [(itemgetter(*named), ranks) for named, ranks in by_keys.items()]
        self._answers.clear()


def _end(mute: Feedback) -> tuple[int, str]:
    return ends_us(mute), mute.feedback_id
