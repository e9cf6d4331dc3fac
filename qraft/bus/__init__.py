"""NATS: subjects, streams, publishing, consuming, requests. The only package that imports nats."""

from qraft.bus.client import Bus
from qraft.bus.control import serve_control
from qraft.bus.errors import BusError, BusRejected, BusUnavailable
from qraft.bus.publisher import Publisher, oversized_letter
from qraft.bus.reader import Delivery, LaneReader
from qraft.bus.recovery import Barrier, Recovery, Snapshot
from qraft.bus.streams import ensure_streams
from qraft.bus.subjects import partition_of

__all__ = [
    "Barrier",
    "Bus",
    "BusError",
    "BusRejected",
    "BusUnavailable",
    "Delivery",
    "LaneReader",
    "Publisher",
    "Recovery",
    "Snapshot",
    "ensure_streams",
    "oversized_letter",
    "partition_of",
    "serve_control",
]
