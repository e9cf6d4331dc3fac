"""What the engine counts, and the statistics that follow from it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import psutil

import qraft
from qraft.engine.stalls import Stalls
from qraft.metrics import OTHER, Reading, Tally
from qraft.model import (
    SELF,
    EngineState,
    EngineStats,
    Level,
    Notice,
    SourceState,
    SourceStats,
    StageStats,
    iso_from_us,
)

RATE_WEIGHT = 0.3
"""Share of the newest second in a shown rate."""
SOURCES_SHOWN = 1000
"""Sources in the statistics; metrics add up the rest."""
NOTICES_SHOWN: Final = 20
NOTICE_KINDS: Final = 64
"""Kinds of notices that are counted apart: adapters of other packages make their own."""
DROP_REASONS: Final = ("full", "sampled", "leaving")


@dataclass(slots=True)
class StageMeter:
    """Counts of one stage since the engine started."""

    received: int = 0
    sent: int = 0
    late: int = 0
    seconds: float = 0.0
    depth: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class SourceMeter:
    """Counts and state of one source since the engine started."""

    adapter: str = ""
    state: SourceState = "external"
    detail: str = ""
    read: int = 0
    processed: int = 0
    patterns: int = 0
    late: int = 0
    duplicates: int = 0
    dead: int = 0
    dropped: int = 0
    missing: int = 0
    lag: float = 0.0
    score: float = 0.0
    warm: float = 0.0
    last_us: int = 0
    entities: int = 0
    rate: float = 0.0
    counted: int = 0
    memory: object = None
    known: bool = False


class Meters:
    """Every count of one engine. The event loop writes; the pipeline thread adds its stages' seconds; others only read."""

    def __init__(self, engine: str, *, monotonic: Callable[[], float], now_us: Callable[[], int]) -> None:
        self._engine = engine
        self.monotonic = monotonic
        self.now_us = now_us
        self._started = self._ticked = monotonic()
        self._rate = 0.0
        self._counted = 0
        self._process = psutil.Process()
        self._waiting: dict[str, tuple[str, float]] = {}
        self.ingest, self.preprocess, self.detect = StageMeter(), StageMeter(), StageMeter()
        self.publish, self.store = StageMeter(), StageMeter()
        self.ingest.dropped["dead"] = 0  # so that the first one shows as an increase
        self.sources: dict[str, SourceMeter] = {}
        self.pending: dict[int, int] = {}
        self.behind_us: dict[int, int] = {}
        self.unstored_us: dict[int, int] = {}
        self.sending: dict[str, float] = {}
        self.publishing: dict[int, float] = {}
        self._snapshots: dict[int, int] = {}
        self.failures: dict[int, int] = {}
        self.stalls = Stalls(now_us)
        self.tally = Tally()
        self.event_delays = self.tally.histogram("qraft_event_delay_seconds")
        self.tally.set("qraft_build_info", qraft.__version__, engine, value=1)
        for name in ("qraft_engine_start_time_seconds", "qraft_config_last_reload_success_timestamp_seconds"):
            self.tally.set(name, value=now_us() / 1e6)
        self.level: Level = "full"
        self.config_error = ""
        self.notices: deque[Notice] = deque(maxlen=NOTICES_SHOWN)
        self.notice_counts: Counter[str] = Counter()
        self.nats = self.clickhouse = True
        self.stopping = False
        self.ready = False

    def source(self, name: str) -> SourceMeter:
        """The counts of a source, made on first use."""
        meter = self.sources.get(name)
        if meter is None:
            meter = self.sources[name] = SourceMeter()
        return meter

    def forget(self, name: str) -> None:
        """Lets go of a source that is no longer configured."""
        self.sources.pop(name, None)
        self.tally.forget(name)

    def notice(self, notice: Notice) -> None:
        """Keeps a notice for the statistics, and counts it by its kind."""
        self.notices.append(notice)
        counts = self.notice_counts
        counts[notice.kind if notice.kind in counts or len(counts) < NOTICE_KINDS else OTHER] += 1

    def dropped(self, source: str, reason: str, count: int) -> None:
        """Counts events of a source that were given up; reasons of other packages' adapters count together."""
        reason = reason if reason in DROP_REASONS else OTHER
        self.ingest.received += count
        self.ingest.dropped[reason] += count
        self.source(source).dropped += count
        self.tally.count("qraft_source_dropped_total", source, reason, by=count)

    def snapshot(self, partition: int, size: int) -> None:
        """Notes the size of a partition's newest snapshot, bytes."""
        self._snapshots[partition] = size
        self.tally.set("qraft_snapshot_bytes", value=sum(self._snapshots.values()))

    def reloaded(self, error: str) -> None:
        """Notes that a configuration was put in force, or why it was refused."""
        self.config_error = error
        self.tally.count("qraft_config_reloads_total", "refused" if error else "applied")
        if not error:
            self.tally.set("qraft_config_last_reload_success_timestamp_seconds", value=self.now_us() / 1e6)

    def wait(self, part: str, reason: str) -> None:
        """Notes that ``part`` of the engine waits, and why; "" when it goes on."""
        if reason:
            since = self._waiting.get(part, ("", self.monotonic()))[1]
            self._waiting[part] = (reason, since)
        else:
            self._waiting.pop(part, None)

    @contextmanager
    def timed(self, stage: StageMeter) -> Iterator[None]:
        """Adds the time spent inside to a stage."""
        begun = self.monotonic()
        try:
            yield
        finally:
            stage.seconds += self.monotonic() - begun

    def tick(self) -> None:
        """Brings the rates up to date; to be called once a second."""
        self.tally.set("qraft_pipeline_failures_total", value=sum(self.failures.values()))
        now = self.monotonic()
        passed, self._ticked = now - self._ticked, now
        if passed <= 0:
            return
        total = 0
        for meter in self.sources.values():
            total += meter.processed
            meter.rate += RATE_WEIGHT * ((meter.processed - meter.counted) / passed - meter.rate)
            meter.counted = meter.processed
        self._rate += RATE_WEIGHT * ((total - self._counted) / passed - self._rate)
        self._counted = total

    @property
    def lag(self) -> float:
        """How long the oldest event not yet processed has stood in the stream, seconds."""
        return self._age(self.behind_us)

    @property
    def outstanding(self) -> int:
        """Events of this engine's own sources that the bus has taken and the pipeline has not."""
        return sum(max(0, meter.read - meter.processed) for meter in self.sources.values())

    @property
    def rate(self) -> float:
        """Events the pipeline takes a second, of late."""
        return self._rate

    @property
    def waiting(self) -> bool:
        """Whether the engine waits for a server; a source that waits for room in the stream does not count."""
        return any(not part.startswith("source ") for part in self._waiting)

    def reading(self) -> Reading:
        """All that the metrics say at this moment."""
        rest = self._named()[SOURCES_SHOWN:]
        return Reading(self.stats(), self.tally, _added(meter for _, meter in rest) if rest else None)

    def stats(self) -> EngineStats:
        """Everything at this moment."""
        state, detail = self._state()
        behind, unstored = self.lag, self._age(self.unstored_us)
        now = self.monotonic()
        sending, publishing = (
            max((now - since for since in list(begun.values())), default=0.0) for begun in (self.sending, self.publishing)
        )
        return EngineStats(
            engine=self._engine,
            timestamp=iso_from_us(self.now_us()),
            state=state,
            detail=detail,
            nats=self.nats,
            clickhouse=self.clickhouse,
            uptime_seconds=self.monotonic() - self._started,
            rate=_rounded(self._rate),
            lag_seconds=behind,
            pending=sum(self.pending.values()),
            rss_bytes=self._process.memory_info().rss,
            level=self.level,
            config_error=self.config_error,
            notices=list(self.notices),
            notice_counts=dict(self.notice_counts),
            sources=[_source_stats(name, meter) for name, meter in self._named()[:SOURCES_SHOWN]],
            stages=[
                _stage_stats("ingest", self.ingest, sending),
                _stage_stats("preprocess", self.preprocess, behind),
                _stage_stats("detect", self.detect, behind),
                _stage_stats("publish", self.publish, publishing),
                _stage_stats("store", self.store, unstored),
            ],
        )

    def _named(self) -> list[tuple[str, SourceMeter]]:
        return [(name, meter) for name, meter in list(self.sources.items()) if name != SELF]

    def _age(self, oldest_us: Mapping[int, int]) -> float:
        """Seconds since the oldest of these moments; 0 stands for none."""
        moments = [moment for moment in list(oldest_us.values()) if moment]
        return max(0.0, (self.now_us() - min(moments)) / 1e6) if moments else 0.0

    def _state(self) -> tuple[EngineState, str]:
        if self.stopping:
            return "stopping", ""
        if self._waiting:
            part, (reason, since) = min(self._waiting.items(), key=lambda item: item[1][1])
            return "waiting", f"{part}: {reason} (for {self.monotonic() - since:.0f} s)"
        return ("running", "") if self.ready else ("starting", "")


def _rounded(rate: float) -> float:
    return round(rate, 1) if rate >= 0.05 else 0.0


def _added(meters: Iterable[SourceMeter]) -> SourceStats:
    """The counts of several sources as one."""
    total = SourceMeter()
    for meter in meters:
        for name in ("read", "processed", "patterns", "late", "duplicates", "dead", "dropped", "missing", "entities"):
            setattr(total, name, getattr(total, name) + getattr(meter, name))
    return _source_stats(OTHER, total)


def _source_stats(name: str, meter: SourceMeter) -> SourceStats:
    return SourceStats(
        source=name,
        adapter=meter.adapter,
        state=meter.state,
        detail=meter.detail,
        rate=_rounded(meter.rate),
        lag_seconds=meter.lag,
        read=meter.read,
        processed=meter.processed,
        patterns=meter.patterns,
        late=meter.late,
        duplicates=meter.duplicates,
        dead=meter.dead,
        dropped=meter.dropped,
        missing=meter.missing,
        entities=meter.entities,
        score=meter.score,
        warm=meter.warm,
        last_event=iso_from_us(meter.last_us) if meter.last_us else "",
    )


def _stage_stats(name: str, meter: StageMeter, lag: float) -> StageStats:
    return StageStats(
        stage=name,
        received=meter.received,
        sent=meter.sent,
        dropped=meter.dropped.total(),
        late=meter.late,
        seconds=meter.seconds,
        depth=meter.depth,
        lag_seconds=round(lag, 3),
        reasons=dict(meter.dropped),
    )
