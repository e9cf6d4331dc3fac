"""Counts what pipelines did, a batch at a time: into the meters behind the statistics, and into the tally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from qraft.config.detect import PLUGINS
from qraft.engine.causes import CAUSES, cause_of
from qraft.engine.meters import DROP_REASONS, Meters
from qraft.metrics import OTHER, Tally
from qraft.model import SELF, DeadLetter, Event, Feedback, Pattern, PatternType
from qraft.pipeline import Result
from qraft.store import Block

DETECTOR_TYPES: Final[Mapping[str, PatternType]] = {
    "drift": "drift",
    "adwin": "drift",
    "ddm": "drift",
    "novelty": "anomaly",
    "forest": "anomaly",
    "silence": "anomaly",
    "flat": "anomaly",
    "clusters": "cluster_change",
    "peers": "cluster_change",
    **{name: loaded.part.type for name, loaded in PLUGINS.items()},
}
"""The type of the patterns of each detector."""

_VERDICTS: Final = ("confirmed", "false_positive", "expected", "new_normal")

Arrived = tuple[Event, int]
"""An event, and when it reached the stream, UTC microseconds."""


class Memory(NamedTuple):
    """How much a pipeline remembers of a source, what had to give way to others, and the alert line of each detector."""

    entities: int
    evicted: int
    features_evicted: int
    features_shortened: int
    lines: Mapping[str, float]


def count_step(meters: Meters, events: Sequence[Arrived], result: Result) -> None:
    """Counts one step of a pipeline."""
    now_us = meters.now_us()
    arrivals: dict[str, int] = {}
    for (event, arrived_us), scores in zip(events, result.scores, strict=True):
        source = meters.source(event.source)
        source.processed += 1
        source.lag = max(0.0, (now_us - arrived_us) / 1e6)
        arrivals[event.source] = arrived_us
        if scores is not None:
            source.score, source.warm = max(scores.anomaly, scores.abnormal, scores.change), scores.warm
    for clean in result.clean:
        meters.source(clean.source).last_us = clean.time_us
    for late in result.late:
        meters.source(late.source).late += 1
    for repeat in result.duplicates:
        meters.source(repeat.source).duplicates += 1
    for letter in result.dead:
        count_dead(meters, letter)
    for pattern in result.patterns:
        _count_pattern(meters, pattern)
    for feedback in result.feedback:
        _count_verdict(meters, feedback)
    _count_sources(meters, arrivals, result)
    _count_delays(meters, events, now_us)
    stage = meters.preprocess
    stage.received += len(events)
    stage.sent += len(result.clean)
    stage.late += len(result.late)
    for reason, dropped in (
        ("late", result.late),
        ("duplicate", result.duplicates),
        ("dead", result.dead),
        ("filtered", result.filtered),
    ):
        stage.dropped[reason] += len(dropped)
    stage.dropped["archived"] += result.archived
    meters.detect.received += len(result.clean)
    meters.detect.sent += len(result.patterns)


def count_dead(meters: Meters, letter: DeadLetter) -> None:
    """Counts a dead letter by its source and cause."""
    meters.source(letter.source).dead += 1
    meters.tally.count("qraft_source_dead_letters_total", letter.source, cause_of(letter))


def count_published(meters: Meters, patterns: Sequence[Pattern], events: Sequence[Arrived], last_us: int) -> None:
    """Counts patterns that the bus has just taken, and how long after their events that is.

    Args:
        meters: of the engine.
        patterns: what was published.
        events: those of the step.
        last_us: when the newest message of the step arrived: for patterns that no event of the step caused, as of a silence.
    """
    meters.publish.sent += len(patterns)
    now_us, arrivals = meters.now_us(), {event.event_id: arrived_us for event, arrived_us in events}
    for pattern in patterns:
        delay = (now_us - arrivals.get(pattern.event_id, last_us)) / 1e6
        meters.tally.observe("qraft_pattern_delay_seconds", max(0.0, delay))


def count_stored(tally: Tally, block: Block) -> None:
    """Counts the rows of a block that ClickHouse has taken, by table."""
    for table, rows in (
        ("raw_events", block.raw),
        ("clean_events", block.clean),
        ("pattern_events", block.patterns),
        ("pattern_feedback", block.feedback),
        ("dead_letters", block.dead),
    ):
        tally.count("qraft_clickhouse_rows_total", table, by=len(rows))


def show_memory(meters: Meters, name: str, memory: Memory) -> None:
    """Brings what is shown of a source's memory up to date; seldom is anything of it new."""
    meter = meters.source(name)
    if meter.memory == memory:
        return
    meter.memory, meter.entities = memory, memory.entities
    tally = meters.tally
    tally.set("qraft_source_entities_evicted_total", name, value=memory.evicted)
    tally.set("qraft_source_features_evicted_total", name, value=memory.features_evicted)
    tally.set("qraft_source_features_shortened_total", name, value=memory.features_shortened)
    for detector, line in memory.lines.items():
        tally.set("qraft_alert_line", name, detector, value=line)


def _count_pattern(meters: Meters, pattern: Pattern) -> None:
    meters.source(pattern.source).patterns += 1
    tally, key = meters.tally, (pattern.source, pattern.type, pattern.detector)
    tally.count("qraft_patterns_total", *key)
    tally.observe("qraft_pattern_confidence", pattern.details.confidence, pattern.detector)
    for verdict in _VERDICTS:  # known from here on, so that the first verdict shows as an increase
        tally.count("qraft_verdicts_total", pattern.source, pattern.detector, verdict, by=0)


def _count_verdict(meters: Meters, feedback: Feedback) -> None:
    """Who sends feedback may write any detector: what is none of ours counts together."""
    detector = feedback.detector if feedback.detector in DETECTOR_TYPES else OTHER
    source = feedback.source if feedback.source in meters.sources else OTHER
    meters.tally.count("qraft_verdicts_total", source, detector, feedback.verdict)


def _count_sources(meters: Meters, arrivals: Mapping[str, int], result: Result) -> None:
    tally = meters.tally
    for name, arrived_us in arrivals.items():
        if name != SELF:
            if not meters.source(name).known:
                _make_known(meters, name)
            tally.set("qraft_source_last_arrival_timestamp_seconds", name, value=arrived_us / 1e6)
    for event in result.filtered:
        tally.count("qraft_source_filtered_total", event.source)
    for name, count in result.dropped_fields.items():
        tally.count("qraft_source_dropped_values_total", name, by=count)


def _make_known(meters: Meters, name: str) -> None:
    """Lets a source's counters begin at 0: Prometheus takes no increase from what appears with its first count."""
    meters.source(name).known = True
    for detector, kind in DETECTOR_TYPES.items():
        meters.tally.count("qraft_patterns_total", name, kind, detector, by=0)
    for cause in CAUSES:
        meters.tally.count("qraft_source_dead_letters_total", name, cause, by=0)
    for reason in DROP_REASONS:
        meters.tally.count("qraft_source_dropped_total", name, reason, by=0)
    for counter in ("qraft_source_filtered_total", "qraft_source_dropped_values_total"):
        meters.tally.count(counter, name, by=0)


def _count_delays(meters: Meters, events: Sequence[Arrived], now_us: int) -> None:
    """Most batches' events arrived within one bucket: then they count at once."""
    if not events:
        return
    histogram = meters.event_delays
    longest, shortest = (now_us - events[0][1]) / 1e6, (now_us - events[-1][1]) / 1e6
    if histogram.bucket(longest) == histogram.bucket(shortest):
        histogram.observe(max(0.0, (longest + shortest) / 2), len(events))
        return
    for _, arrived_us in events:
        histogram.observe(max(0.0, (now_us - arrived_us) / 1e6))
