"""What a barrier stores: a block of values, and the columns its tables get.

Everything here is a function of the block alone, no clock and no state, so the same block always makes the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from qraft.model import CleanEvent, DeadLetter, Event, Feedback, Pattern, derive_id, us_from_iso

Columns = Mapping[str, Sequence[Any]]

TABLES: Final = ("raw_events", "clean_events", "pattern_events", "pattern_feedback", "dead_letters")

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EARLIEST_US: Final = -2_208_988_800_000_000
_LATEST_US: Final = 10_413_791_999_999_999
_text = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class RawRow:
    """An event with its place in the stream and its arrival there, in UTC microseconds."""

    event: Event
    partition: int
    sequence: int
    arrived_us: int


@dataclass(frozen=True, slots=True)
class Block:
    """All that one barrier stores, under a token that names it for ever.

    Attributes:
        token: the same for the same block, and for no other: ``stream:partition:first-last``.
        ingested_at: when the block's last message arrived, UTC microseconds. From the message, never from a clock. Rows get
            the arrival of the raw event with their event_id where the block holds it, otherwise this.
        feedback: in the order of the stream.
    """

    token: str
    ingested_at: int
    raw: Sequence[RawRow] = ()
    clean: Sequence[CleanEvent] = ()
    patterns: Sequence[Pattern] = ()
    feedback: Sequence[Feedback] = ()
    dead: Sequence[DeadLetter] = ()


def table_columns(block: Block, important_confidence: float) -> dict[str, Callable[[], Columns]]:
    """For each table that gets rows, what makes its columns."""
    arrivals = {row.event.event_id: row.arrived_us for row in block.raw}
    makers: dict[str, tuple[Sequence[object], Callable[[], Columns]]] = {
        "raw_events": (block.raw, lambda: _raw(block.raw)),
        "clean_events": (block.clean, lambda: _clean(block.clean, arrivals, block.ingested_at)),
        "pattern_events": (
            block.patterns,
            lambda: _patterns(block.patterns, arrivals, block.ingested_at, important_confidence),
        ),
        "pattern_feedback": (block.feedback, lambda: _feedback(block.feedback, block.ingested_at)),
        "dead_letters": (block.dead, lambda: _dead(block.dead, block.ingested_at)),
    }
    return {table: maker for table, (rows, maker) in makers.items() if rows}


def event_uuid(event_id: str) -> str:
    """An event's id as the UUID it is stored by: itself, or one derived from it where the sender used something else."""
    return event_id if _UUID.fullmatch(event_id) else derive_id("event_id", event_id)


def _raw(rows: Sequence[RawRow]) -> Columns:
    events = [row.event for row in rows]
    return {
        "event_id": [event_uuid(event.event_id) for event in events],
        "source": [event.source for event in events],
        "type": [event.type for event in events],
        "timestamp": [_moment(row.event.timestamp, row.arrived_us) for row in rows],
        "payload": [_text(event.payload).decode() for event in events],
        "meta": [_text(event.meta).decode() for event in events],
        "ingested_at": [row.arrived_us // 1000 for row in rows],
        "partition": [row.partition for row in rows],
        "seq": [row.sequence for row in rows],
        "position": _positions(rows),
    }


def _positions(rows: Sequence[RawRow]) -> list[int]:
    """The place of each event among those of its message, of which a block holds all."""
    places: list[int] = []
    for row, before in zip(rows, (None, *rows), strict=False):
        same = before is not None and before.sequence == row.sequence
        places.append(places[-1] + 1 if same else 0)
    return places


def _clean(events: Sequence[CleanEvent], arrivals: Mapping[str, int], otherwise: int) -> Columns:
    return {
        "event_id": [event_uuid(event.event_id) for event in events],
        "source": [event.source for event in events],
        "entity": [event.entity for event in events],
        "timestamp": [min(max(event.time_us, _EARLIEST_US), _LATEST_US) for event in events],
        "fields": [event.fields for event in events],
        "ingested_at": [arrivals.get(event.event_id, otherwise) // 1000 for event in events],
    }


def _patterns(patterns: Sequence[Pattern], arrivals: Mapping[str, int], otherwise: int, important: float) -> Columns:
    details = [pattern.details for pattern in patterns]
    shares = [pattern.contributors for pattern in patterns]
    return {
        "pattern_id": [pattern.pattern_id for pattern in patterns],
        "type": [pattern.type for pattern in patterns],
        "timestamp": [_moment(pattern.timestamp, otherwise) for pattern in patterns],
        "source": [pattern.source for pattern in patterns],
        "entity": [pattern.entity for pattern in patterns],
        "detector": [pattern.detector for pattern in patterns],
        "event_id": [pattern.event_id for pattern in patterns],
        "confidence": [detail.confidence for detail in details],
        "line": [pattern.line for pattern in patterns],
        "summary": [pattern.summary for pattern in patterns],
        "kind": [pattern.kind for pattern in patterns],
        "began": [_moment(pattern.began or pattern.timestamp, otherwise) for pattern in patterns],
        "prev_state": [_text(detail.prev_state).decode() for detail in details],
        "new_state": [_text(detail.new_state).decode() for detail in details],
        "metrics": [detail.metrics for detail in details],
        "contributors.field": [[one.field for one in share] for share in shares],
        "contributors.score": [[one.score for one in share] for share in shares],
        "contributors.before": [[one.before for one in share] for share in shares],
        "contributors.after": [[one.after for one in share] for share in shares],
        "contributors.origin": [[one.origin for one in share] for share in shares],
        "important": [detail.confidence >= important for detail in details],
        "version": [0] * len(patterns),
        "ingested_at": [arrivals.get(pattern.event_id, otherwise) // 1000 for pattern in patterns],
    }


def _feedback(feedback: Sequence[Feedback], arrived: int) -> Columns:
    return {
        "feedback_id": [one.feedback_id for one in feedback],
        "pattern_id": [one.pattern_id for one in feedback],
        "verdict": [one.verdict for one in feedback],
        "note": [one.note for one in feedback],
        "user": [one.user for one in feedback],
        "source": [one.source for one in feedback],
        "detector": [one.detector for one in feedback],
        "undoes": [one.undoes for one in feedback],
        "scope": ["" if one.scope is None else _text(one.scope).decode() for one in feedback],
        "until": [_moment(one.until, 0) for one in feedback],
        "timestamp": [_moment(one.timestamp, arrived) for one in feedback],
        "ingested_at": [arrived] * len(feedback),
        "position": list(range(len(feedback))),
    }


def _dead(dead: Sequence[DeadLetter], arrived: int) -> Columns:
    return {
        "dead_id": [one.dead_id for one in dead],
        "source": [one.source for one in dead],
        "stage": [one.stage for one in dead],
        "reason": [one.reason.encode() for one in dead],
        "original": [one.original for one in dead],
        "timestamp": [_moment(one.timestamp, arrived) for one in dead],
        "ingested_at": [arrived // 1000] * len(dead),
    }


def _moment(text: str, otherwise: int) -> int:
    """UTC microseconds of an ISO 8601 text; ``otherwise`` where it is none or outside ClickHouse's years, 1900 to 2299."""
    try:
        time_us = us_from_iso(text)
    except ValueError:
        return otherwise
    return time_us if _EARLIEST_US <= time_us <= _LATEST_US else otherwise
