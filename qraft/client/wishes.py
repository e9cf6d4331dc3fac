"""Which patterns are wanted: the parameters that listing and following them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from qraft.client.calls import Params
from qraft.model import PatternType

PAGE = 500
"""Patterns or events asked for at a time."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is left out does not narrow.

    Attributes:
        types: of these types.
        sources: of these sources.
        entity: of this entity; empty for sources that are not split.
        since: earliest event time, included; a time without a zone is UTC.
        until: latest event time, excluded.
        kinds: of these kinds: mean, variance, silence, …
        detector: of this detector.
        min_confidence: from this confidence on.
        max_confidence: up to this confidence.
        verdict: by the verdict in force; "none" for patterns without one.
        q: in Qraft's filter language, as the terminal takes it.
    """

    types: Sequence[PatternType] = field(default_factory=tuple)
    sources: Sequence[str] = field(default_factory=tuple)
    entity: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    kinds: Sequence[str] = field(default_factory=tuple)
    detector: str = ""
    min_confidence: float | None = None
    max_confidence: float | None = None
    verdict: Literal["confirmed", "false_positive", "expected", "new_normal", "none"] | None = None
    q: str = ""

    def params(self) -> Params:
        """The query of a request."""
        return {
            "type": list(self.types),
            "source": list(self.sources),
            "entity": self.entity,
            "since": iso(self.since),
            "until": iso(self.until),
            "kind": list(self.kinds),
            "detector": self.detector or None,
            "min_confidence": self.min_confidence,
            "max_confidence": self.max_confidence,
            "verdict": self.verdict,
            "q": self.q or None,
        }

    def followed(self) -> Params:
        """The query of a stream of patterns as they are found: they have no verdict yet, and come now."""
        return {name: value for name, value in self.params().items() if name not in ("since", "until", "verdict")}


def page_size(left: int | None) -> int:
    """How many to ask for when ``left`` more are wanted, None for all."""
    return PAGE if left is None else min(PAGE, left)


def iso(moment: datetime | None) -> str | None:
    """The moment as text; one without a zone is UTC."""
    return None if moment is None else (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
