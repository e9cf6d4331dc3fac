"""Live data from NATS. Callbacks only append to the inbox; the next frame takes it from there."""

from __future__ import annotations

import asyncio

from qraft.bus import Bus, BusError, BusRejected, BusUnavailable
from qraft.config import NatsAddress
from qraft.model import Feedback
from tui.feed.base import FeedDown, FeedRefused
from tui.state.inbox import Inbox

CONNECT_SECONDS = 3.0
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 4.0


class NatsFeed:
    """One connection to NATS, tried for ever until the first success; from then on it comes back by itself."""

    def __init__(self, address: NatsAddress) -> None:
        self._address = address
        self._bus: Bus | None = None

    async def run(self, inbox: Inbox) -> None:
        """See ``Feed``."""
        bus = await self._connect(inbox)
        try:
            self._bus = bus
            inbox.link(bus.connected)
            await asyncio.Event().wait()
        finally:
            self._bus = None
            await bus.close()

    async def send(self, feedback: Feedback) -> None:
        """See ``Feed``."""
        if self._bus is None or not self._bus.connected:
            raise FeedDown("no connection to NATS")
        try:
            await self._bus.send_feedback(feedback)
        except BusUnavailable as error:
            raise FeedDown(str(error)) from error
        except BusRejected as error:
            raise FeedRefused(str(error)) from error

    async def _connect(self, inbox: Inbox) -> Bus:
        wait = FIRST_WAIT_SECONDS
        while True:
            bus = None
            try:
                bus = await Bus.connect(self._address, name="tui", on_change=inbox.link, timeout=CONNECT_SECONDS)
                await bus.watch_patterns(inbox.patterns)
                await bus.watch_stats(inbox.stats)
                await bus.watch_feedback(inbox.feedback)
            except BusError as error:
                if bus is not None:
                    await bus.close()
                inbox.link(False, str(error))
                if isinstance(error, BusRejected):
                    wait = LONGEST_WAIT_SECONDS  # a login that is refused is not mended in a moment
                await asyncio.sleep(wait)
                wait = min(LONGEST_WAIT_SECONDS, wait * 2)
            except BaseException:
                if bus is not None:
                    await bus.close()
                raise
            else:
                return bus
