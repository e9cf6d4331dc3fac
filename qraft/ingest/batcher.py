"""Collects what an adapter reads into micro-batches: while one is sent, the next one grows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from qraft.ingest.base import Sink
from qraft.model import DeadLetter, Event

MAX_EVENTS: Final = 500
"""Events and dead letters of one micro-batch, at most."""
MAX_BYTES: Final = 256 * 1024
"""Bytes of one micro-batch, at most, unless one event alone is larger."""
LINGER_SECONDS: Final = 0.02
"""How long the first event of a batch waits for company while the sink is idle."""
PATIENCE_SHARE: Final = 0.1
"""Share of the time that a source which may drop events is held up, at most."""
MOST_STRIDE: Final = 1024
"""A source that samples keeps at least one event of so many, if there is room for it."""

_log = logging.getLogger(__name__)


class Batcher:
    """The way from an adapter to its sink, as an asynchronous context manager.

    `put` queues an item and waits while the queue is full; a task of its own sends the queue as one piece whenever the sink
    is ready for it. So what is held is bounded by two batches (the one being sent and the one that grows), the order stays,
    and a busy sink gets larger batches. A batch's dead letters go before its events: a crash between the two repeats dead
    letters, whose ids are the same, and loses none.

    On leaving, what is queued is still sent. After a cancellation that may take ``grace`` seconds; what remains is then
    given up, with a warning. A source that can resume behind the last event sent loses nothing by that: ``grace`` is 0.

    Where the sink's ``when_full`` says so, an event is given up rather than waited for, and counted: "drop_newest" gives up
    what comes while the queue is full or the engine far behind; "sample" keeps every n-th event, where n doubles each time
    that happens and halves with each batch that goes out without it. A burst is waited for: ``patience`` seconds in all,
    which come back at a tenth of the time that passes, so that a feed is never held up for long.

    Whatever the sink raises comes out of the next `put`, or of leaving.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
        linger: float = LINGER_SECONDS,
        grace: float = 1.0,
        patience: float = 1.0,
    ) -> None:
        self._sink = sink
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._linger = linger
        self._grace = grace
        self._patience = patience
        self._events: list[Event] = []
        self._letters: list[DeadLetter] = []
        self._bytes = 0
        self._first = 0.0
        self._sending = 0
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False
        self._stride = 1
        self._skipped = 0
        self._crowded = False
        self._patience_left, self._patience_at = patience, 0.0
        self._sender: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sender = asyncio.create_task(self._send(), name="ingest-batcher")
        self._sender.add_done_callback(lambda _: self._room.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._sender is not None
        self._closing = True
        self._some.set()
        self._full.set()
        cancelled = isinstance(error, asyncio.CancelledError)
        try:
            await asyncio.wait({self._sender}, timeout=self._grace if cancelled else None)
        finally:
            if not self._sender.done():
                self._sender.cancel()
                await asyncio.wait({self._sender})
        failure = None if self._sender.cancelled() else self._sender.exception()
        if failure is not None and not cancelled:
            raise failure
        if cancelled and self._grace and self._sending + self.held:
            _log.warning("%d items that the bus did not take were given up on leaving", self._sending + self.held)
            self._sink.dropped("leaving", self._sending + self.held)

    async def put(self, item: Event | DeadLetter, size: int) -> None:
        """Queues one item of about ``size`` bytes; waits while the queue is full, or gives it up.

        Raises:
            Exception: what the sink raised.
        """
        if self._sink.when_full != "block" and isinstance(item, Event) and await self._gives_up(size):
            self._check()
            return
        await self._wait_for_room(size)
        self._check()
        if not self.held:
            self._first = asyncio.get_running_loop().time()
        if isinstance(item, Event):
            self._events.append(item)
        else:
            self._letters.append(item)
        self._bytes += size
        self._some.set()
        if self.held >= self._max_events or self._bytes >= self._max_bytes:
            self._full.set()

    async def put_all(self, items: Iterable[Event | DeadLetter], size: int) -> None:
        """Queues items of about ``size`` bytes each."""
        for item in items:
            await self.put(item, size)

    @property
    def held(self) -> int:
        """Items in the queue, without those being sent."""
        return len(self._events) + len(self._letters)

    def _is_full(self, size: int) -> bool:
        return bool(self.held) and (self.held >= self._max_events or self._bytes + size > self._max_bytes)

    async def _wait_for_room(self, size: int) -> None:
        while self._is_full(size):
            self._check()
            self._full.set()
            self._room.clear()
            await self._room.wait()

    async def _gives_up(self, size: int) -> bool:
        """Whether an event is one that is not kept; counts it then."""
        samples = self._sink.when_full == "sample"
        if samples:
            self._skipped += 1
            if self._skipped < self._stride:
                self._sink.dropped("sampled")
                return True
            self._skipped = 0
        crowded = self._sink.pressed or await self._jam(size)
        if crowded:
            self._crowded = True
            self._stride = min(2 * self._stride, MOST_STRIDE)
            self._sink.dropped("sampled" if samples else "full")
        return crowded

    async def _jam(self, size: int) -> bool:
        """Whether the queue is full and patience is at an end."""
        if not self._is_full(size):
            return False
        now = asyncio.get_running_loop().time
        begun = now()
        self._patience_left = min(self._patience, self._patience_left + (begun - self._patience_at) * PATIENCE_SHARE)
        if self._patience_left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience_left):
                    await self._wait_for_room(size)
        self._patience_at = now()
        self._patience_left -= self._patience_at - begun
        return self._is_full(size)

    def _check(self) -> None:
        """Raises what ended the sender, if anything did."""
        assert self._sender is not None, "use `async with Batcher(…)`"
        if self._sender.done():
            self._sender.result()
            raise RuntimeError("the batcher is closed")

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            if not self.held:
                return
            remaining = self._first + self._linger - loop.time()
            if not self._full.is_set() and remaining > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(remaining):
                        await self._full.wait()
            events, letters = self._events, self._letters
            self._sending = len(events) + len(letters)
            self._events, self._letters, self._bytes = [], [], 0
            if not self._closing:
                self._some.clear()
                self._full.clear()
            self._room.set()
            if letters:
                await self._sink.dead(letters)
            if events:
                await self._sink.send(events)
            self._sending = 0
            if not self._crowded:
                self._stride = max(1, self._stride // 2)
            self._crowded = False
