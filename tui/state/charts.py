"""The events around patterns that were looked at, and when to ask for them (again)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from qraft.model import CleanEvent, Pattern

AGAIN_US = 2_000_000
"""Wait so long before the same pattern is asked for again."""
FRESH_US = 60_000_000
"""A pattern is asked for again as long as it is younger here than this: what follows it is still being stored."""
MAX_CHARTS = 16


@dataclass(slots=True)
class Surroundings:
    """The events around one pattern, or why there are none."""

    pattern: Pattern
    first_us: int
    events: list[CleanEvent] = field(default_factory=list)
    asked_us: int = 0
    problem: str = ""
    answered: bool = False


class Charts:
    """A bounded cache, the pattern looked at last kept longest."""

    def __init__(self, enough_after: int) -> None:
        self._enough_after = enough_after
        self._held: OrderedDict[str, Surroundings] = OrderedDict()

    def get(self, pattern_id: str) -> Surroundings | None:
        """What is known around a pattern."""
        return self._held.get(pattern_id)

    def wanted(self, pattern: Pattern, time_us: int, now_us: int) -> bool:
        """Whether to ask for a pattern's events now; noted as asked when so. ``time_us`` is the pattern's event time."""
        known = self._held.get(pattern.pattern_id)
        if known is None:
            known = self._held[pattern.pattern_id] = Surroundings(pattern, now_us)
            if len(self._held) > MAX_CHARTS:
                self._held.popitem(last=False)
        else:
            self._held.move_to_end(pattern.pattern_id)
            after = sum(event.time_us > time_us for event in known.events)
            complete = known.answered and not known.problem and after >= self._enough_after
            old = known.answered and not known.problem and now_us - known.first_us > FRESH_US
            if complete or old or now_us - known.asked_us < AGAIN_US:
                return False
        known.asked_us = now_us
        return True

    def answer(self, pattern_id: str, events: list[CleanEvent], problem: str = "") -> None:
        """Takes an answer. A problem leaves earlier events in place."""
        if (known := self._held.get(pattern_id)) is not None:
            known.answered = True
            known.problem = problem
            known.events = known.events if problem else events
