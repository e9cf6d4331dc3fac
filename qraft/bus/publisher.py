"""Publishes into the streams and waits until what was published is stored there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from nats.js.errors import APIError

from qraft.bus import subjects
from qraft.bus.client import Bus, translated
from qraft.bus.errors import BusRejected, BusUnavailable
from qraft.model import DeadLetter, Event, Pattern, derive_id, encode, encode_lines

log = logging.getLogger(__name__)

STREAM_FULL = frozenset({10077, 10054})  # maximum bytes, maximum messages exceeded
RETRY_FIRST, RETRY_MOST = 0.05, 1.0
MAX_MESSAGE_BYTES = 512 * 1024
"""A micro-batch above this is sent in parts; nats-server's own limit is 1 MiB by default."""

Waiting = Callable[[str], None]


class Publisher:
    """Publishes one micro-batch of a source at a time, so that order holds; waits while the stream is full or away."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def events(self, source: str, events: Sequence[Event], waiting: Waiting | None = None) -> None:
        """Returns once every event is stored, in order.

        Args:
            source: the source all of them belong to.
            events: one or more events.
            waiting: told why each time this has to wait ("the event stream is full"), and "" when it goes on.

        Raises:
            BusRejected: the server refuses for good, for example an event larger than it allows.
        """
        for part in _parts(events):
            # With the source, since the ids of others may number from 1 in each.
            identity = f"{source}:{part[0].event_id}:{part[-1].event_id}:{len(part)}"
            await self._store(subjects.events_subject(source), encode_lines(part), identity, waiting)

    async def dead(self, source: str, letters: Sequence[DeadLetter], waiting: Waiting | None = None) -> None:
        """Returns once every dead letter is stored; see :meth:`events`."""
        for letter in letters:
            await self._store(subjects.dead_subject(source), encode(letter), letter.dead_id, waiting)

    async def patterns(self, patterns: Sequence[Pattern], waiting: Waiting | None = None) -> None:
        """Publishes patterns in order and returns once all are stored; repeats collapse by pattern id."""
        await asyncio.gather(
            *(self._store(subjects.pattern_subject(p.type, p.source), encode(p), p.pattern_id, waiting) for p in patterns)
        )

    async def _store(self, subject: str, data: bytes, identity: str, waiting: Waiting | None) -> None:
        delay, waited = RETRY_FIRST, False
        while True:
            try:
                await self._try(subject, data, identity)
            except BusUnavailable as error:
                log.debug("%s: %s; trying again", subject, error)
                waited = True
                if waiting is not None:
                    waiting(str(error))
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_MOST)
            else:
                if waited and waiting is not None:
                    waiting("")
                return

    async def _try(self, subject: str, data: bytes, identity: str) -> None:
        async with translated():
            try:
                await self._bus.jetstream().publish(subject, data, headers={"Nats-Msg-Id": identity})
            except APIError as error:
                if error.err_code in STREAM_FULL:
                    raise BusUnavailable("the event stream is full; sources wait") from error
                raise


def _parts(events: Sequence[Event]) -> list[Sequence[Event]]:
    if len(encode_lines(events)) <= MAX_MESSAGE_BYTES or len(events) == 1:
        return [events]
    half = len(events) // 2
    return [*_parts(events[:half]), *_parts(events[half:])]


def oversized_letter(event: Event, error: BusRejected) -> DeadLetter:
    """The dead letter of an event the bus refuses; the original is cut to what the bus takes."""
    return DeadLetter(
        dead_id=derive_id("dead", event.source, event.event_id),
        source=event.source,
        timestamp=event.timestamp,
        stage="bus",
        reason=str(error),
        original=encode(event)[: MAX_MESSAGE_BYTES // 2],
    )
