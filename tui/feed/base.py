"""What a source of live data is."""

from __future__ import annotations

from typing import Protocol

from qraft.model import Feedback
from tui.state.inbox import Inbox


class FeedDown(Exception):
    """A verdict could not be sent now; sending it again later does no harm."""


class FeedRefused(Exception):
    """A verdict was refused, and will be however often it is sent."""


class Feed(Protocol):
    """Brings patterns, statistics and verdicts, and takes verdicts away."""

    async def run(self, inbox: Inbox) -> None:
        """Fills the inbox until cancelled. It never ends because a server is away."""
        ...

    async def send(self, feedback: Feedback) -> None:
        """Returns once the verdict is stored.

        Raises:
            FeedDown: not stored, or not known to be.
            FeedRefused: it will never be.
        """
        ...
