"""Files of events as they travel, one a line (the wire contract), such as `qraft archive restore` writes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from qraft.model import Event

_KEYS: Final = frozenset({"event_id", "source", "timestamp", "payload"})
TIMESTAMP: Final = "timestamp"
"""What holds an event's time where no column of its payload is named."""


def is_event(record: dict[str, Any]) -> bool:
    """Whether a record is an event, not a row of values."""
    return (
        record.keys() >= _KEYS
        and isinstance(record["payload"], dict)
        and isinstance(record["event_id"], str)
        and isinstance(record[TIMESTAMP], str)
    )


def unwrapped(row: Event) -> Event:
    """The event that a row of a file is, under the row's source and with the row's place in the file."""
    record = row.payload
    if not is_event(record):
        return row
    return msgspec.structs.replace(
        row,
        event_id=record["event_id"],
        type=str(record.get("type", row.type)),
        timestamp=record[TIMESTAMP],
        payload=record["payload"],
    )
