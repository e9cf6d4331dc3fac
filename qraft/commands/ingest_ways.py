"""Where `qraft ingest` sends events: the bus of an instance here, or a REST server elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from qraft.bus import Bus, BusError, BusRejected, Publisher, oversized_letter
from qraft.commands.common import UserError
from qraft.config import LoginError, NatsAddress
from qraft.config.sources import WhenFull
from qraft.model import DeadLetter, Event

if TYPE_CHECKING:
    from qraft.client import AsyncClient

LOOK_SECONDS = 10.0
"""So long a batch waits for the server until it is looked up whether the instance stands elsewhere now."""
OPEN_SECONDS = 3.0
"""So long the first connect may take."""


class Way:
    """The sink of `qraft.ingest.base` that lines go to.

    Attributes:
        events: events that are stored over there.
        letters: lines that could not be used.
        waiting: why nothing can be sent at the moment; empty when it can.
    """

    when_full: WhenFull = "block"
    pressed = False

    def __init__(self) -> None:
        self.events = self.letters = 0
        self.waiting = ""

    def ready(self) -> None:
        """Lines are there as they come."""

    async def send(self, events: Sequence[Event]) -> None:
        """Returns once all are stored, in order."""
        raise NotImplementedError

    async def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Returns once it is noted what could not be used."""
        raise NotImplementedError

    def dropped(self, reason: str, count: int = 1) -> None:
        """The batcher has told of rows given up: those that still waited when the user asked a second time to end."""

    def missing(self, count: int) -> None:
        """Lines have no sequence, so none is ever missing."""

    def notice(self, kind: str, text: str) -> None:
        """Tells the user."""
        print(f"{kind}: {text}", file=sys.stderr)


class BusWay(Way):
    """The way to the bus of the instance, wherever that stands; what cannot be used becomes a dead letter there."""

    def __init__(self, bus: Bus, locate: Callable[[], NatsAddress]) -> None:
        super().__init__()
        self._bus = bus
        self._locate = locate

    async def send(self, events: Sequence[Event]) -> None:
        """Returns once all are stored, in order; one that the bus refuses for good becomes a dead letter."""
        try:
            await self._stored(lambda publisher: publisher.events(events[0].source, events, self._wait))
        except BusRejected as error:
            if len(events) == 1:
                await self.dead([oversized_letter(events[0], error)])
                return
            for event in events:
                await self.send([event])
            return
        self.events += len(events)

    async def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Returns once all are stored."""
        await self._stored(lambda publisher: publisher.dead(letters[0].source, letters, self._wait))
        self.letters += len(letters)

    async def close(self) -> None:
        """Closes the connection."""
        await self._bus.close()

    def _wait(self, reason: str) -> None:
        self.waiting = reason

    async def _stored(self, publish: Callable[[Publisher], Awaitable[None]]) -> None:
        """Publishes until it went through; repeats collapse by their ids."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await publish(Publisher(self._bus))
                    return
            except TimeoutError:
                await self._move()

    async def _move(self) -> None:
        """Goes where the instance is now, if that is elsewhere: an embedded server gets another port at each start."""
        with contextlib.suppress(UserError, LoginError, BusError):
            address = self._locate()
            if address.url != self._bus.url:
                bus = await Bus.connect(address, name="ingest")
                await self._bus.close()
                self._bus = bus


class RestWay(Way):
    """The way to a REST server, which turns away what it cannot use; that is told here and kept nowhere."""

    def __init__(self, client: AsyncClient) -> None:
        super().__init__()
        self._client = client

    async def send(self, events: Sequence[Event]) -> None:
        """Returns once the server has stored what it takes; while it is away, or full, it is asked again and again.

        Raises:
            ClientError: it refuses, or was never there.
        """
        from qraft.client import Refused, Unreachable
        from qraft.client.calls import passes

        records = [msgspec.to_builtins(event) for event in events]
        while True:
            try:
                done = await self._client.ingest(events[0].source, records)
                break
            except Unreachable as error:
                if not self.events + self.letters:
                    raise
                self.waiting = str(error)
            except Refused as error:
                if not passes(error):
                    raise
                self.waiting = str(error)
        self.waiting = ""
        self.events += done.accepted
        self.letters += max(0, done.rejected_total - len(done.rejected))
        for one in done.rejected:
            self._tell(one.reason)

    async def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Tells of lines that are no events."""
        for letter in letters:
            self._tell(letter.reason)

    def _tell(self, reason: str) -> None:
        self.letters += 1
        self.notice("not sent", reason)


@contextlib.asynccontextmanager
async def to_bus(locate: Callable[[], NatsAddress]) -> AsyncIterator[BusWay]:
    """The way to the bus of an instance.

    Args:
        locate: where its NATS is now; raises UserError where nothing runs.

    Raises:
        UserError: no instance runs.
        BusUnavailable: its NATS does not answer at the start.
    """
    way = BusWay(await Bus.connect(locate(), name="ingest", timeout=OPEN_SECONDS), locate)
    try:
        yield way
    finally:
        await way.close()


@contextlib.asynccontextmanager
async def to_rest(open_client: Callable[[], AsyncClient]) -> AsyncIterator[RestWay]:
    """The way to a REST server."""
    async with open_client() as client:
        yield RestWay(client)
