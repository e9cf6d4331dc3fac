"""Everything the terminal knows, folded from batches: episodes, verdicts, sources, engines, the link."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from qraft.model import SELF, EngineStats, Feedback, Pattern, SourceStats, us_from_iso
from tui.state.episodes import time_of
from tui.state.gaps import Gaps
from tui.state.inbox import Batch, LinkChange, Past
from tui.state.ledger import Ledger
from tui.state.mutes import Mutes
from tui.state.news import Notices
from tui.state.verdicts import Delivery

SAMPLES = 120
"""Samples of its rate that are kept of each source, one a second: a minute is shown, in a frozen picture too."""
SILENT_US = 3_500_000
"""An engine that said nothing for so long is silent: it speaks once a second."""
IDLE_US = 10_000_000
"""A running source from which nothing came for so long is idle."""


@dataclass(slots=True)
class SourceState:
    """One source: its last statistics, its rate over the last minutes, when it last brought something.

    ``samples`` holds (second of wall time, events a second); ``buckets``, of a source in a past window, events in equal
    parts of it.
    """

    stats: SourceStats
    engine: str
    changed_us: int
    samples: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    buckets: tuple[float, ...] = ()

    def rates(self, now_us: int, seconds: int) -> list[float | None]:
        """The rate in each of the last ``seconds`` seconds, the oldest first; None where nothing was heard.

        Of a past window: its buckets.
        """
        if self.buckets:
            return list(self.buckets)
        last = now_us // 1_000_000
        heard = dict(self.samples)
        return [heard.get(second) for second in range(last - seconds + 1, last + 1)]


@dataclass(slots=True)
class EngineState:
    """One engine: its last statistics and when they came (UTC microseconds)."""

    stats: EngineStats
    heard_us: int

    def silent(self, now_us: int) -> bool:
        """Whether it has missed several of its once-a-second words."""
        return now_us - self.heard_us > SILENT_US


@dataclass(frozen=True, slots=True)
class Link:
    """The connection to NATS. ``since_us`` is when it came, went, or was first tried; ``tried`` is False before that."""

    up: bool = False
    tried: bool = False
    ever: bool = False
    since_us: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Database:
    """What the last question to ClickHouse came to; ``asked`` is False before the first."""

    asked: bool = False
    problem: str = ""


class Store:
    """Folds batches. Not thread-safe; it reads no clock, the caller says what time it is."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.mutes = Mutes()
        self.gaps = Gaps()
        self.sources: dict[str, SourceState] = {}
        self.engines: dict[str, EngineState] = {}
        self.notices: dict[str, Notices] = {}
        self.link = Link()
        self.database = Database()
        self.received = 0
        self.dropped = 0
        self.data_us = 0
        self.version = 0
        self.newest_us: dict[str, int] = {}

    def fold(self, batch: Batch, now_us: int) -> None:
        """Takes what arrived; ``now_us`` is the wall time in UTC microseconds."""
        for change in batch.links:
            self._link(change, now_us)
        if batch.past:
            self._past(batch.past, now_us)
        for pattern in batch.patterns:
            self._pattern(pattern, now_us)
        for feedback in batch.feedback:
            self.judge(feedback, Delivery.STORED)
        for delivery in batch.deliveries:
            if delivery.refused:
                self.mutes.refuse(delivery.feedback_id)
            self.ledger.verdicts.deliver(delivery.feedback_id, Delivery.REFUSED if delivery.refused else Delivery.STORED)
        if batch.history:
            self.database = Database(True, batch.history[-1])
        for stats in batch.stats:
            self._stats(stats, now_us)
        self.received += len(batch.patterns)
        self.dropped += batch.dropped
        if batch.patterns or batch.stats:
            self.data_us = now_us
        if batch:
            self.version += 1

    def judge(self, feedback: Feedback, delivery: Delivery) -> None:
        """Takes what an operator said, one's own before it is sent, or anybody's as it arrives."""
        self.mutes.add(feedback)
        self.ledger.judge(feedback, delivery)
        self.version += 1

    def _pattern(self, pattern: Pattern, touched_us: int) -> bool:
        episode = self.ledger.add(pattern, touched_us)
        if episode is not None:
            self.newest_us[episode.source] = max(self.newest_us.get(episode.source, 0), episode.last_us)
        return episode is not None

    def _past(self, found: list[Past], now_us: int) -> None:
        for past in found:
            at_us = time_of(past.pattern)
            if self._pattern(past.pattern, at_us):
                self.gaps.fill(at_us, now_us)
            if past.feedback is not None:
                self.judge(past.feedback, Delivery.STORED)
        self.ledger.episodes.settle()

    def _link(self, change: LinkChange, now_us: int) -> None:
        same = self.link.tried and self.link.up == change.up
        since = self.link.since_us if same else now_us
        if self.link.ever and not same:
            self.gaps.close(now_us) if change.up else self.gaps.open(min(self.data_us, now_us) or now_us)
        self.link = Link(change.up, True, self.link.ever or change.up, since, change.reason)

    def _stats(self, stats: EngineStats, now_us: int) -> None:
        self.engines[stats.engine] = EngineState(stats, now_us)
        self.notices.setdefault(stats.engine, Notices()).take(stats, now_us)
        for source in stats.sources:
            if source.source == SELF:
                continue
            known = self.sources.get(source.source)
            if known is None:
                known = self.sources[source.source] = SourceState(source, stats.engine, now_us)
            elif (source.read, source.processed) != (known.stats.read, known.stats.processed):
                known.changed_us = now_us
            known.stats, known.engine = source, stats.engine
            known.samples.append((now_us // 1_000_000, source.rate))
            self.newest_us[source.source] = max(self.newest_us.get(source.source, 0), _time(source.last_event))
        named = {source.source for source in stats.sources}
        for name in [n for n, s in self.sources.items() if s.engine == stats.engine and n not in named]:
            del self.sources[name]


def _time(text: str) -> int:
    try:
        return us_from_iso(text) if text else 0
    except ValueError:
        return 0
