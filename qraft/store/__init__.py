"""ClickHouse: schema, writer, history queries, lifecycle of rows."""

from qraft.store.errors import StoreError, StoreRejected, StoreUnavailable
from qraft.store.history import History, PatternQuery, SourceTotals, StoredPattern
from qraft.store.rows import Block, RawRow
from qraft.store.store import Store

__all__ = [
    "Block",
    "History",
    "PatternQuery",
    "RawRow",
    "SourceTotals",
    "Store",
    "StoreError",
    "StoreRejected",
    "StoreUnavailable",
    "StoredPattern",
]
