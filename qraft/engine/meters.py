"""What the engine counts, and the statistics that follow from it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import psutil

from qraft.model import SELF, EngineStats, Event, Level, Notice, SourceStats, StageStats, iso_from_us
from qraft.pipeline import Result

SourceState = Literal["starting", "running", "retrying", "paused", "finished", "failed", "external"]
RATE_WEIGHT = 0.3
"""Share of the newest second in a shown rate."""
SOURCES_SHOWN = 1000
NOTICES_SHOWN: Final = 20


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
        self.ingest, self.preprocess, self.detect, self.store = StageMeter(), StageMeter(), StageMeter(), StageMeter()
        self.sources: dict[str, SourceMeter] = {}
        self.pending: dict[int, int] = {}
        self.behind_us: dict[int, int] = {}
        self.unstored_us: dict[int, int] = {}
        self.sending: dict[str, float] = {}
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

    def count_step(self, events: Sequence[tuple[Event, int]], result: Result) -> None:
        """Counts one step of a pipeline; each event comes with its arrival in the stream, UTC microseconds."""
        now_us = self.now_us()
        for (event, arrived_us), scores in zip(events, result.scores, strict=True):
            source = self.source(event.source)
            source.processed += 1
            source.lag = max(0.0, (now_us - arrived_us) / 1e6)
            if scores is not None:
                source.score, source.warm = max(scores.anomaly, scores.abnormal, scores.change), scores.warm
        for clean in result.clean:
            self.source(clean.source).last_us = clean.time_us
        for late in result.late:
            self.source(late.source).late += 1
        for repeat in result.duplicates:
            self.source(repeat.source).duplicates += 1
        for letter in result.dead:
            self.source(letter.source).dead += 1
        for pattern in result.patterns:
            self.source(pattern.source).patterns += 1
        stage = self.preprocess
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
        self.detect.received += len(result.clean)
        self.detect.sent += len(result.patterns)

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

    def stats(self) -> EngineStats:
        """Everything at this moment."""
        state, detail = self._state()
        behind, unstored = self.lag, self._age(self.unstored_us)
        now = self.monotonic()
        sending = max((now - since for since in list(self.sending.values())), default=0.0)
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
            sources=[_source_stats(name, m) for name, m in list(self.sources.items())[:SOURCES_SHOWN] if name != SELF],
            stages=[
                _stage_stats("ingest", self.ingest, sending),
                _stage_stats("preprocess", self.preprocess, behind),
                _stage_stats("detect", self.detect, behind),
                _stage_stats("store", self.store, unstored),
            ],
        )

    def _age(self, oldest_us: Mapping[int, int]) -> float:
        """Seconds since the oldest of these moments; 0 stands for none."""
        moments = [moment for moment in list(oldest_us.values()) if moment]
        return max(0.0, (self.now_us() - min(moments)) / 1e6) if moments else 0.0

    def _state(self) -> tuple[Literal["starting", "running", "waiting", "stopping"], str]:
        if self.stopping:
            return "stopping", ""
        if self._waiting:
            part, (reason, since) = min(self._waiting.items(), key=lambda item: item[1][1])
            return "waiting", f"{part}: {reason} (for {self.monotonic() - since:.0f} s)"
        return ("running", "") if self.ready else ("starting", "")


def _rounded(rate: float) -> float:
    return round(rate, 1) if rate >= 0.05 else 0.0


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
