"""Every metric of an engine: name, kind, labels and meaning. The collector, docs/metrics.md and the tests follow it.

Names keep Prometheus' rules (prometheus.io/docs/practices/naming): base units, ``_total`` for what only grows. Label values
are bounded: sources by `qraft.engine.meters.SOURCES_SHOWN`, the rest by the program; never an entity, an id or a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

OTHER: Final = "_other"
"""The label value that stands for all that have none of their own: sources beyond those shown, unknown detectors."""

DELAYS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of durations, seconds."""
ROWS: Final = (1.0, 10.0, 100.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 25_000.0, 50_000.0, 100_000.0, 500_000.0)
CONFIDENCES: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric.

    Attributes:
        name: as it is queried, with ``_total`` for counters and without ``_bucket`` for histograms.
        kind: counter, gauge or histogram.
        text: what it says, one plain sentence or two; the HELP line.
        labels: names of its labels.
        buckets: upper bounds of a histogram's buckets, ascending, without +Inf.
        starts: values of a counter's label that are there from the start, at 0: Prometheus takes no increase from what
            appears with its first count.
    """

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    starts: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name without ``_total``, as OpenMetrics names families."""
        return self.name.removesuffix("_total")

    @property
    def unit(self) -> str:
        """The base unit the name ends with: seconds, bytes, ratio, or nothing."""
        last = self.family.rpartition("_")[2]
        return last if last in ("seconds", "bytes", "ratio") else ""


def _counter(name: str, text: str, *labels: str, starts: tuple[str, ...] = ()) -> Spec:
    return Spec(f"qraft_{name}_total", "counter", text, labels, starts=starts)


def _gauge(name: str, text: str, *labels: str) -> Spec:
    return Spec(f"qraft_{name}", "gauge", text, labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Spec:
    return Spec(f"qraft_{name}", "histogram", text, labels, buckets)


SECTIONS: Final[dict[str, tuple[Spec, ...]]] = {
    "engine": (
        _gauge("build_info", "Always 1; the labels say which program runs.", "version", "engine"),
        _gauge("engine_start_time_seconds", "When the engine started, seconds since 1970."),
        _gauge("engine_state", "1 for the state the engine is in: starting, running, waiting or stopping; else 0.", "state"),
        _gauge("degradation_level", "How much is left out to keep up: 0 nothing, 1 costly detectors, 2 all detection."),
        _gauge("lag_seconds", "How long the oldest event not yet processed has stood in the stream."),
        _gauge("pending_messages", "Messages in the event stream that are not yet processed."),
        _gauge("config_valid", "1 while the configuration file is in force, 0 after an edit of it was refused."),
        _counter("config_reloads", "Edits of the configuration file, by result.", "result", starts=("applied", "refused")),
        _gauge(
            "config_last_reload_success_timestamp_seconds", "When a configuration was last put in force, seconds since 1970."
        ),
        _counter("notices", "Notices to operators, by kind.", "kind"),
        _counter("pipeline_failures", "Times the pipeline failed and its detectors started anew; a fault of the program."),
    ),
    "stages": (
        _counter("stage_received", "Items a stage took in: events, or patterns in publish.", "stage"),
        _counter("stage_sent", "Items a stage passed on: events, or patterns from detect and publish.", "stage"),
        _counter("stage_dropped", "Events a stage did not pass on, by reason.", "stage", "reason"),
        _counter("stage_late", "Events older than the watermark allows; stored, not judged.", "stage"),
        _counter("stage_seconds", "Seconds a stage was at work.", "stage"),
        _gauge("stage_depth", "Items that wait in a stage.", "stage"),
        _gauge("stage_lag_seconds", "How long the oldest item in a stage has waited.", "stage"),
        _histogram("event_delay_seconds", "From an event's arrival in the stream until it was judged.", DELAYS),
    ),
    "sources": (
        _gauge("source_state", "1 for the state a source is in, 0 for the other states.", "source", "state"),
        _counter("source_read", "Events read from a source and stored on the bus.", "source"),
        _counter("source_processed", "Events of a source that went through the pipeline.", "source"),
        _counter("source_late", "Events of a source that came too late to be judged.", "source"),
        _counter("source_duplicates", "Events of a source that were seen before.", "source"),
        _counter("source_filtered", "Events of a source that a filter of its steps left out.", "source"),
        _counter(
            "source_dropped",
            "Events of a source given up since the engine was behind, by reason.",
            "source",
            "reason",
        ),
        _counter("source_missing", "Events that never came, by the gaps in the feed's own sequence.", "source"),
        _counter("source_dead_letters", "Input of a source that could not be used, by reason.", "source", "reason"),
        _counter("source_dropped_values", "Values left out: not finite, out of range or beyond a bound.", "source"),
        _gauge("source_lag_seconds", "From arrival in the stream until judged, for the last event.", "source"),
        _gauge("source_last_arrival_timestamp_seconds", "When the last event of a source reached the stream.", "source"),
        _gauge("source_last_event_timestamp_seconds", "Event time of the last row of a source.", "source"),
        _gauge("source_entities", "Entities of a source that are judged.", "source"),
        _counter("source_entities_evicted", "Entities whose detectors gave way to others (detect.max_entities).", "source"),
        _counter("source_features_evicted", "Entities whose past in a features step gave way to others.", "source"),
        _counter("source_features_shortened", "Values that left a rolling duration early: it held too many.", "source"),
    ),
    "detection": (
        _counter("patterns", "Patterns found.", "source", "type", "detector"),
        _histogram("pattern_confidence", "Confidence of the patterns found.", CONFIDENCES, "detector"),
        _histogram(
            "pattern_delay_seconds", "From the arrival of the event behind a pattern until it was published.", DELAYS
        ),
        _counter("verdicts", "What operators said on patterns; an undo counts as itself.", "source", "detector", "verdict"),
        _gauge(
            "alert_line",
            "Confidence from which a detector raises a pattern now.",
            "source",
            "detector",
        ),
        _gauge("source_warm_ratio", "Share of the warm-up that is done, over the detectors, at the last event.", "source"),
        _gauge("source_score", "Highest score the detectors gave the last event of a source, 0 to 1.", "source"),
    ),
    "bus": (
        _gauge("nats_connected", "1 while NATS can be reached."),
        _counter("nats_reconnects", "Times the connection to NATS was lost and came back."),
        _gauge("nats_stream_messages", "Messages in a stream.", "stream"),
        _gauge("nats_stream_bytes", "Bytes a stream holds.", "stream"),
        _gauge("nats_stream_limit_bytes", "Bytes a stream may hold; sources wait when the stream events is full.", "stream"),
        _gauge("snapshot_bytes", "Size of the newest snapshots of all partitions together."),
    ),
    "store": (
        _gauge("clickhouse_connected", "1 while ClickHouse can be reached."),
        _histogram("barrier_seconds", "From the cut of a block until it was stored, snapshotted and acknowledged.", DELAYS),
        _histogram("barrier_rows", "Events of a block.", ROWS),
        _histogram("clickhouse_insert_seconds", "Time to store one block in ClickHouse, successful tries only.", DELAYS),
        _counter("clickhouse_rows", "Rows stored in ClickHouse, by table.", "table"),
        _counter(
            "persist_retries",
            "Tries to store or note something that failed and were repeated, by server.",
            "server",
            starts=("ClickHouse", "NATS"),
        ),
        _gauge("clickhouse_disk_free_bytes", "Free space of a disk of ClickHouse.", "disk"),
        _gauge("clickhouse_disk_size_bytes", "Size of a disk of ClickHouse.", "disk"),
        _gauge("clickhouse_table_bytes", "Compressed size of a table, as stored.", "table"),
    ),
    "archive": (
        _gauge("archive_last_success_timestamp_seconds", "When the archive last held all that was due, seconds since 1970."),
        _gauge("archive_pending_partitions", "Finished days that are not in the archive yet."),
        _counter("archive_rows", "Rows written into the archive."),
        _counter("archive_failures", "Times the archive could not be written or read; nothing is deleted meanwhile."),
    ),
    "alerts": (
        _gauge("alerts_open", "Alerts that were told and go on, by rule.", "rule"),
        _gauge("alerts_held", "Alerts of which something is held back by quiet hours or a rate limit, by rule.", "rule"),
        _counter("alerts_messages", "Messages made, by rule and transition.", "rule", "transition"),
        _counter("alerts_deliveries", "Attempts to deliver a message, by target and outcome.", "target", "outcome"),
        _gauge("alerts_waiting", "Messages that wait for a target.", "target"),
        _histogram("alerts_delivery_seconds", "From when a message was made until its target took it.", DELAYS),
    ),
}
"""The metrics by section."""

CATALOGUE: Final[tuple[Spec, ...]] = tuple(spec for section in SECTIONS.values() for spec in section)
"""Every metric, in the order in which they are shown."""

BY_NAME: Final[dict[str, Spec]] = {spec.name: spec for spec in CATALOGUE}
