"""A generator of past events: for tests and trials of the interface. It stands for no server."""

from __future__ import annotations

import random

from qraft.model import CleanEvent, Pattern, us_from_iso
from tui.history.base import HistoryUnavailable
from tui.state.inbox import Past


class FakeHistory:
    """Invents the events around a pattern, so that its fields move from before to after."""

    def __init__(self, past: list[Past] | None = None) -> None:
        self._past = past or []
        self.up = True

    async def recent(self, limit: int) -> list[Past]:
        """See ``History``."""
        self._check()
        return self._past[-limit:]

    async def around(self, pattern: Pattern) -> list[CleanEvent]:
        """See ``History``."""
        self._check()
        return invented(pattern)

    async def close(self) -> None:
        """See ``History``."""

    def _check(self) -> None:
        if not self.up:
            raise HistoryUnavailable("ClickHouse does not answer: switched off")


def invented(pattern: Pattern, before: int = 160, after: int = 80) -> list[CleanEvent]:
    """Events around a pattern, one a second, the same for the same pattern."""
    draw = random.Random(pattern.pattern_id)
    middle = us_from_iso(pattern.timestamp)
    events = []
    for i in range(-before, after):
        fields = {}
        for c in pattern.contributors:
            was, now = c.before or 0.0, c.after or 0.0
            moved = abs(now - was) * c.score
            level = was if i < 0 else now if pattern.type != "anomaly" or i < 6 else was
            fields[c.field] = level + draw.gauss(0, max(moved * 0.18, abs(was) * 0.01))
        events.append(
            CleanEvent(
                event_id=f"{pattern.event_id}-{i}",
                source=pattern.source,
                entity=pattern.entity,
                time_us=middle + i * 1_000_000,
                fields=fields,
            )
        )
    return events
