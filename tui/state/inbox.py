"""What arrived since the last frame: sources of data append, the frame takes all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from qraft.model import EngineStats, Feedback, Pattern

MAX_PATTERNS = 20_000
"""Patterns held between two frames; what comes beyond is counted, not kept."""


@dataclass(frozen=True, slots=True)
class LinkChange:
    """The connection to NATS came or went, or could not be made."""

    up: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """JetStream stored a verdict (``refused`` empty) or refused it for good."""

    feedback_id: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """One stored pattern and the verdict that stands on it, if any."""

    pattern: Pattern
    feedback: Feedback | None = None


@dataclass(slots=True)
class Batch:
    """Everything that arrived between two frames, each list in order of arrival.

    ``history`` holds what each question to the database came to: a problem, or "" when it was answered.
    """

    patterns: list[Pattern] = field(default_factory=list)
    stats: list[EngineStats] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    links: list[LinkChange] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    dropped: int = 0

    def __bool__(self) -> bool:
        lists = (self.patterns, self.stats, self.feedback, self.links, self.deliveries, self.past, self.history)
        return any(lists) or self.dropped > 0


class Inbox:
    """Collects between two frames. Its methods only append, so that a burst costs next to nothing."""

    def __init__(self) -> None:
        self._batch = Batch()

    def drain(self) -> Batch:
        """Takes everything that arrived since the last call."""
        batch, self._batch = self._batch, Batch()
        return batch

    def patterns(self, patterns: list[Pattern]) -> None:
        """Live patterns."""
        room = MAX_PATTERNS - len(self._batch.patterns)
        self._batch.patterns.extend(patterns[: max(0, room)])
        self._batch.dropped += max(0, len(patterns) - room)

    def stats(self, stats: EngineStats) -> None:
        """An engine's statistics."""
        self._batch.stats.append(stats)

    def feedback(self, feedback: Feedback) -> None:
        """An operator's verdict, one's own included."""
        self._batch.feedback.append(feedback)

    def link(self, up: bool, reason: str = "") -> None:
        """The connection to NATS came or went."""
        self._batch.links.append(LinkChange(up, reason))

    def delivered(self, feedback_id: str, refused: str = "") -> None:
        """What became of a verdict that was sent."""
        self._batch.deliveries.append(Delivery(feedback_id, refused))

    def past(self, past: list[Past]) -> None:
        """Stored patterns, oldest first."""
        self._batch.past.extend(past)

    def history(self, problem: str = "") -> None:
        """The database answered, or did not."""
        self._batch.history.append(problem)
