"""What was stored, asked for by those who look back: a source's events as they came, patterns by the begin of their id."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from qraft.model import Event, iso_from_us
from qraft.store.client import Client

_MOST_EVENTS: Final = 1_000_000


class Recorded:
    """Queries over one database. Every method may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database

    async def events(self, source: str, limit: int) -> list[Event]:
        """A source's last events as they were published, in the order in which they came.

        Events of one message that were stored before their places in it were are in order of time among themselves.

        Args:
            source: its name.
            limit: how many at most, up to a million.
        """
        rows = await self._client.query(
            f"""
            SELECT toString(event_id), toString(type), toUnixTimestamp64Micro(timestamp), payload, meta
            FROM {self._database}.raw_events FINAL
            WHERE source = {{source:String}}
            ORDER BY ingested_at DESC, seq DESC, position DESC, timestamp DESC, event_id DESC
            LIMIT {{limit:UInt32}}""",
            {"source": source, "limit": min(max(limit, 0), _MOST_EVENTS)},
        )
        return [
            Event(
                event_id=name,
                source=source,
                type=kind,
                timestamp=iso_from_us(time_us),
                payload=_object(payload),
                meta=_object(meta),
            )
            for name, kind, time_us, payload, meta in reversed(rows)
        ]

    async def pattern_ids(self, prefix: str, limit: int) -> list[str]:
        """The ids of patterns that begin so, at most ``limit``, in order."""
        rows = await self._client.query(
            f"""
            SELECT DISTINCT pattern_id FROM {self._database}.pattern_events
            WHERE startsWith(pattern_id, {{prefix:String}}) ORDER BY pattern_id LIMIT {{limit:UInt32}}""",
            {"prefix": prefix, "limit": limit},
        )
        return [str(name) for (name,) in rows]


def _object(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])
