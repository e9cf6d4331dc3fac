"""What a source of past data is."""

from __future__ import annotations

from typing import Protocol

from qraft.model import CleanEvent, Pattern
from tui.state.inbox import Past


class HistoryUnavailable(Exception):
    """The database cannot be asked now; the text says why in one sentence."""


class History(Protocol):
    """Answers questions about what is stored."""

    async def recent(self, limit: int) -> list[Past]:
        """The patterns stored last, the oldest first, each with the verdict that stands on it.

        Raises:
            HistoryUnavailable: no answer.
        """
        ...

    async def around(self, pattern: Pattern) -> list[CleanEvent]:
        """The events of the pattern's source and entity around it, in order of event time.

        Raises:
            HistoryUnavailable: no answer.
        """
        ...

    async def close(self) -> None:
        """Lets go of the connection."""
        ...
