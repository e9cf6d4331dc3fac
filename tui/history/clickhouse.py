"""Past data from ClickHouse, connected when first asked and again after a failure."""

from __future__ import annotations

import asyncio

from qraft.model import CleanEvent, Feedback, Pattern, us_from_iso
from qraft.store import PatternQuery, Store, StoredPattern, StoreError, StoreUnavailable
from tui.history.base import HistoryUnavailable
from tui.state.inbox import Past

EVENTS_BEFORE = 160
EVENTS_AFTER = 80


class ClickHouseHistory:
    """The queries of the terminal over one database."""

    def __init__(self, url: str, *, database: str, user: str, password: str) -> None:
        self._url = url
        self._database = database
        self._user = user
        self._password = password
        self._store: Store | None = None
        self._connecting = asyncio.Lock()

    async def recent(self, limit: int) -> list[Past]:
        """See ``History``."""
        try:
            store = await self._connected()
            found = await store.history.patterns(PatternQuery(limit=limit))
        except StoreError as error:
            raise await self._failed(error) from error
        return [_past(stored) for stored in reversed(found)]

    async def around(self, pattern: Pattern) -> list[CleanEvent]:
        """See ``History``."""
        try:
            store = await self._connected()
            return await store.history.events_around(
                pattern.source, pattern.entity, us_from_iso(pattern.timestamp), EVENTS_BEFORE, EVENTS_AFTER
            )
        except StoreError as error:
            raise await self._failed(error) from error
        except ValueError as error:
            raise HistoryUnavailable(f"the pattern has no time: {error}") from error

    async def close(self) -> None:
        """See ``History``."""
        if self._store is not None:
            store, self._store = self._store, None
            await store.close()

    async def _connected(self) -> Store:
        async with self._connecting:
            if self._store is None:
                self._store = await Store.connect(
                    self._url, database=self._database, user=self._user, password=self._password
                )
            return self._store

    async def _failed(self, error: StoreError) -> HistoryUnavailable:
        if isinstance(error, StoreUnavailable):
            await self.close()
        return HistoryUnavailable(str(error))


def _past(stored: StoredPattern) -> Past:
    if stored.verdict is None or not stored.feedback_id:
        return Past(stored.pattern)
    pattern = stored.pattern
    return Past(
        pattern,
        Feedback(
            feedback_id=stored.feedback_id,
            pattern_id=pattern.pattern_id,
            verdict=stored.verdict,
            timestamp=stored.verdict_at,
            source=pattern.source,
            detector=pattern.detector,
            user=stored.verdict_user,
        ),
    )
