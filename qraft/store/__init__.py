"""ClickHouse: schema, writer, history queries, lifecycle of rows."""

from qraft.store.episodes import EpisodeHistory, EpisodeQuery, StoredEpisode
from qraft.store.errors import StoreError, StoreRejected, StoreUnavailable
from qraft.store.history import History, PatternQuery, SourceTotals, StoredPattern
from qraft.store.labels import LabelHistory, LabelQuery, StoredLabel
from qraft.store.likeness import Similar
from qraft.store.past import FieldSeen, PastHistory, PastSource, RawEvent, SeriesPoint
from qraft.store.rows import Block, RawRow
from qraft.store.store import Store

__all__ = [
    "Block",
    "EpisodeHistory",
    "EpisodeQuery",
    "FieldSeen",
    "History",
    "LabelHistory",
    "LabelQuery",
    "PastHistory",
    "PastSource",
    "PatternQuery",
    "RawEvent",
    "RawRow",
    "SeriesPoint",
    "Similar",
    "SourceTotals",
    "Store",
    "StoreError",
    "StoreRejected",
    "StoreUnavailable",
    "StoredEpisode",
    "StoredLabel",
    "StoredPattern",
]
