"""How full the streams are."""

from __future__ import annotations

from typing import Final, NamedTuple

from qraft.bus import subjects
from qraft.bus.client import Bus, translated


class StreamUsage(NamedTuple):
    """What a stream holds, and may hold; ``limit`` is 0 where it has none.

    Attributes:
        stream: what it is for: events or patterns.
        messages: how many it holds.
        size: how many bytes.
        limit: how many bytes it may hold.
    """

    stream: str
    messages: int
    size: int
    limit: int


_STREAMS: Final = {"events": subjects.EVENTS_STREAM, "patterns": subjects.PATTERNS_STREAM}


async def stream_usage(bus: Bus) -> list[StreamUsage]:
    """The usage of each stream.

    Raises:
        BusUnavailable: NATS does not answer.
    """
    found = []
    async with translated():
        jetstream = bus.jetstream()
        for label, name in _STREAMS.items():
            info = await jetstream.stream_info(name)
            found.append(StreamUsage(label, info.state.messages, info.state.bytes, max(0, info.config.max_bytes or 0)))
    return found
