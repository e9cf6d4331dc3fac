"""How full the streams are."""

from __future__ import annotations

from dataclasses import dataclass

from nats.js.errors import NotFoundError

from qraft.bus import subjects
from qraft.bus.client import Bus, translated


@dataclass(frozen=True, slots=True)
class StreamLevel:
    """What stands in a stream; ``max_bytes`` is its limit, -1 without one."""

    stream: str
    messages: int
    bytes: int
    max_bytes: int
    first_sequence: int
    last_sequence: int


async def stream_levels(bus: Bus) -> list[StreamLevel]:
    """The streams of events and of patterns; those that are not there yet are left out.

    Raises:
        BusUnavailable: NATS does not answer.
    """
    found: list[StreamLevel] = []
    async with translated():
        for name in (subjects.EVENTS_STREAM, subjects.PATTERNS_STREAM):
            try:
                info = await bus.jetstream().stream_info(name)
            except NotFoundError:
                continue
            state, limit = info.state, info.config.max_bytes
            found.append(
                StreamLevel(
                    name, state.messages, state.bytes, -1 if limit is None else limit, state.first_seq, state.last_seq
                )
            )
    return found
