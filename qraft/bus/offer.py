"""Publishes events for somebody who waits for the answer: what cannot be stored now is given back, not waited for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qraft.bus.client import Bus
from qraft.bus.errors import BusUnavailable
from qraft.bus.publisher import MAX_MESSAGE_BYTES, Publisher
from qraft.model import Event, encode

MESSAGE_EVENTS = 500


class NotAllStored(BusUnavailable):
    """NATS or the stream's room gave out; the text says why.

    Attributes:
        stored: how many events, from the first on, are known to be stored; one message more may be.
    """

    def __init__(self, reason: str, stored: int) -> None:
        super().__init__(reason)
        self.stored = stored


async def offer_events(bus: Bus, source: str, events: Sequence[Event]) -> None:
    """Returns once every event is stored, in order.

    Raises:
        NotAllStored: the stream is full, or NATS does not answer.
        BusRejected: the server refuses for good.
    """
    publisher, stored = Publisher(bus), 0
    for message in _messages(events):
        try:
            await publisher.events(source, message, _give_up)
        except BusUnavailable as error:
            raise NotAllStored(str(error), stored) from None
        stored += len(message)


def _give_up(reason: str) -> None:
    if reason:
        raise BusUnavailable(reason)


def _messages(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """The events in parts that are one message each, so that a part is stored whole or not at all."""
    first = size = 0
    for at, event in enumerate(events):
        length = len(encode(event)) + 1
        if at > first and (size + length > MAX_MESSAGE_BYTES or at - first >= MESSAGE_EVENTS):
            yield events[first:at]
            first, size = at, 0
        size += length
    if first < len(events):
        yield events[first:]
