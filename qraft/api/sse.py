"""Patterns as server-sent events (HTML Living Standard, section 9.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Final

import msgspec
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from qraft.api.matching import Test
from qraft.api.meters import meters_of
from qraft.api.parts import Clock, OpenStreams
from qraft.bus import BusRejected, BusUnavailable, Gap, PatternStream, Published
from qraft.model import us_from_iso

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT_SECONDS: Final = 15.0
"""So often at least something is sent, so that neither end nor what stands between takes the other for gone."""
MOST_STREAMS: Final = 100
"""As many may be open at once: each holds a consumer in NATS."""
RETRY_MS: Final = 2000
"""So long a client waits before it comes back."""
LOOK_SECONDS: Final = 0.5
"""So often it looks whether the server is to end."""


class PatternEvents(StreamingResponse):
    """The patterns of a stream that pass a test, until the client or the server goes.

    A client that reads slowly holds up its own stream alone: nothing more is taken from NATS until it has read.
    """

    media_type = MEDIA_TYPE

    def __init__(self, stream: PatternStream, passes: Test, clock: Clock, streams: OpenStreams) -> None:
        """
        Args:
            stream: the patterns; opened.
            passes: which of them are told.
            clock: tells the time, for ages.
            streams: those that are open; this is one of them while it is sent.
        """
        self._stream, self._streams = stream, streams
        self._events = _events(stream, passes, clock, streams.ending)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the second for nginx, which would hold it back
        super().__init__(self._events, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until either end goes."""
        with meters_of(scope["app"]).streaming(), self._streams.one():
            try:
                await super().__call__(scope, receive, send)
            finally:
                await self._events.aclose()
                await self._stream.close()


async def _events(stream: PatternStream, passes: Test, clock: Clock, ending: asyncio.Event) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    yield format_sse_event(retry=RETRY_MS, id=str(stream.place))
    sent = loop.time()
    while not ending.is_set():
        try:
            found = await stream.next(LOOK_SECONDS)
        except BusUnavailable as error:
            log.debug("a stream of patterns waits: %s", error)
            await asyncio.sleep(LOOK_SECONDS)
            found = []
        except BusRejected as error:
            log.warning("a stream of patterns ends: %s", error)
            return
        now_us = us_from_iso(clock())
        for one in found:
            if isinstance(one, Gap):
                yield _gap(one)
            elif passes(one.pattern, now_us):
                yield _pattern(one)
            else:
                continue
            sent = loop.time()
        if loop.time() - sent >= HEARTBEAT_SECONDS:
            yield format_sse_event(comment="heartbeat", id=str(stream.place))
            sent = loop.time()


def _pattern(one: Published) -> bytes:
    return format_sse_event(event="pattern", id=str(one.place), data_str=one.data.decode())


def _gap(gap: Gap) -> bytes:
    data = msgspec.json.encode({"after": str(gap.after), "missing": gap.missing})
    return format_sse_event(event="gap", id=str(gap.place), data_str=data.decode())
