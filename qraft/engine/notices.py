"""Notices to operators: counted and shown at once, and published as events as soon as the bus takes them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from qraft.bus import BusError, Publisher
from qraft.engine.meters import Meters
from qraft.model import NOTICE, SELF, Event, Notice, event_id, iso_from_us

WAITING: Final = 200
"""Notices that wait for the bus, at most; beyond, the oldest are not published (they were logged and counted)."""

log = logging.getLogger(__name__)


class Notices:
    """The one way in which anything in the engine tells operators something that is no pattern."""

    def __init__(self, publisher: Publisher, meters: Meters) -> None:
        self._publisher, self._meters = publisher, meters
        self._queue: deque[Event] = deque(maxlen=WAITING)
        self._some = asyncio.Event()
        self._number = 0

    def say(self, source: str, kind: str, text: str) -> None:
        """One notice about ``source``; empty for the engine as a whole."""
        now_us = self._meters.now_us()
        notice = Notice(timestamp=iso_from_us(now_us), source=source, kind=kind, text=text)
        log.warning("%s%s: %s", f"source {source}: " if source else "", kind, text)
        self._meters.notice(notice)
        self._number += 1
        self._queue.append(
            Event(
                event_id=event_id(SELF, f"{now_us}:{self._number}"),
                source=SELF,
                type=NOTICE,
                timestamp=notice.timestamp,
                payload={"source": source, "kind": kind, "text": text},
            )
        )
        self._some.set()

    async def publish(self) -> None:
        """Publishes what is said, until it is cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._queue:
                event = self._queue.popleft()
                try:
                    await self._publisher.events(SELF, [event])
                except BusError as error:
                    log.warning("a notice could not be published: %s", error)
