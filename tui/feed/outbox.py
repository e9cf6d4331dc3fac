"""Sends verdicts in the order they were given, each until it is stored; the journal holds them meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque

from qraft.model import Feedback
from tui.feed.base import Feed, FeedDown, FeedRefused
from tui.state.inbox import Inbox
from tui.state.journal import Journal, JournalError

RETRY_SECONDS = 1.0


class Outbox:
    """The verdicts on their way."""

    def __init__(self, journal: Journal, feed: Feed, inbox: Inbox) -> None:
        self._journal = journal
        self._feed = feed
        self._inbox = inbox
        self._queue: deque[Feedback] = deque()
        self._woken = asyncio.Event()

    def reload(self) -> list[Feedback]:
        """Queues what an earlier session could not send; returns it.

        Raises:
            JournalError: the journal cannot be read.
        """
        unsent = self._journal.unsent()
        self._queue.extend(unsent)
        self._woken.set()
        return unsent

    def put(self, feedback: Feedback) -> None:
        """Journals a verdict and queues it.

        Raises:
            JournalError: it could not be journaled; it is queued all the same.
        """
        self._queue.append(feedback)
        self._woken.set()
        self._journal.add(feedback)

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._queue:
                if not await self._sent(self._queue[0]):
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                done = self._queue.popleft()
                try:
                    self._journal.remove(done)
                except JournalError:
                    continue  # it is sent again after a restart, and stored once: its id is the same

    async def _sent(self, feedback: Feedback) -> bool:
        try:
            await self._feed.send(feedback)
        except FeedDown:
            return False
        except FeedRefused as error:
            self._inbox.delivered(feedback.feedback_id, str(error))
        else:
            self._inbox.delivered(feedback.feedback_id)
        return True
