"""Reads what stands in the event stream: micro-batches of events, verdicts, dead letters, whatever others publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from qraft.bus import subjects
from qraft.model import META_VERSION, DeadLetter, Event, Feedback, derive_id, feedback_fault, iso_from_us


class _LooseEvent(msgspec.Struct, frozen=True):
    """An event as any program may publish it with one line: all but the payload may be absent."""

    payload: dict[str, Any]
    event_id: str = ""
    type: str = ""
    timestamp: str | int | float | None = None
    meta: dict[str, Any] | None = None


_event = msgspec.json.Decoder(_LooseEvent)
_feedback = msgspec.json.Decoder(Feedback)
_dead = msgspec.json.Decoder(DeadLetter)

Inbound = Event | Feedback | DeadLetter


def decode_message(subject: str, data: bytes, *, sequence: int, arrived_us: int) -> Iterator[Inbound]:
    """What one message of the event stream holds, a line at a time, in order.

    A line that cannot be read, or feedback that breaks the contract, becomes a dead letter with its bytes. What an event
    lacks is filled in from the message alone, so that reading it again gives the same: its id from the sequence and the
    line's number, its time from the arrival.

    Args:
        subject: as the stream keeps it, ``qraft.lane.<partition>.<kind>.<source>``.
        data: NDJSON.
        sequence: the message's sequence in the stream.
        arrived_us: when the server took it, UTC microseconds.
    """
    kind, source = subject.split(".", 4)[3:]
    arrived = iso_from_us(arrived_us)
    for number, line in enumerate(data.splitlines()):
        if not line.strip():
            continue
        try:
            if kind == subjects.EVENTS:
                yield _complete(_event.decode(line), source, f"{sequence}:{number}", arrived)
            elif kind == subjects.FEEDBACK:
                verdict = _feedback.decode(line)
                if fault := feedback_fault(verdict):
                    raise msgspec.ValidationError(fault)
                yield verdict if verdict.source else msgspec.structs.replace(verdict, source=source)
            else:
                yield _dead.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield DeadLetter(
                dead_id=derive_id("dead", source, f"{sequence}:{number}"),
                source=source,
                timestamp=arrived,
                stage="bus",
                reason=str(error),
                original=line,
            )


def _complete(event: _LooseEvent, source: str, place: str, arrived: str) -> Event:
    return Event(
        event_id=event.event_id or derive_id("event", source, "stream", place),
        source=source,
        type=event.type or "event",
        timestamp=arrived if event.timestamp is None else str(event.timestamp),
        payload=event.payload,
        meta=event.meta or {"version": META_VERSION},
    )
