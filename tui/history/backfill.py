"""Fills the list from what is stored: at the start, and after each time live patterns may have been missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from qraft.store import LabelQuery
from tui.history.base import History, HistoryUnavailable
from tui.state.inbox import MAX_PATTERNS, Inbox, Past

RECENT = 500
MOST_LABELS = 10_000
RETRY_SECONDS = 3.0
AGAIN_SECONDS = 8.0
"""Patterns are stored some seconds after they are published: ask once more after that."""
MARGIN_US = 120_000_000
"""How long before the link was lost an event may have come whose pattern was missed: the engine works through a queue."""
SLICE = 1_000
SLICE_SECONDS = 0.25
"""Thousands of patterns are handed in by slices, about one a frame, so that no frame is held up by all of them."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is wanted: the newest patterns, all since a moment, or both."""

    recent: bool = False
    since_us: int | None = None

    def __or__(self, other: _Ask) -> _Ask:
        moments = [at for at in (self.since_us, other.since_us) if at is not None]
        return _Ask(self.recent or other.recent, min(moments, default=None))


class Backfill:
    """Asks for what was missed whenever it is wanted, again and again until the database answers.

    Args:
        history: is asked.
        inbox: gets the answers.
        again_seconds: after each fill it asks once more after so long.
        now_us: wall time, UTC microseconds.
    """

    def __init__(
        self,
        history: History,
        inbox: Inbox,
        *,
        again_seconds: float = AGAIN_SECONDS,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._history = history
        self._inbox = inbox
        self._again = again_seconds
        self._now_us = now_us
        self._ask = _Ask()
        self._wanted = asyncio.Event()

    def want(self, since_us: int | None = None) -> None:
        """Asks for a fill soon.

        Args:
            since_us: when live data was last heard, wall time in UTC microseconds; then everything stored since comes, and
                all that operators said since. Without it (or 0) come the newest patterns. The mutes that hold come with
                both.
        """
        self._ask |= _Ask(since_us=since_us) if since_us else _Ask(recent=True)
        self._wanted.set()

    async def run(self) -> None:
        """Fills until cancelled."""
        while True:
            await self._wanted.wait()
            ask = await self._fill(self._taken())
            while not await self._quiet():
                ask |= await self._fill(self._taken())
            await self._fill(ask)

    async def _quiet(self) -> bool:
        """Waits until it is time to ask again; False when something is wanted before."""
        try:
            await asyncio.wait_for(self._wanted.wait(), self._again)
        except TimeoutError:
            return True
        return False

    def _taken(self) -> _Ask:
        ask, self._ask = self._ask, _Ask()
        self._wanted.clear()
        return ask

    async def _fill(self, ask: _Ask) -> _Ask:
        while True:
            try:
                await self._filled(ask)
            except HistoryUnavailable as error:
                self._inbox.history(str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._inbox.history()
                return ask

    async def _filled(self, ask: _Ask) -> None:
        if ask.recent:
            await self._hand_in(await self._history.recent(RECENT))
        if ask.since_us is not None:
            since = ask.since_us - MARGIN_US
            await self._hand_in(await self._history.recent(MAX_PATTERNS, since))
            for label in reversed(await self._history.labels(LabelQuery(since_us=since, limit=MOST_LABELS))):
                self._inbox.feedback(label.feedback)
        for mute in await self._history.mutes(self._now_us()):
            self._inbox.feedback(mute)

    async def _hand_in(self, past: list[Past]) -> None:
        for at in range(0, len(past), SLICE):
            if at:
                await asyncio.sleep(SLICE_SECONDS)
            self._inbox.past(past[at : at + SLICE])
