"""ClickHouse: schema, writer, history queries, lifecycle of rows."""

from qraft.store.deliveries import Deliveries, StoredDelivery
from qraft.store.episodes import EpisodeHistory, EpisodeQuery, StoredEpisode
from qraft.store.errors import StoreError, StoreRejected, StoreUnavailable
from qraft.store.history import History, SourceTotals, StoredPattern
from qraft.store.labels import LabelHistory, LabelQuery, StoredLabel
from qraft.store.likeness import Similar
from qraft.store.listing import EventListing, EventQuery, Place, place_of
from qraft.store.past import FieldSeen, PastHistory, PastSource, RawEvent, SeriesPoint
from qraft.store.pattern_query import PatternQuery
from qraft.store.rows import Block, RawRow
from qraft.store.store import Store

__all__ = [
    "Block",
    "Deliveries",
    "EpisodeHistory",
    "EpisodeQuery",
    "EventListing",
    "EventQuery",
    "FieldSeen",
    "History",
    "LabelHistory",
    "LabelQuery",
    "PastHistory",
    "PastSource",
    "PatternQuery",
    "Place",
    "RawEvent",
    "RawRow",
    "SeriesPoint",
    "Similar",
    "SourceTotals",
    "Store",
    "StoreError",
    "StoreRejected",
    "StoreUnavailable",
    "StoredDelivery",
    "StoredEpisode",
    "StoredLabel",
    "StoredPattern",
    "place_of",
]
