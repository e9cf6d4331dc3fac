"""Names on the bus: subjects, streams, buckets, and which partition a source belongs to."""

from __future__ import annotations

from typing import Final

EVENTS_STREAM: Final = "QRAFT_EVENTS"
"""Work queue of events, verdicts and ingest's dead letters; its size limit is the back-pressure."""
PATTERNS_STREAM: Final = "QRAFT_PATTERNS"
"""Recent patterns, oldest given up first; repeats collapse by pattern id."""
SNAPSHOTS_BUCKET: Final = "QRAFT_SNAPSHOTS"
STATE_BUCKET: Final = "QRAFT_STATE"
RESTORE_STREAM: Final = "QRAFT_RESTORE"
"""It stands while a restore is under way, and nothing works on this bus meanwhile."""
RESTORE_SUBJECT: Final = "qraft.restore"

EVENTS: Final = "events"
FEEDBACK: Final = "feedback"
DEAD: Final = "dead"
INBOUND: Final = (EVENTS, FEEDBACK, DEAD)
CONTROL_PREFIX: Final = "qraft.ctl"

_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193


def events_subject(source: str) -> str:
    """Where events of ``source`` are published."""
    return f"qraft.{EVENTS}.{source}"


def feedback_subject(source: str) -> str:
    """Where verdicts on patterns of ``source`` are published."""
    return f"qraft.{FEEDBACK}.{source}"


def dead_subject(source: str) -> str:
    """Where input of ``source`` that could not be used is published."""
    return f"qraft.{DEAD}.{source}"


def pattern_subject(kind: str, source: str) -> str:
    """Where patterns of one type found in ``source`` are published."""
    return f"qraft.patterns.{kind}.{source}"


def stats_subject(engine: str) -> str:
    """Where an engine says how it is, once a second."""
    return f"qraft.stats.{engine}"


def tap_subject(stage: str, source: str) -> str:
    """Where an engine shows events of ``source`` at a stage, while somebody asks for them."""
    return f"qraft.tap.{stage}.{source}"


def partition_of(source: str, partitions: int) -> int:
    """The partition of a source: FNV-1a (32 bit) of its name modulo ``partitions``.

    The same as nats-server's ``partition(n, token)`` subject mapping, which routes the messages.
    """
    value = _FNV_OFFSET
    for byte in source.encode():
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return value % partitions


def lane_subject(partition: int, kind: str = "*", source: str = "*") -> str:
    """Where the event stream keeps what was published for one partition."""
    return f"qraft.lane.{partition}.{kind}.{source}"


def lane_name(partition: int) -> str:
    """Name of a partition's consumer and of its snapshot."""
    return f"lane-{partition}"
