"""Adapters: what brings events from files, this machine, WebSockets, HTTP and NATS."""

from qraft.ingest.base import Adapter, Clock, IngestError, NotConnected, Sink, SourceError, backoff, wall_clock
from qraft.ingest.registry import is_read, make_adapter

__all__ = [
    "Adapter",
    "Clock",
    "IngestError",
    "NotConnected",
    "Sink",
    "SourceError",
    "backoff",
    "is_read",
    "make_adapter",
    "wall_clock",
]
