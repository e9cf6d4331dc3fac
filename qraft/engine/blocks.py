"""What a lane holds between two barriers, and what it hands to its committer."""

from __future__ import annotations

from dataclasses import dataclass, field

from qraft.model import CleanEvent, DeadLetter, Feedback, Level, Pattern
from qraft.store import Block, RawRow


@dataclass(slots=True)
class OpenBlock:
    """What was processed since the last barrier, not yet stored."""

    last: int = 0
    first_us: int = 0
    arrived_us: int = 0
    opened: float = 0.0
    raw: list[RawRow] = field(default_factory=list)
    clean: list[CleanEvent] = field(default_factory=list)
    patterns: list[Pattern] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How much the store will have to take."""
        return len(self.raw) + len(self.dead) + len(self.feedback)


@dataclass(frozen=True, slots=True)
class Cut:
    """A block with the snapshot after it, ready to be committed."""

    block: Block
    level: Level
    last: int
    first: int
    state: bytes
    cursors: dict[str, str]
