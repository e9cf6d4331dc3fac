"""Fills the list from what is stored: at the start, and after each time live patterns may have been missed."""

from __future__ import annotations

import asyncio

from tui.history.base import History, HistoryUnavailable
from tui.state.inbox import Inbox

RECENT = 500
RETRY_SECONDS = 3.0
AGAIN_SECONDS = 8.0
"""Patterns are stored some seconds after they are published: ask once more after that."""


class Backfill:
    """Asks for recent patterns whenever it is wanted, again and again until the database answers."""

    def __init__(self, history: History, inbox: Inbox, *, again_seconds: float = AGAIN_SECONDS) -> None:
        self._history = history
        self._inbox = inbox
        self._again = again_seconds
        self._wanted = asyncio.Event()

    def want(self) -> None:
        """Asks for a fill soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Fills until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._fill()
            try:
                await asyncio.wait_for(self._wanted.wait(), self._again)
            except TimeoutError:
                await self._fill()

    async def _fill(self) -> None:
        while True:
            try:
                past = await self._history.recent(RECENT)
            except HistoryUnavailable as error:
                self._inbox.history(str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._inbox.history()
                self._inbox.past(past)
                return
