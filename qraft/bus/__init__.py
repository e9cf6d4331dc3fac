"""NATS: subjects, streams, publishing, consuming, requests. The only package that imports nats."""

from qraft.bus import lean  # noqa: F401 - before anything of nats
from qraft.bus.client import Bus
from qraft.bus.control import serve_control
from qraft.bus.errors import BusError, BusRejected, BusUnavailable
from qraft.bus.levels import StreamLevel, stream_levels
from qraft.bus.offer import NotAllStored, offer_events
from qraft.bus.pattern_stream import Gap, PatternStream, Published, StreamPlace
from qraft.bus.publisher import Publisher, oversized_letter
from qraft.bus.reader import Delivery, LaneReader
from qraft.bus.recovery import Barrier, Recovery, Snapshot
from qraft.bus.streams import ensure_streams
from qraft.bus.subjects import partition_of
from qraft.bus.taps import (
    Pacer,
    TapRequest,
    TapRow,
    TapSample,
    TapStage,
    ask_tap,
    publish_sample,
    watch_published,
    watch_tap,
)

__all__ = [
    "Barrier",
    "Bus",
    "BusError",
    "BusRejected",
    "BusUnavailable",
    "Delivery",
    "Gap",
    "LaneReader",
    "NotAllStored",
    "Pacer",
    "PatternStream",
    "Published",
    "Publisher",
    "Recovery",
    "Snapshot",
    "StreamLevel",
    "StreamPlace",
    "TapRequest",
    "TapRow",
    "TapSample",
    "TapStage",
    "ask_tap",
    "ensure_streams",
    "offer_events",
    "oversized_letter",
    "partition_of",
    "publish_sample",
    "serve_control",
    "stream_levels",
    "watch_published",
    "watch_tap",
]
