"""A typed client of Qraft's REST server: `Client` for ordinary code, `AsyncClient` for asyncio.

::

    with Client("https://qraft.example.org:8080", token=os.environ["QRAFT_TOKEN"]) as qraft:
        for pattern in qraft.patterns(Wish(min_confidence=0.9), limit=10):
            print(pattern.timestamp, pattern.summary)
"""

from qraft.client.aio import AsyncClient
from qraft.client.errors import ClientError, Missed, Refused, Unreachable
from qraft.client.sync import Client
from qraft.client.values import (
    FoundDetails,
    FoundEvent,
    FoundPattern,
    Ingested,
    PatternDetail,
    Rejected,
    SourceState,
)
from qraft.client.wishes import Wish

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "FoundDetails",
    "FoundEvent",
    "FoundPattern",
    "Ingested",
    "Missed",
    "PatternDetail",
    "Refused",
    "Rejected",
    "SourceState",
    "Unreachable",
    "Wish",
]
