"""Adapters: what brings events from files, this machine and WebSockets."""

from qraft.ingest.base import Adapter, Clock, IngestError, NotConnected, Sink, SourceError, backoff, wall_clock
from qraft.ingest.registry import make_adapter

__all__ = [
    "Adapter",
    "Clock",
    "IngestError",
    "NotConnected",
    "Sink",
    "SourceError",
    "backoff",
    "make_adapter",
    "wall_clock",
]
