"""A generator of patterns, statistics and verdicts that looks like a day at work: for tests and trials of the interface.

Deterministic: the same seed gives the same values. It stands for no server; the real feed is tested against a real one.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from typing import Any

import msgspec

from qraft.model import (
    PATTERN_TYPES,
    Contributor,
    Details,
    EngineStats,
    Feedback,
    Pattern,
    PatternType,
    SourceStats,
    derive_id,
    iso_from_us,
)
from tui.feed.base import FeedDown
from tui.state.inbox import Inbox

DETECTORS: dict[PatternType, str] = {"drift": "drift", "anomaly": "forest", "cluster_change": "clusters"}
SOURCES = (("host", ("",), ("cpu_percent", "load1", "mem_percent", "disk_write_bytes")),)
MARKET = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD")


class World:
    """What a fake engine would say: some sources, their rates, and patterns drawn from them."""

    def __init__(self, seed: int = 7, sources: int = 6) -> None:
        self._random = random.Random(seed)
        self._count = 0
        names = ["host", "market", "shuttle", "orders-eu", "orders-us", "sensor-hall-3"]
        names += [f"feed-{i:03d}" for i in range(max(0, sources - len(names)))]
        self.names = names[:sources]

    def fields(self, source: str) -> tuple[str, ...]:
        """Numeric fields of a source."""
        if source == "host":
            return ("cpu_percent", "load1", "mem_percent", "disk_write_bytes")
        if source == "market":
            return ("price", "volume", "spread", "imbalance")
        return ("latency_ms", "rate", "errors", "queue_depth", "payload_bytes")

    def pattern(self, now_us: int) -> Pattern:
        """One pattern at ``now_us``."""
        draw = self._random
        self._count += 1
        source = draw.choice(self.names)
        kind = draw.choice(PATTERN_TYPES)
        entity = draw.choice(MARKET) if source == "market" else ""
        fields = list(self.fields(source))
        draw.shuffle(fields)
        weights = sorted((draw.random() ** 3 + 0.02 for _ in fields), reverse=True)
        contributors = []
        for field, weight in zip(fields, weights, strict=True):
            before = 10 ** draw.uniform(-1, 4.8)
            contributors.append(
                Contributor(
                    field=field,
                    score=weight / sum(weights),
                    before=round(before, 4),
                    after=round(before * draw.uniform(0.4, 2.6), 4),
                )
            )
        first = contributors[0]
        confidence = round(draw.uniform(0.52, 0.99), 3)
        event = derive_id("fake", str(self._count))
        words = {
            "drift": f"{first.field} moved for good",
            "anomaly": f"{first.field} is far from anything seen before",
            "cluster_change": f"rows gather elsewhere, most of all in {first.field}",
        }
        return Pattern(
            pattern_id=derive_id("pattern", event, kind),
            type=kind,
            timestamp=iso_from_us(now_us),
            source=source,
            details=Details(
                prev_state={"mean": first.before, "rows": 1000},
                new_state={"mean": first.after, "rows": 214},
                metrics={"statistic": round(draw.uniform(3, 40), 2), "p_value": 10 ** -draw.uniform(4, 12), "rows": 1214.0},
                confidence=confidence,
            ),
            contributors=contributors,
            detector=DETECTORS[kind],
            event_id=event,
            entity=entity,
            kind="mean" if kind == "drift" else "",
            began=iso_from_us(now_us - 48_000_000) if kind == "drift" else "",
            summary=f"{words[kind]}: {first.before:.4g} before, {first.after:.4g} now.",
        )

    def stats(
        self, now_us: int, *, warm: float = 1.0, processed: int = 125_000, state: str = "running", **changes: Any
    ) -> EngineStats:
        """An engine's statistics at ``now_us``; ``changes`` are fields of `EngineStats` to set otherwise."""
        second = now_us / 1e6
        sources = []
        for i, name in enumerate(self.names):
            base = (1.0, 412.0, 188.4, 20.1, 57.0, 0.5)[i % 6]
            rate = base * (1 + 0.45 * math.sin(second / (5 + i)) + 0.2 * math.sin(second * (1 + i)))
            sources.append(
                SourceStats(
                    source=name,
                    adapter="host" if name == "host" else "websocket",
                    state="running",
                    rate=max(0.0, round(rate, 1)),
                    lag_seconds=0.004 * (i + 1),
                    read=processed + int(second) % 1000,
                    processed=processed + int(second) % 1000 if processed else 0,
                    patterns=12,
                    score=0.5 + 0.45 * math.sin(second / 3 + i),
                    warm=min(1.0, warm * (1 + i / 10)),
                    last_event=iso_from_us(now_us) if processed else "",
                )
            )
        said = EngineStats(
            engine="main",
            timestamp=iso_from_us(now_us),
            state=state,  # type: ignore[arg-type]  # one of its states at every call
            rate=round(sum(s.rate for s in sources), 1),
            sources=sources,
        )
        return msgspec.structs.replace(said, **changes)

    def lossy(self, sources: list[SourceStats]) -> list[SourceStats]:
        """These sources, the second of which has given up events and the third of which misses some."""
        lost = {1: {"dropped": 1204, "missing": 3}, 2: {"missing": 17}}
        return [msgspec.structs.replace(source, **lost.get(i, {})) for i, source in enumerate(sources)]


class FakeFeed:
    """Brings a world's patterns at a steady rate. ``up`` may be switched to look like a lost connection."""

    def __init__(self, world: World, *, rate: float, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._world = world
        self._rate = rate
        self._now_us = now_us
        self.up = True
        self.sent: list[Feedback] = []

    async def run(self, inbox: Inbox) -> None:
        """See ``Feed``."""
        inbox.link(True)
        up, owed, spoke = True, 0.0, 0
        while True:
            now = self._now_us()
            if up != self.up:
                up = self.up
                inbox.link(up)
            if up:
                owed += self._rate * 0.05
                if owed >= 1:
                    inbox.patterns([self._world.pattern(now) for _ in range(int(owed))])
                    owed -= int(owed)
                if now // 1_000_000 != spoke:
                    spoke = now // 1_000_000
                    inbox.stats(self._world.stats(now))
            await asyncio.sleep(0.05)

    async def send(self, feedback: Feedback) -> None:
        """See ``Feed``."""
        if not self.up:
            raise FeedDown("switched off")
        await asyncio.sleep(0.2)
        self.sent.append(feedback)
