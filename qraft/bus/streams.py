"""Sets up the streams and buckets the engine stands on."""

from __future__ import annotations

from nats.js import JetStreamContext
from nats.js.api import (
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
    SubjectTransform,
)
from nats.js.errors import NotFoundError

from qraft.bus import subjects
from qraft.bus.client import Bus, translated
from qraft.bus.errors import BusRejected
from qraft.model import us_from_datetime

DUPLICATE_SECONDS = 300.0
"""How long a repeated publish is recognised by its id."""
PATTERN_BYTES = 256 * 1024**2
PATTERN_SECONDS = 7 * 86_400.0
IDENTITY = "qraft_identity"
"""Key in the metadata of a restored stream."""


async def ensure_streams(bus: Bus, *, partitions: int, max_bytes: int, replicas: int = 1) -> None:
    """Makes the streams and buckets, or brings those that exist up to these settings.

    Events stand in a work queue: what every partition has acknowledged is gone, so that ``max_bytes`` bounds what waits and
    nothing else. There is no age limit, since that would drop what was never processed.

    Args:
        bus: a connection.
        partitions: over how many lanes the sources are spread.
        max_bytes: size of the event stream.
        replicas: on how many servers of a cluster each of the streams stands.

    Raises:
        BusUnavailable: NATS does not answer.
        BusRejected: the cluster has fewer servers than replicas, the stream exists with another number of partitions, or a
            restore is under way.
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
        num_replicas=replicas,
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
        num_replicas=replicas,
    )
    async with translated():
        jetstream = bus.jetstream()
        await _refuse_half_restored(jetstream)
        await _ensure(jetstream, events)
        await _ensure(jetstream, patterns)
        await _ensure_buckets(jetstream, replicas)


def identity(info: StreamInfo) -> str:
    """What tells a stream from another of its name: when it was made; in a restored one, when the copied one was."""
    assert info.created is not None, "the server says when the stream was made"
    return (info.config.metadata or {}).get(IDENTITY) or f"{us_from_datetime(info.created):x}"


async def _refuse_half_restored(jetstream: JetStreamContext) -> None:
    try:
        await jetstream.stream_info(subjects.RESTORE_STREAM)
    except NotFoundError:
        return
    raise BusRejected(
        "a restore of this instance is under way, or broke off; when none runs, do it again: `qraft restore PATH --replace`"
    )


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
    await jetstream.update_stream(wanted.evolve(metadata=info.config.metadata))


async def _ensure_buckets(jetstream: JetStreamContext, replicas: int) -> None:
    try:
        await jetstream.object_store(subjects.SNAPSHOTS_BUCKET)
    except NotFoundError:
        await jetstream.create_object_store(subjects.SNAPSHOTS_BUCKET, replicas=replicas)
    try:
        await jetstream.key_value(subjects.STATE_BUCKET)
    except NotFoundError:
        await jetstream.create_key_value(config=KeyValueConfig(bucket=subjects.STATE_BUCKET, history=1, replicas=replicas))
    for stream in (f"OBJ_{subjects.SNAPSHOTS_BUCKET}", f"KV_{subjects.STATE_BUCKET}"):
        config = (await jetstream.stream_info(stream)).config
        if config.num_replicas != replicas:
            await jetstream.update_stream(config.evolve(num_replicas=replicas))
