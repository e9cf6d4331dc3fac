"""Reads one partition of the event stream in order, each message once, through reconnects and server restarts."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from functools import partial

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from qraft.bus import subjects
from qraft.bus.client import Bus, translated
from qraft.bus.errors import BusUnavailable
from qraft.model import us_from_datetime

log = logging.getLogger(__name__)

PULL_MESSAGES = 256
PULL_BYTES = 4 * 1024**2
PULL_SECONDS = 20.0
HEARTBEAT_SECONDS = 5.0
ACK_WAIT_SECONDS = 3600.0
"""Longer than any barrier, so that nothing is sent twice while it is being worked on."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message: its stream subject and sequence, and when the server took it."""

    subject: str
    data: bytes
    sequence: int
    arrived_us: int


class LaneReader:
    """Pulls the messages of one partition.

    The consumer is made anew at start and after each reconnect: a work queue then hands out all that was never
    acknowledged, in order, and what this reader had already is skipped by its sequence. So neither a lost reply nor a
    stale acknowledgement can put messages out of order or leave one out.
    """

    def __init__(self, bus: Bus, partition: int) -> None:
        self._bus = bus
        self._partition = partition
        self._name = subjects.lane_name(partition)
        self._pulled: deque[Delivery] = deque()
        self._unacknowledged: deque[tuple[int, str]] = deque()
        self._done = 0
        self._arrived = asyncio.Event()
        self._subscription: Subscription | None = None
        self._last = 0
        self._consumer_last = 0
        self._asked = 0
        self._heard = 0.0
        self._stale = True
        self._generation = 0
        self.pending = 0
        bus.listen(self._connection_changed)

    def start_after(self, sequence: int) -> None:
        """Goes on after ``sequence``; to be called before the first :meth:`next`."""
        self._last = self._done = sequence

    async def next(self, timeout: float) -> list[Delivery]:
        """What has arrived, at least one message unless ``timeout`` seconds pass without any.

        Raises:
            BusUnavailable: NATS does not answer; call again later.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not self._pulled:
            if self._unacknowledged and self._unacknowledged[0][0] <= self._done:
                await self.acknowledge(self._done)
            if self._stale:
                await self._open()
            elif self._asked <= 0 or loop.time() - self._heard > 2 * HEARTBEAT_SECONDS:
                if self._asked > 0:
                    self._stale = True
                    continue
                await self._ask()
            self._arrived.clear()
            if (left := deadline - loop.time()) <= 0:
                return []
            try:
                await asyncio.wait_for(self._arrived.wait(), min(left, HEARTBEAT_SECONDS))
            except TimeoutError:
                continue
        taken = list(self._pulled)
        self._pulled.clear()
        if self._asked <= 0 and not self._stale:
            await self._ask()  # the next ones travel while these are worked on
        return taken

    async def acknowledge(self, sequence: int) -> None:
        """Takes every message up to ``sequence`` out of the queue; what is lost of that is made up for after a reconnect."""
        self._done = max(self._done, sequence)
        async with translated():
            while self._unacknowledged and self._unacknowledged[0][0] <= sequence:
                _, reply = self._unacknowledged.popleft()
                await self._bus.client.publish(reply, b"+ACK")

    async def close(self) -> None:
        """Ends the subscription; the queue keeps what was not acknowledged."""
        if self._subscription is not None:
            async with translated():
                await self._subscription.unsubscribe()
            self._subscription = None

    async def _open(self) -> None:
        if not self._bus.connected:
            raise BusUnavailable("no connection to NATS")
        self._stale = False
        try:
            async with translated():
                if self._subscription is not None:
                    await self._subscription.unsubscribe()
                    self._subscription = None
                jetstream = self._bus.jetstream()
                try:
                    await jetstream.delete_consumer(subjects.EVENTS_STREAM, self._name)
                except NotFoundError:
                    log.debug("%s: no consumer of before", self._name)
                await jetstream.add_consumer(
                    subjects.EVENTS_STREAM,
                    ConsumerConfig(
                        durable_name=self._name,
                        filter_subject=f"qraft.lane.{self._partition}.>",
                        deliver_policy=DeliverPolicy.ALL,
                        ack_policy=AckPolicy.EXPLICIT,
                        ack_wait=ACK_WAIT_SECONDS,
                        max_ack_pending=-1,
                    ),
                )
                self._consumer_last = 0
                self._unacknowledged.clear()
                inbox = self._bus.client.new_inbox()
                self._generation += 1
                self._subscription = await self._bus.client.subscribe(inbox, cb=partial(self._received, self._generation))
            await self._ask()
        except BaseException:
            self._stale = True
            raise

    async def _ask(self) -> None:
        assert self._subscription is not None
        request = {
            "batch": PULL_MESSAGES,
            "max_bytes": PULL_BYTES,
            "expires": int(PULL_SECONDS * 1e9),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
        }
        self._asked = PULL_MESSAGES
        self._heard = asyncio.get_running_loop().time()
        async with translated():
            await self._bus.client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{subjects.EVENTS_STREAM}.{self._name}",
                msgspec.json.encode(request),
                reply=self._subscription.subject,
            )

    async def _received(self, generation: int, message: Msg) -> None:
        if generation != self._generation:
            return
        self._heard = asyncio.get_running_loop().time()
        if message.reply.startswith("$JS.ACK."):
            self._take(message)
        elif (message.headers or {}).get("Status") != "100":
            self._ended(message.headers or {})
        self._arrived.set()

    def _take(self, message: Msg) -> None:
        about = message.metadata
        self._asked -= 1
        self.pending = about.num_pending
        if about.sequence.consumer != self._consumer_last + 1:
            log.warning("%s: a message was lost on the way; reading again", self._name)
            self._stale = True
        self._consumer_last = about.sequence.consumer
        if self._stale:
            return
        self._unacknowledged.append((about.sequence.stream, message.reply))
        if about.sequence.stream <= self._last:
            return
        self._last = about.sequence.stream
        arrived = us_from_datetime(about.timestamp)
        self._pulled.append(Delivery(message.subject, message.data, self._last, arrived))

    def _ended(self, headers: dict[str, str]) -> None:
        """A pull is over: expired, full by bytes, or the consumer is gone."""
        self._asked = 0
        said = headers.get("Description", "")
        if "Consumer Deleted" in said or "No Responders" in said or headers.get("Status") == "503":
            self._stale = True
        elif headers.get("Status") not in ("404", "408") and "MaxBytes" not in said:
            log.debug("%s: pull ended: %s", self._name, headers)

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._stale = True
            self._arrived.set()
