"""Sets up the streams and buckets the engine stands on."""

from __future__ import annotations

from nats.js import JetStreamContext
from nats.js.api import (
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    SubjectTransform,
)
from nats.js.errors import NotFoundError

from qraft.bus import subjects
from qraft.bus.client import Bus, translated
from qraft.bus.errors import BusRejected

DUPLICATE_SECONDS = 300.0
"""How long a repeated publish is recognised by its id."""
PATTERN_BYTES = 256 * 1024**2
PATTERN_SECONDS = 7 * 86_400.0


async def ensure_streams(bus: Bus, *, partitions: int, max_bytes: int) -> None:
    """Makes the streams and buckets, or brings those that exist up to these settings.

    Events stand in a work queue: what every partition has acknowledged is gone, so that ``max_bytes`` bounds what waits and
    nothing else. There is no age limit, since that would drop what was never processed.

    Raises:
        BusUnavailable: NATS does not answer.
        BusRejected: the stream exists with another number of partitions.
    """
    events = StreamConfig(
        name=subjects.EVENTS_STREAM,
        description="events, verdicts and dead letters, by partition, until they are stored",
        subjects=[f"qraft.{kind}.*" for kind in subjects.INBOUND],
        subject_transform=SubjectTransform(
            src="qraft.*.*", dest=f"qraft.lane.{{{{partition({partitions},2)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}"
        ),
        retention=RetentionPolicy.WORK_QUEUE,
        discard=DiscardPolicy.NEW,
        max_bytes=max_bytes,
        storage=StorageType.FILE,
        duplicate_window=DUPLICATE_SECONDS,
        allow_direct=True,
    )
    patterns = StreamConfig(
        name=subjects.PATTERNS_STREAM,
        description="recent patterns",
        subjects=[subjects.pattern_subject("*", "*")],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_bytes=PATTERN_BYTES,
        max_age=PATTERN_SECONDS,
        storage=StorageType.FILE,
        duplicate_window=DUPLICATE_SECONDS,
        allow_direct=True,
    )
    async with translated():
        jetstream = bus.jetstream()
        await _ensure(jetstream, events)
        await _ensure(jetstream, patterns)
        await _ensure_buckets(jetstream)


async def _ensure(jetstream: JetStreamContext, wanted: StreamConfig) -> None:
    try:
        info = await jetstream.stream_info(str(wanted.name))
    except NotFoundError:
        await jetstream.add_stream(wanted)
        return
    has, needs = info.config.subject_transform, wanted.subject_transform
    if needs is not None and (has is None or has.dest != needs.dest):
        raise BusRejected(
            f"stream {wanted.name} exists with another number of partitions; set engine.partitions back to what it was, "
            f"or delete the stream once it is empty"
        )
    await jetstream.update_stream(wanted)


async def _ensure_buckets(jetstream: JetStreamContext) -> None:
    try:
        await jetstream.object_store(subjects.SNAPSHOTS_BUCKET)
    except NotFoundError:
        await jetstream.create_object_store(subjects.SNAPSHOTS_BUCKET)
    try:
        await jetstream.key_value(subjects.STATE_BUCKET)
    except NotFoundError:
        await jetstream.create_key_value(config=KeyValueConfig(bucket=subjects.STATE_BUCKET, history=1))
