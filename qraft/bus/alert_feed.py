"""What alerting needs of the bus beside `PatternStream`: what operators say from now on, and a state that is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.errors import NotFoundError, ObjectNotFoundError

from qraft.bus import subjects
from qraft.bus.client import Bus, translated
from qraft.bus.errors import BusError
from qraft.model import Feedback, decode_feedback

_STATE: Final = "alerts"
_SECONDS: Final = 30.0


class AlertFeed:
    """Verdicts for alerting, and its state. Every call but `close` may raise `BusUnavailable`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._subscription: Subscription | None = None

    async def listen(self, said: Callable[[Feedback], None]) -> None:
        """Hands over what operators say until `close`; what was said meanwhile and before stands in the store."""

        async def received(message: Msg) -> None:
            for line in message.data.splitlines():
                with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):  # the lanes make a dead letter of it
                    said(decode_feedback(line))

        async with translated():
            self._subscription = await self._bus.client.subscribe(subjects.feedback_subject("*"), cb=received)

    async def close(self) -> None:
        """Ends what `listen` began."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(BusError):
                async with translated():
                    await subscription.unsubscribe()

    async def load(self) -> bytes | None:
        """The state kept last, or None."""
        async with translated():
            bucket = await self._bus.jetstream(_SECONDS).object_store(subjects.SNAPSHOTS_BUCKET)
            try:
                found = await asyncio.wait_for(bucket.get(_STATE), _SECONDS)
            except (NotFoundError, ObjectNotFoundError):
                return None
        return found.data or None

    async def save(self, state: bytes) -> None:
        """Keeps a state in place of the one before; a crash in between leaves that one."""
        async with translated():
            bucket = await self._bus.jetstream(_SECONDS).object_store(subjects.SNAPSHOTS_BUCKET)
            await bucket.put(_STATE, state)

    async def forget(self) -> None:
        """Takes the state away; it is no mistake where there is none."""
        async with translated():
            bucket = await self._bus.jetstream().object_store(subjects.SNAPSHOTS_BUCKET)
            with contextlib.suppress(NotFoundError, ObjectNotFoundError):
                await bucket.delete(_STATE)
