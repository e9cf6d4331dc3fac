"""Past data from ClickHouse, connected when first asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from qraft.config import ClickHouseAddress
from qraft.model import CleanEvent, Feedback, Pattern, us_from_iso
from qraft.store import (
    EpisodeQuery,
    FieldSeen,
    LabelQuery,
    PastSource,
    PatternQuery,
    RawEvent,
    SeriesPoint,
    Store,
    StoredEpisode,
    StoredLabel,
    StoredPattern,
    StoreError,
)
from tui.history.base import EpisodePage, HistoryUnavailable, PastEpisode, Story
from tui.language import t
from tui.state.episodes import Episode
from tui.state.inbox import Past

EVENTS_BEFORE = 160
EVENTS_AFTER = 80
ANSWER_SECONDS: Final = 30.0
"""A question that takes longer is given up: an operator waits for it."""
SIMILAR: Final = 12
"""Earlier findings like an episode that are named."""
_PAGE: Final = 10_000

T = TypeVar("T")


class ClickHouseHistory:
    """The queries of the terminal over one database; see ``History``. A database that was away is met again by itself."""

    def __init__(self, address: ClickHouseAddress, *, database: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.last_seconds = 0.0
        self._address = address
        self._database = database
        self._answer_seconds = answer_seconds
        self._store: Store | None = None
        self._connecting = asyncio.Lock()

    async def recent(self, limit: int, since_us: int | None = None) -> list[Past]:
        """See ``History``."""

        async def ask(store: Store) -> list[StoredPattern]:
            if since_us is not None:
                return await store.past.arrived(since_us, limit)
            found: list[StoredPattern] = []
            while (rest := min(limit - len(found), _PAGE)) > 0:
                page = await store.history.patterns(PatternQuery(limit=rest, before=found[-1].cursor if found else ""))
                found += page
                if len(page) < rest:
                    break
            return found

        return [Past(stored.pattern, verdict_of(stored)) for stored in reversed(await self._ask(ask))]

    async def around(self, pattern: Pattern) -> list[CleanEvent]:
        """See ``History``."""
        source, entity, at_us = pattern.source, pattern.entity, _time(pattern)
        return await self._ask(lambda store: store.history.events_around(source, entity, at_us, EVENTS_BEFORE, EVENTS_AFTER))

    async def episodes(self, query: EpisodeQuery) -> EpisodePage:
        """See ``History``."""

        async def ask(store: Store) -> tuple[list[StoredEpisode], int | None]:
            found = await store.episodes.list(query)
            if query.after:
                return found, None
            return found, len(found) if len(found) < query.limit else await store.episodes.total(query)

        found, total = await self._ask(ask)
        return EpisodePage([past_episode(one) for one in found], total, self.last_seconds)

    def sql(self, query: EpisodeQuery) -> str:
        """See ``History``."""
        if self._store is None:
            raise HistoryUnavailable(t("ClickHouse was not reached yet"))
        try:
            return self._store.episodes.sql(query)
        except StoreError as error:
            raise HistoryUnavailable(str(error)) from error

    async def story(self, episode: Episode) -> Story:
        """See ``History``."""
        peak = episode.peak

        async def ask(store: Store) -> Story:
            judged = await store.past.judged(peak, episode.first_us, episode.last_us)
            said = await store.labels.of_patterns([*judged, peak.pattern_id, episode.key])
            similar = await store.past.similar(peak, SIMILAR, before_us=episode.first_us)
            return Story(said, similar.patterns, similar.verdicts)

        return await self._ask(ask)

    async def raw(self, pattern: Pattern, before: int, after: int, *, cursor: str = "") -> list[RawEvent]:
        """See ``History``."""
        source, entity, at_us = pattern.source, pattern.entity, _time(pattern)
        return await self._ask(lambda store: store.past.raw_around(source, entity, at_us, before, after, cursor=cursor))

    async def series(
        self, source: str, entity: str, field: str, *, since_us: int, until_us: int, buckets: int
    ) -> list[SeriesPoint]:
        """See ``History``."""
        return await self._ask(
            lambda store: store.past.series(source, entity, field, since_us=since_us, until_us=until_us, buckets=buckets)
        )

    async def sources_in(self, since_us: int, until_us: int, buckets: int) -> list[PastSource]:
        """See ``History``."""
        return await self._ask(lambda store: store.past.sources(since_us, until_us, buckets))

    async def fields(self, source: str, until_us: int) -> list[FieldSeen]:
        """See ``History``."""
        return await self._ask(lambda store: store.past.fields(source, until_us))

    async def bounds(self) -> tuple[int, int] | None:
        """See ``History``."""
        return await self._ask(lambda store: store.past.bounds())

    async def labels(self, query: LabelQuery) -> list[StoredLabel]:
        """See ``History``."""
        return await self._ask(lambda store: store.labels.recent(query))

    async def mutes(self, now_us: int) -> list[Feedback]:
        """See ``History``."""
        return await self._ask(lambda store: store.labels.mutes(now_us))

    async def counts(self) -> dict[str, int]:
        """See ``History``."""
        return await self._ask(lambda store: store.history.counts())

    async def close(self) -> None:
        """See ``History``."""
        if self._store is not None:
            store, self._store = self._store, None
            await store.close()

    async def _ask(self, question: Callable[[Store], Awaitable[T]]) -> T:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await question(await self._connected())
        except TimeoutError:
            seconds = f"{self._answer_seconds:.3g}"
            raise HistoryUnavailable(t("ClickHouse has not answered within {seconds} s", seconds=seconds)) from None
        except StoreError as error:
            raise HistoryUnavailable(str(error)) from error
        finally:
            self.last_seconds = time.perf_counter() - begun

    async def _connected(self) -> Store:
        async with self._connecting:
            if self._store is None:
                self._store = await Store.connect(self._address, database=self._database)
            return self._store


def past_episode(stored: StoredEpisode) -> PastEpisode:
    """A stored episode as the terminal has it."""
    episode = Episode.of(stored.peak, key=stored.key, n=stored.n, first_us=stored.first_us, last_us=stored.last_us)
    return PastEpisode(episode, stored.feedback, stored.cursor)


def verdict_of(stored: StoredPattern) -> Feedback | None:
    """The verdict in force on a stored pattern."""
    if stored.verdict is None or not stored.feedback_id:
        return None
    pattern = stored.pattern
    return Feedback(
        feedback_id=stored.feedback_id,
        pattern_id=pattern.pattern_id,
        verdict=stored.verdict,
        timestamp=stored.verdict_at,
        source=pattern.source,
        detector=pattern.detector,
        user=stored.verdict_user,
    )


def _time(pattern: Pattern) -> int:
    try:
        return us_from_iso(pattern.timestamp)
    except ValueError:
        raise HistoryUnavailable(t("the pattern has no time: {text}", text=pattern.timestamp)) from None
