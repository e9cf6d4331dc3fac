"""What an adapter is, what it hands its events to, and how it fails.

Errors::

    IngestError
    ├── NotConnected   try again later: the supervisor starts the adapter anew, with back-off
    └── SourceError    only the user can mend it: one plain sentence that names the file or key and the remedy
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from qraft.model import DeadLetter, Event

if TYPE_CHECKING:  # adapters of other packages import this module while the configuration, which loads them, is imported
    from qraft.config.sources import WhenFull

Clock = Callable[[], int]
"""Tells the time: UTC microseconds since 1970. Injected, so that tests decide what time it is."""

BACKOFF_FIRST: Final = 0.5
"""Seconds before the second try, at most."""
BACKOFF_LONGEST: Final = 30.0
"""Seconds between two tries, at most."""


class IngestError(Exception):
    """Base of what an adapter raises."""


class NotConnected(IngestError):
    """The source cannot be reached now; the text says why. Worth another try later."""


class SourceError(IngestError):
    """The source cannot be read until the user mends something; the text says what, where and how."""


class Sink(Protocol):
    """Where adapters put what they read. An event's own ``source`` says whose it is: a feed may bring those of several.

    Attributes:
        when_full: what `Batcher` does when the sink cannot keep up.
    """

    when_full: WhenFull

    @property
    def pressed(self) -> bool:
        """Whether the engine is so far behind that sources which may drop events should."""
        ...

    def ready(self) -> None:
        """Says that the source is there: what it has, it will deliver."""
        ...

    async def send(self, events: Sequence[Event]) -> None:
        """Returns once the bus has stored the events, in order; waits while the stream is full."""
        ...

    async def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Returns once the bus has stored the dead letters."""
        ...

    def dropped(self, reason: str, count: int = 1) -> None:
        """Counts events that were given up: "full" or "sampled"."""
        ...

    def missing(self, count: int) -> None:
        """Counts events that a gap in the feed's own sequence says never came."""
        ...

    def notice(self, kind: str, text: str) -> None:
        """Tells the operator of something that is no pattern, such as a stale feed; ``kind`` is one lower-case word."""
        ...


class Adapter(Protocol):
    """Reads one source."""

    async def run(self) -> None:
        """Reads until the source ends (returns) or the task is cancelled.

        Raises:
            NotConnected: the source is gone for now.
            SourceError: the source cannot be read until the user mends something.
        """
        ...


def wall_clock() -> int:
    """The time of this machine's clock, UTC microseconds since 1970."""
    return time.time_ns() // 1000


def backoff(attempt: int, rng: random.Random) -> float:
    """Seconds to wait before try number ``attempt`` + 1: doubles from half a second up to 30, of which half is random.

    Args:
        attempt: how many tries have failed in a row, from 1.
        rng: spreads the waits, so that many sources do not return at the same instant.
    """
    longest = min(BACKOFF_LONGEST, BACKOFF_FIRST * 2.0 ** min(attempt - 1, 16))
    return longest * (0.5 + 0.5 * rng.random())
