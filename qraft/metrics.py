"""The engine's Prometheus metrics: their names, and how they follow from its statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from qraft.model import LEVELS, EngineStats, SourceStats, StageStats

_STAGE_COUNTERS: Final[tuple[tuple[str, str, Callable[[StageStats], float]], ...]] = (
    ("received", "Events a stage took in.", lambda s: s.received),
    ("sent", "Events or patterns a stage passed on.", lambda s: s.sent),
    ("late", "Events older than the watermark allows; stored, not judged.", lambda s: s.late),
    ("seconds", "Seconds a stage was at work.", lambda s: s.seconds),
)
_SOURCE_COUNTERS: Final[tuple[tuple[str, str, Callable[[SourceStats], float]], ...]] = (
    ("read", "Events read from a source and stored on the bus.", lambda s: s.read),
    ("processed", "Events of a source that went through the pipeline.", lambda s: s.processed),
    ("patterns", "Patterns found in a source.", lambda s: s.patterns),
    ("late", "Events of a source that came too late to be judged.", lambda s: s.late),
    ("duplicates", "Events of a source that were seen before.", lambda s: s.duplicates),
    ("dead", "Input of a source that could not be used.", lambda s: s.dead),
    ("dropped", "Events of a source given up because the engine could not keep up.", lambda s: s.dropped),
    ("missing", "Events that never came, by the gaps in the feed's own sequence.", lambda s: s.missing),
)


class EngineCollector(Collector):
    """Reads an engine's statistics at each scrape, so that metrics and status never disagree."""

    def __init__(self, read: Callable[[], EngineStats]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Every metric of the engine, with its labels."""
        stats = self._read()
        yield _gauge("up", "1 while the engine runs undisturbed, 0 while it waits for a part.", stats.state == "running")
        yield _gauge("nats_connected", "Whether NATS can be reached.", stats.nats)
        yield _gauge("clickhouse_connected", "Whether ClickHouse can be reached.", stats.clickhouse)
        yield _gauge("lag_seconds", "How long the oldest event not yet processed has waited.", stats.lag_seconds)
        yield _gauge("pending_messages", "Messages in the stream that are not yet processed.", stats.pending)
        level, valid = LEVELS.index(stats.level), not stats.config_error
        yield _gauge("level", "How much is done with events: 0 all, 1 cheap detectors, 2 stored only.", level)
        yield _gauge("config_valid", "1 while the configuration file is in force, 0 after an edit was refused.", valid)
        notices = CounterMetricFamily("qraft_notices", "Notices to operators.", labels=("kind",))
        for kind, count in stats.notice_counts.items():
            notices.add_metric((kind,), count)
        yield notices
        yield from _stages(stats.stages)
        yield from _sources(stats.sources)


def _stages(stages: list[StageStats]) -> Iterable[Metric]:
    for name, text, value in _STAGE_COUNTERS:
        family = CounterMetricFamily(f"qraft_stage_{name}", text, labels=("stage",))
        for stage in stages:
            family.add_metric((stage.stage,), value(stage))
        yield family
    dropped = CounterMetricFamily("qraft_stage_dropped", "Events a stage did not pass on.", labels=("stage", "reason"))
    depth = GaugeMetricFamily("qraft_stage_depth", "Events that wait in a stage.", labels=("stage",))
    lag = GaugeMetricFamily("qraft_stage_lag_seconds", "How long the oldest event in a stage has waited.", labels=("stage",))
    for stage in stages:
        depth.add_metric((stage.stage,), stage.depth)
        lag.add_metric((stage.stage,), stage.lag_seconds)
        for reason, count in stage.reasons.items():
            dropped.add_metric((stage.stage, reason), count)
    yield dropped
    yield depth
    yield lag


def _sources(sources: list[SourceStats]) -> Iterable[Metric]:
    for name, text, value in _SOURCE_COUNTERS:
        family = CounterMetricFamily(f"qraft_source_{name}", text, labels=("source",))
        for source in sources:
            family.add_metric((source.source,), value(source))
        yield family
    lag = GaugeMetricFamily("qraft_source_lag_seconds", "From arrival to pattern, for the last event.", labels=("source",))
    running = GaugeMetricFamily("qraft_source_running", "Whether a source delivers.", labels=("source",))
    for source in sources:
        lag.add_metric((source.source,), source.lag_seconds)
        running.add_metric((source.source,), float(source.state in ("running", "external")))
    yield lag
    yield running


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"qraft_{name}", text, value=float(value))


class MetricsServer:
    """Serves ``/metrics`` from a thread of its own, so that it answers while the engine computes."""

    def __init__(self, host: str, port: int, read: Callable[[], EngineStats]) -> None:
        registry = CollectorRegistry()
        registry.register(EngineCollector(read))
        self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        self.url = f"http://{host}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Ends the server and its thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
