"""The world of the pictures: a market, orders, sensors and a host on one afternoon, the same at every run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import msgspec

from qraft.model import (
    Contributor,
    Details,
    EngineStats,
    Feedback,
    Pattern,
    PatternType,
    SourceStats,
    StageStats,
    Verdict,
    derive_id,
    iso_from_us,
    us_from_iso,
)
from tui.views.text import span_seconds, value

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
NOW_US = us_from_iso("2026-11-22T14:08:21Z")


class Feed(NamedTuple):
    """A source: its adapter, events a second, entities, and by field the usual level and spread."""

    adapter: str
    rate: float
    entities: tuple[str, ...]
    fields: dict[str, tuple[float, float]]


SOURCES: dict[str, Feed] = {
    "market": Feed(
        "websocket",
        412.0,
        ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD"),
        {"price": (91_240.0, 115.0), "spread_bps": (0.62, 0.05), "volume": (18.4, 2.1), "imbalance": (0.02, 0.08)},
    ),
    "orders-eu": Feed(
        "nats",
        188.4,
        ("checkout", "search", "login"),
        {"latency_ms": (41.0, 3.2), "errors": (0.4, 0.3), "queue_depth": (12.0, 2.0), "payload_bytes": (2140.0, 160.0)},
    ),
    "orders-us": Feed(
        "nats",
        143.0,
        ("checkout", "search", "login"),
        {"latency_ms": (38.0, 2.9), "errors": (0.3, 0.2), "queue_depth": (9.0, 1.6), "payload_bytes": (2090.0, 150.0)},
    ),
    "sensors-hall-3": Feed(
        "rest",
        57.0,
        ("press-01", "press-02", "press-04", "oven-2"),
        {"temperature_c": (71.5, 0.6), "vibration_mm_s": (1.8, 0.16), "pressure_bar": (6.2, 0.05), "current_a": (14.2, 0.4)},
    ),
    "host": Feed(
        "host",
        1.0,
        (),
        {"cpu_percent": (23.0, 4.0), "load1": (0.8, 0.15), "mem_percent": (61.0, 0.4), "disk_write_bytes": (1.2e6, 2.4e5)},
    ),
    "shuttle": Feed("file", 20.1, (), {"rad_flow": (37.0, 1.5), "fpv_close": (79.0, 2.2), "bypass": (45.0, 1.9)}),
    "payments": Feed("websocket", 31.0, ("card", "sepa"), {"amount_eur": (62.0, 18.0), "declined": (0.03, 0.01)}),
    "edge-fra": Feed("rest", 12.5, (), {"rtt_ms": (8.4, 0.7), "loss_percent": (0.1, 0.05)}),
    "edge-sgp": Feed("rest", 11.9, (), {"rtt_ms": (168.0, 4.1), "loss_percent": (0.2, 0.08)}),
    "sensors-hall-1": Feed("rest", 48.0, ("press-07", "press-09"), {"temperature_c": (69.8, 0.5), "current_a": (13.1, 0.3)}),
    "fx-rates": Feed("rest", 0.2, ("EUR", "JPY", "GBP"), {"rate": (1.08, 0.002)}),
}


@dataclass(frozen=True)
class Tale:
    """One thing that happens: what is found, on which fields, and how it looks in the data.

    ``moved`` holds fields with their share and their values before and after.
    """

    source: str
    entity: str
    type: PatternType
    detector: str
    kind: str
    confidence: float
    moved: tuple[tuple[str, float, float, float], ...]
    metrics: dict[str, float] = field(default_factory=dict)
    began_s: int = 0
    n: int = 1


LATE = {"orders-eu": 214, "sensors-hall-3": 3}
"""Late events by source."""


TALES: tuple[Tale, ...] = (
    Tale(
        "market", "BTC-USD", "drift", "drift", "mean", 0.94,
        (
            ("price", 0.61, 91_240.0, 91_905.0),
            ("spread_bps", 0.24, 0.62, 1.14),
            ("volume", 0.11, 18.4, 31.7),
            ("imbalance", 0.04, 0.02, 0.11),
        ),
        {"decades": 11.4, "demanded_decades": 6.2, "effect": 5.8, "rows_before": 4120.0, "rows_since": 168.0},
        began_s=168, n=9,
    ),
    Tale(
        "orders-eu", "checkout", "anomaly", "forest", "joint", 0.91,
        (("latency_ms", 0.68, 41.0, 184.0), ("queue_depth", 0.22, 12.0, 61.0), ("errors", 0.10, 0.4, 3.8)),
        {"decades": 8.1, "decades_asked": 5.5}, n=57,
    ),
    Tale(
        "sensors-hall-3", "press-04", "cluster_change", "peers", "member", 0.83,
        (("vibration_mm_s", 0.71, 1.8, 4.6), ("current_a", 0.21, 14.2, 17.9), ("temperature_c", 0.08, 71.5, 74.2)),
        {"peers": 11.0, "left": 1.0}, began_s=95, n=4,
    ),
    Tale(
        "host", "", "drift", "drift", "variance", 0.72,
        (("cpu_percent", 0.77, 4.0, 11.6), ("load1", 0.23, 0.15, 0.41)),
        {"decades": 7.3, "demanded_decades": 6.0, "effect": 1.9, "rows_before": 1800.0, "rows_since": 120.0},
        began_s=120, n=3,
    ),
    Tale(
        "orders-us", "search", "anomaly", "novelty", "novelty", 0.66,
        (("latency_ms", 0.82, 38.0, 71.0), ("errors", 0.18, 0.3, 0.9)),
        {"decades": 6.6, "decades_asked": 5.2}, n=2,
    ),
    Tale(
        "market", "SOL-USD", "anomaly", "silence", "silence", 0.88, (),
        {"gap_seconds": 42.0, "usual_seconds": 1.4, "decades": 9.0},
    ),
    Tale(
        "shuttle", "", "cluster_change", "clusters", "occupancy", 0.69,
        (("fpv_close", 0.52, 79.0, 62.0), ("bypass", 0.31, 45.0, 58.0), ("rad_flow", 0.17, 37.0, 41.0)),
        {"decades_occupancy": 7.7, "moved_share": 0.31, "groups_before": 3.0, "groups_now": 3.0}, began_s=70, n=6,
    ),
    Tale(
        "sensors-hall-3", "oven-2", "drift", "drift", "trend", 0.78,
        (("temperature_c", 0.86, 0.0, 0.031), ("pressure_bar", 0.14, 0.0, 0.0012)),
        {"decades": 8.8, "demanded_decades": 6.1, "effect": 2.6, "rows_before": 3600.0, "rows_since": 240.0},
        began_s=240, n=5,
    ),
    Tale(
        "orders-eu", "login", "anomaly", "forest", "joint", 0.62,
        (("errors", 0.74, 0.4, 5.2), ("latency_ms", 0.26, 41.0, 63.0)),
        {"decades": 5.9, "decades_asked": 5.5}, n=3,
    ),
    Tale(
        "market", "ETH-USD", "drift", "drift", "variance", 0.71,
        (("spread_bps", 0.66, 0.05, 0.19), ("volume", 0.34, 2.1, 4.4)),
        {"decades": 7.0, "demanded_decades": 6.2, "effect": 1.6, "rows_before": 3900.0, "rows_since": 210.0},
        began_s=150, n=12,
    ),
    Tale(
        "orders-us", "checkout", "drift", "drift", "mean", 0.64,
        (("payload_bytes", 0.58, 2090.0, 2610.0), ("latency_ms", 0.42, 38.0, 44.5)),
        {"decades": 6.9, "demanded_decades": 6.1, "effect": 2.1, "rows_before": 2900.0, "rows_since": 190.0},
        began_s=130, n=2,
    ),
    Tale(
        "sensors-hall-3", "press-01", "anomaly", "flat", "flat", 0.81,
        (("pressure_bar", 1.0, 6.2, 6.2),),
        {"rows": 214.0, "longest_rows": 9.0, "decades": 8.0}, n=1,
    ),
)  # fmt: skip
"""The first is the one the pictures open."""
AGO_S = (35, 8, 74, 131, 162, 190, 223, 251, 304, 338, 371, 412)
"""How long before ``NOW_US`` each tale ended."""


def pattern(tale: Tale, at_us: int, *, confidence: float | None = None) -> Pattern:
    """One finding of a tale."""
    began = iso_from_us(at_us - tale.began_s * SECOND) if tale.began_s else ""
    usual = SOURCES[tale.source].fields
    prev: dict[str, Any] = {}
    now: dict[str, Any] = {}
    if tale.kind == "mean":
        prev, now = {"spread": usual[tale.moved[0][0]][1]}, {"spread": usual[tale.moved[0][0]][1]}
    elif tale.kind == "joint":
        prev = {"fields": {f: {"spread": usual[f][1]} for f, *_ in tale.moved}}
    elif tale.kind == "member":
        prev, now = {"peers": 11, "n": 11}, {"left": [tale.entity], "n": 1}
    elif tale.kind == "flat":
        now = {"value": tale.moved[0][3]}
    event = derive_id("event", tale.source, tale.entity, str(at_us))
    return Pattern(
        pattern_id=derive_id("pattern", event, tale.detector, tale.kind),
        type=tale.type,
        timestamp=iso_from_us(at_us),
        source=tale.source,
        details=Details(prev, now, tale.metrics, tale.confidence if confidence is None else confidence),
        contributors=[_contributor(tale, one) for one in tale.moved],
        detector=tale.detector,
        event_id=event,
        entity=tale.entity,
        line=0.58 if tale.source == "market" else 0.5,
        summary=summary(tale),
        kind=tale.kind,
        began=began,
    )


def _contributor(tale: Tale, moved: tuple[str, float, float, float]) -> Contributor:
    name, share, before, after = moved
    if tale.kind == "flat":
        return Contributor(field=name, score=share)
    return Contributor(field=name, score=share, before=before, after=after)


SUMMARIES = {
    "mean": "{name}: mean {was} → {now} ({far:.2g} spreads), for {span} now",
    "variance": "{name}: spread {was} → {now} ({times:.2g} times), for {span} now",
    "trend": "{name}: moves a row {was} → {now}, for {span} now",
    "joint": "{name} is {now}, expected {was} ± {spread:.2g}; with it {other}",
    "novelty": "{name} is {now}: a course not seen before; usually {low} to {high}",
    "member": "{entity} left 11 peers: {name} {was} → {now}",
    "flat": "{name}: stands at {now} for 214 rows; at most 9 rows before",
    "occupancy": "shares of the groups changed: {name} {was} → {now}",
}


def summary(tale: Tale) -> str:
    """The engine's sentence."""
    if tale.kind == "silence":
        return "no row for 42 s; usual gap 0.2 s – 1.4 s"
    name, _, before, after = tale.moved[0]
    spread = SOURCES[tale.source].fields[name][1]
    return SUMMARIES[tale.kind].format(
        name=name,
        was=value(before),
        now=value(after),
        far=abs(after - before) / spread,
        times=after / (before or 1.0),
        spread=spread,
        low=value(before - 3 * spread),
        high=value(before + 3 * spread),
        span=span_seconds(tale.began_s),
        other=tale.moved[-1][0],
        entity=tale.entity,
    )


def run(tale: Tale, last_us: int) -> list[Pattern]:
    """The findings of one episode of a tale, that of the highest confidence next to last."""
    step = min(9, max(1, 240 // tale.n)) * SECOND
    moments = [last_us - (tale.n - 1 - i) * step for i in range(tale.n)]
    peak = max(0, tale.n - 2)
    return [
        pattern(tale, at, confidence=tale.confidence if i == peak else round(tale.confidence - 0.04 - 0.01 * (i % 5), 3))
        for i, at in enumerate(moments)
    ]


@cache
def live() -> tuple[Pattern, ...]:
    """What was found this quarter of an hour, in the order it came."""
    found = [one for tale, ago in zip(TALES, AGO_S, strict=True) for one in run(tale, NOW_US - ago * SECOND)]
    return tuple(sorted(found, key=lambda one: one.timestamp))


def flood(number: int, at_us: int) -> list[Pattern]:
    """A burst of one episode."""
    return [pattern(TALES[1], at_us + i, confidence=0.7) for i in range(number)]


def verdict_on(
    peak: Pattern, verdict: Verdict, user: str, note: str = "", *, after_s: int = 95, undoes: str = ""
) -> Feedback:
    """What somebody says on a finding some time after it."""
    return Feedback(
        feedback_id=derive_id("said", peak.pattern_id, verdict, user),
        pattern_id=peak.pattern_id,
        verdict=verdict,
        timestamp=iso_from_us(us_from_iso(peak.timestamp) + after_s * SECOND),
        source=peak.source,
        detector=peak.detector,
        user=user,
        note=note,
        undoes=undoes,
    )


# --- what the engine says


@cache
def _patterns_of(source: str) -> int:
    return sum(one.source == source for one in live())


def stats(at_us: int, *, warm: float = 1.0, since_us: int = NOW_US - 6 * HOUR, **changes: Any) -> EngineStats:
    """An engine's statistics at a moment; ``changes`` are fields of `EngineStats` to set otherwise."""
    second = at_us / 1e6
    up = (at_us - since_us) / 1e6
    sources = []
    for i, (name, feed) in enumerate(SOURCES.items()):
        wave = float(up > 0) * (1 + 0.3 * math.sin(second / (5 + 3 * i) + 2 * i) + 0.15 * math.sin(second * 0.4 * (1 + i)))
        if name == "orders-eu" and NOW_US - at_us < 25 * SECOND:
            wave += 1.1
        seen = int(feed.rate * up)
        sources.append(
            SourceStats(
                source=name,
                adapter=feed.adapter,
                state="running",
                rate=round(feed.rate * wave, 1 if feed.rate > 1 else 2),
                lag_seconds=0.004 * (1 + 5 * i % 8),
                read=seen,
                processed=seen,
                patterns=_patterns_of(name) if warm >= 1 else 0,
                late=LATE.get(name, 0),
                entities=max(1, len(feed.entities)),
                score=round(0.35 + 0.3 * math.sin(second / 3 + i), 3) if name != "orders-eu" else 0.91,
                warm=min(1.0, warm * (0.7 + 0.2 * i)) if warm < 1 else 1.0,
                last_event=iso_from_us(at_us - 40_000 * (i + 1)) if seen else "",
            )
        )
    read = sum(one.read for one in sources)
    said = EngineStats(
        engine="main",
        timestamp=iso_from_us(at_us),
        state="running",
        uptime_seconds=up,
        rate=round(sum(one.rate for one in sources), 1),
        lag_seconds=0.021,
        pending=38,
        rss_bytes=212_000_000,
        sources=sources,
        stages=[
            StageStats(stage="ingest", received=read, sent=read - 217, seconds=up * 0.04, depth=12, lag_seconds=0.008),
            StageStats(stage="preprocess", received=read - 217, sent=read - 240, late=217, seconds=up * 0.11, depth=31),
            StageStats(stage="detect", received=read - 240, sent=read - 240, seconds=up * 0.32, depth=64, lag_seconds=0.021),
            StageStats(stage="store", received=read - 240, sent=read - 700, seconds=up * 0.05, depth=460, lag_seconds=0.4),
        ],
    )
    return msgspec.structs.replace(said, **changes)


def lossy(sources: list[SourceStats]) -> list[SourceStats]:
    """These sources, the second of which has given up events and the third of which misses some."""
    lost = {1: {"dropped": 1204, "missing": 3}, 2: {"missing": 17}}
    return [msgspec.structs.replace(source, **lost.get(i, {})) for i, source in enumerate(sources)]
