"""What a source of past data is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from qraft.model import CleanEvent, Feedback, Pattern
from qraft.store import EpisodeQuery, FieldSeen, LabelQuery, PastSource, RawEvent, SeriesPoint, StoredLabel, StoredPattern
from tui.state.episodes import Episode
from tui.state.inbox import Past


class HistoryUnavailable(Exception):
    """The database cannot be asked now; the text says why in one sentence."""


@dataclass(frozen=True, slots=True)
class PastEpisode:
    """A stored episode with the verdict in force; ``cursor`` is its place in the order of its question."""

    episode: Episode
    feedback: Feedback | None
    cursor: str


@dataclass(frozen=True, slots=True)
class EpisodePage:
    """Some episodes of a question, in its order.

    Attributes:
        total: how many episodes the question has in all; None where that was not counted, as for any page but the first.
        seconds: how long the answer took.
    """

    rows: list[PastEpisode] = field(default_factory=list)
    total: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of an episode beyond itself.

    Attributes:
        said: all that was said on its patterns, what was taken back and the taking back too, in the order it came.
        similar: earlier findings like it, the nearest first, each with the verdict in force.
        alike_counts: how many earlier runs like it have which verdict, "" for none.
    """

    said: list[Feedback] = field(default_factory=list)
    similar: list[StoredPattern] = field(default_factory=list)
    alike_counts: dict[str, int] = field(default_factory=dict)


class History(Protocol):
    """Answers questions about what is stored. Every coroutine but ``close`` may raise `HistoryUnavailable`.

    Times are UTC microseconds of event time where nothing else is said.

    Attributes:
        last_seconds: how long the last question took, answered or not.
    """

    last_seconds: float

    async def recent(self, limit: int, since_us: int | None = None) -> list[Past]:
        """The patterns stored last, by event time the oldest first, each with the verdict that stands on it.

        Args:
            limit: how many at most, up to 20,000.
            since_us: only those whose events reached Qraft since, in wall time.
        """
        ...

    async def around(self, pattern: Pattern) -> list[CleanEvent]:
        """The events of the pattern's source and entity around it, in order of event time."""
        ...

    async def episodes(self, query: EpisodeQuery) -> EpisodePage:
        """A page of episodes; with the first page comes how many there are in all."""
        ...

    def sql(self, query: EpisodeQuery) -> str:
        """The SQL of a question, as one can run it elsewhere. Asks nothing.

        Raises:
            HistoryUnavailable: the filter cannot be asked of a database, or none was ever reached.
        """
        ...

    async def story(self, episode: Episode) -> Story:
        """What was said on an episode, and what it is like."""
        ...

    async def raw(self, pattern: Pattern, before: int, after: int, *, cursor: str = "") -> list[RawEvent]:
        """Events of the pattern's source and entity as they were sent, in order of event time.

        Args:
            pattern: gives the moment.
            before: how many up to and including it; with a cursor, how many before that.
            after: how many after it.
            cursor: `RawEvent.cursor` of the event to page on from, which is not among those that come.
        """
        ...

    async def series(
        self, source: str, entity: str, field: str, *, since_us: int, until_us: int, buckets: int
    ) -> list[SeriesPoint]:
        """One field over a window in equal buckets; those without a value are left out."""
        ...

    async def sources_in(self, since_us: int, until_us: int, buckets: int) -> list[PastSource]:
        """What each source did in a window, by name; those that did nothing are left out."""
        ...

    async def fields(self, source: str, until_us: int) -> list[FieldSeen]:
        """The fields of a source as of a moment, by name."""
        ...

    async def bounds(self) -> tuple[int, int] | None:
        """Earliest and latest time of what is stored; None where nothing is."""
        ...

    async def labels(self, query: LabelQuery) -> list[StoredLabel]:
        """What operators said, the newest first."""
        ...

    async def mutes(self, now_us: int) -> list[Feedback]:
        """The mutes that hold at ``now_us`` (wall time)."""
        ...

    async def counts(self) -> dict[str, int]:
        """Rows of each table."""
        ...

    async def close(self) -> None:
        """Lets go of the connection."""
        ...
