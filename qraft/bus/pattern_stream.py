"""Follows the stream of patterns from a place on: each pattern once, in the order in which they were published.

The place is the stream's identity and a sequence in it, so that whoever was away goes on where he stopped, on any connection
and after a restart of NATS. After the ordered consumers of NATS (ADR-17): the consumer keeps no state worth keeping, and is
made anew from the last sequence whenever something was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Self

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from qraft.bus import subjects
from qraft.bus.client import Bus, translated
from qraft.bus.errors import BusError, BusUnavailable
from qraft.bus.streams import identity
from qraft.model import Pattern, decode_pattern

log = logging.getLogger(__name__)

PULL_MESSAGES = 32
"""As many are on their way at once; more are asked for when these are taken."""
PULL_SECONDS = 20.0
HEARTBEAT_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""So often it looks whether the connection is a new one."""
IDLE_SECONDS = 60.0
"""The server forgets a consumer that asks for nothing so long; it is made anew then."""

_PLACE = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """After which pattern to go on.

    Attributes:
        stream: the stream's identity: one that is made anew begins its sequences anew.
        sequence: of the last pattern that was taken; 0 for none.
    """

    stream: str
    sequence: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The place that a text names, as `str` wrote it; None where it names none."""
        found = _PLACE.fullmatch(text)
        return cls(found[1], int(found[2])) if found else None

    def __str__(self) -> str:
        return f"{self.stream}-{self.sequence}"


@dataclass(frozen=True, slots=True)
class Published:
    """A pattern, the bytes it was published as, and the place after it."""

    place: StreamPlace
    pattern: Pattern
    data: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Patterns that the stream no longer holds.

    Attributes:
        after: the last place that was taken.
        place: from where it goes on.
        missing: how many were lost; None where that is not known, since the stream is another one.
    """

    after: StreamPlace
    place: StreamPlace
    missing: int | None


class PatternStream:
    """The patterns from a place on. `close` ends it.

    It holds at most one pull of messages: whoever takes slowly lets the others wait in the stream.

    Attributes:
        place: after the last that `next` gave; None until the stream was reached.
    """

    def __init__(self, bus: Bus, after: StreamPlace | None = None) -> None:
        """Nothing is asked yet.

        Args:
            bus: the connection.
            after: after which pattern to begin; None for those that are published from the first `next` or `open` on.
        """
        self.place = after
        self._bus = bus
        self._pulled: deque[Published | Gap] = deque()
        self._last = after
        self._arrived = asyncio.Event()
        self._consumer = ""
        self._consumer_last = 0
        self._subscription: Subscription | None = None
        self._asked = 0
        self._heard = 0.0
        self._stale = True
        self._reconnects = bus.reconnects

    async def next(self, timeout: float) -> list[Published | Gap]:
        """What has come, at least one unless ``timeout`` seconds pass without any.

        Raises:
            BusUnavailable: NATS or the stream is away; call again later.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not self._pulled:
            silent = self._asked > 0 and loop.time() - self._heard > 2 * HEARTBEAT_SECONDS
            if silent or self._bus.reconnects != self._reconnects:
                self._stale = True
            if self._stale:
                await self.open()
            elif self._asked <= 0:
                await self._ask()
            self._arrived.clear()
            if self._pulled:
                break
            if (left := deadline - loop.time()) <= 0:
                return []
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), min(left, LOOK_SECONDS))
        taken = list(self._pulled)
        self._pulled.clear()
        self.place = taken[-1].place
        return taken

    async def open(self) -> None:
        """Begins, or begins anew from the last that came.

        Raises:
            BusUnavailable: NATS or the stream is away.
        """
        if not self._bus.connected:
            raise BusUnavailable("no connection to NATS")
        await self._leave()
        self._reconnects = self._bus.reconnects
        async with translated():
            jetstream = self._bus.jetstream()
            try:
                info = await jetstream.stream_info(subjects.PATTERNS_STREAM)
            except NotFoundError:
                raise BusUnavailable("there is no stream of patterns yet; the engine makes it when it starts") from None
            begin = self._begin(identity(info), info.state.first_seq, info.state.last_seq)
            self._consumer = f"follow-{uuid.uuid4().hex}"
            self._consumer_last = 0
            await jetstream.add_consumer(
                subjects.PATTERNS_STREAM,
                ConsumerConfig(
                    name=self._consumer,
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=begin.sequence + 1,
                    ack_policy=AckPolicy.NONE,
                    inactive_threshold=IDLE_SECONDS,
                    mem_storage=True,
                    num_replicas=1,
                ),
            )
            self._subscription = await self._bus.client.subscribe(self._bus.client.new_inbox(), cb=self._received)
        self._stale = False
        await self._ask()

    async def close(self) -> None:
        """Ends it; the server's part goes by itself where NATS is away."""
        with contextlib.suppress(BusError):
            await self._leave()

    def _begin(self, stream: str, first: int, last: int) -> StreamPlace:
        """The place to go on from in the stream as it is, and the gap before it where there is one."""
        was = self._last
        if was is None:
            self._last = self.place = StreamPlace(stream, last)
        elif was.stream != stream:
            self._skip(was, StreamPlace(stream, first - 1), None)
        elif was.sequence > last:
            self._skip(was, StreamPlace(stream, last), None)  # the server lost its newest; sequences are given out again
        elif was.sequence + 1 < first:
            self._skip(was, StreamPlace(stream, first - 1), first - 1 - was.sequence)
        assert self._last is not None
        return self._last

    def _skip(self, after: StreamPlace, to: StreamPlace, missing: int | None) -> None:
        self._last = to
        self._pulled.append(Gap(after, to, missing))

    async def _leave(self) -> None:
        """Drops the consumer; no answer is waited for that may never come."""
        self._stale = True
        subscription, self._subscription = self._subscription, None
        consumer, self._consumer = self._consumer, ""
        if subscription is None and not consumer:
            return
        async with translated():
            if subscription is not None:
                await subscription.unsubscribe()
            if consumer and self._bus.connected:
                with contextlib.suppress(NotFoundError):
                    await self._bus.jetstream().delete_consumer(subjects.PATTERNS_STREAM, consumer)

    async def _ask(self) -> None:
        assert self._subscription is not None
        request = {
            "batch": PULL_MESSAGES,
            "expires": int(PULL_SECONDS * 1e9),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
        }
        self._asked = PULL_MESSAGES
        self._heard = asyncio.get_running_loop().time()
        async with translated():
            await self._bus.client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{subjects.PATTERNS_STREAM}.{self._consumer}",
                msgspec.json.encode(request),
                reply=self._subscription.subject,
            )

    async def _received(self, message: Msg) -> None:
        if message.reply.startswith("$JS.ACK."):
            if message.metadata.consumer == self._consumer:
                self._take(message)
        elif self._subscription is not None and message.subject == self._subscription.subject:
            self._status(message.headers or {})
        self._arrived.set()

    def _take(self, message: Msg) -> None:
        about = message.metadata
        self._asked -= 1
        self._heard = asyncio.get_running_loop().time()
        if about.sequence.consumer != self._consumer_last + 1:
            self._stale = True  # one was lost on the way
        self._consumer_last = about.sequence.consumer
        if self._stale or self._last is None:
            return
        place = StreamPlace(self._last.stream, about.sequence.stream)
        if place.sequence > self._last.sequence + 1:
            self._skip(self._last, StreamPlace(place.stream, place.sequence - 1), place.sequence - self._last.sequence - 1)
        self._last = place
        try:
            self._pulled.append(Published(place, decode_pattern(message.data), message.data))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("unreadable pattern on %s: %s", message.subject, error)

    def _status(self, headers: dict[str, str]) -> None:
        self._heard = asyncio.get_running_loop().time()
        said = headers.get("Description", "")
        if headers.get("Status") == "100":
            return
        self._asked = 0  # this pull is over
        if "Consumer Deleted" in said or "No Responders" in said or headers.get("Status") == "503":
            self._stale = True
