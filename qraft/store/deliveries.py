"""The record of what alerting tried to deliver: each attempt, kept in the table ``alert_deliveries``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qraft.store.client import Client

_TYPES: Final[Mapping[str, str]] = {
    "notification_id": "String",
    "target": "LowCardinality(String)",
    "attempt": "UInt32",
    "rule": "LowCardinality(String)",
    "alert_id": "String",
    "transition": "LowCardinality(String)",
    "severity": "LowCardinality(String)",
    "outcome": "LowCardinality(String)",
    "status": "UInt16",
    "error": "String",
    "pattern_id": "String",
    "created_at": "DateTime64(6, 'UTC')",
    "attempted_at": "DateTime64(6, 'UTC')",
    "ingested_at": "DateTime64(3, 'UTC')",
}
_MAX_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """One attempt. Times are UTC microseconds.

    Attributes:
        notification_id: the message's; the same in all of its attempts, at every target.
        attempt: counts from 1; 0 of a message that was given up unsent.
        outcome: ``delivered``, ``failed`` (it is tried again), ``refused`` or ``given up``.
        status: HTTP status, 0 where there is none.
        created_us: when the message was made.
    """

    notification_id: str
    target: str
    attempt: int
    rule: str
    alert_id: str
    transition: str
    severity: str
    outcome: str
    status: int
    error: str
    pattern_id: str
    created_us: int
    attempted_us: int


class Deliveries:
    """The table of one database. Every method may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._table = f"{database}.alert_deliveries"

    async def write(self, attempts: Sequence[StoredDelivery]) -> None:
        """Stores attempts; the same attempt written again adds nothing."""
        if not attempts:
            return
        columns = {
            **{name: [getattr(one, name) for one in attempts] for name in _TYPES if not name.endswith("_at")},
            "created_at": [one.created_us for one in attempts],
            "attempted_at": [one.attempted_us for one in attempts],
            "ingested_at": [one.attempted_us // 1000 for one in attempts],
        }
        ids = ":".join(f"{one.notification_id}/{one.target}/{one.attempt}" for one in attempts)
        await self._client.insert(self._table, columns, _TYPES, f"alerts:{hashlib.sha256(ids.encode()).hexdigest()}")

    async def recent(self, limit: int = 50, *, target: str = "", since_us: int = 0) -> list[StoredDelivery]:
        """The latest attempts, the newest first, at most ``limit`` (up to 10,000)."""
        names = [name for name in _TYPES if not name.endswith("_at")]
        rows = await self._client.query(
            f"""
            SELECT {", ".join(names)}, toUnixTimestamp64Micro(created_at), toUnixTimestamp64Micro(attempted_at)
            FROM {self._table} FINAL
            WHERE (target = {{target:String}} OR {{target:String}} = '')
                AND attempted_at >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC')
            ORDER BY attempted_at DESC, notification_id DESC, target DESC LIMIT {{limit:UInt32}}""",
            {"target": target, "since": since_us, "limit": min(max(limit, 0), _MAX_LIMIT)},
        )
        return [StoredDelivery(*row) for row in rows]
