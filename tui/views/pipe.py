"""The PIPE screen: the engine and its stages, NATS, ClickHouse, and what this terminal itself costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qraft.model import EngineStats, StageStats
from tui.cost import CostNow
from tui.language import t
from tui.state.session import Session
from tui.state.store import EngineState
from tui.views.status import ENGINE_WORD, LEVEL_WORD
from tui.views.text import (
    Line,
    Span,
    Tone,
    clean,
    count,
    duration,
    fit,
    quantity,
    rule,
    span_seconds,
    width_of,
    wrap,
)

NOTICES = 6
BLANK: Line = ((" ", "text"),)


@dataclass(frozen=True, slots=True)
class Machinery:
    """What the screen shows besides the session.

    Attributes:
        cost: what this terminal costs.
        nats_url: where NATS is.
        clickhouse_url: where ClickHouse is.
        asked_seconds: how long the last question to ClickHouse took.
        rows: rows of each table; empty as long as they are not known.
        problem: why they are not.
    """

    cost: CostNow
    nats_url: str
    clickhouse_url: str
    asked_seconds: float = 0.0
    rows: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


def title(session: Session, width: int) -> Line:
    """The rule above."""
    left: list[Span] = [(" ", "title"), (t("PIPE"), "title"), (" ", "rule")]
    return rule(left, [(t("{key} asks again", key=session.key("refresh")), "dim")], width)


def lines(session: Session, machinery: Machinery, now_us: int, width: int) -> list[Line]:
    """Everything, as long as it is."""
    out: list[Line] = []
    engines = session.store.engines
    if not engines:
        out += [_head(t("ENGINE"), width), ((t("none was heard yet"), "warn"),), BLANK]
    for name in sorted(engines):
        out += [*_engine(name, engines[name], now_us, width), BLANK]
    out += [*_nats(session, machinery, now_us, width), BLANK]
    out += [*_clickhouse(machinery, width), BLANK]
    return [*out, *_terminal(session, machinery.cost, width)]


def _head(words: str, width: int) -> Line:
    return ((words, "title"), (" " + "─" * max(0, width - width_of(((words, "title"),)) - 1), "rule"))


def _engine(name: str, state: EngineState, now_us: int, width: int) -> list[Line]:
    stats = state.stats
    out = [_head(t("ENGINE {name}", name=clean(name)), width)]
    word, tone = _state(state, now_us)
    pairs: list[tuple[str, str, Tone]] = [
        (t("state"), word, tone),
        (t("uptime"), span_seconds(stats.uptime_seconds), "text"),
        (t("events/s"), "—" if state.silent(now_us) else quantity(stats.rate), "strong"),
        (t("lag"), duration(stats.lag_seconds), "warn" if stats.lag_seconds >= 2 else "text"),
        (t("pending"), count(stats.pending), "text"),
        (t("memory"), f"{stats.rss_bytes / 1e6:.0f} MB", "text"),
        (t("detection"), t(LEVEL_WORD[stats.level]), "text" if stats.level == "full" else "alert"),
        (t("sources"), str(len(stats.sources)), "text"),
    ]
    out += _pairs(pairs, width)
    if stats.config_error:
        out += [((row, "bad"),) for row in wrap(clean(stats.config_error), width, 3)]
    if stats.stages:
        out += [BLANK, *_stages(stats, width)]
    if stats.notices:
        out.append(BLANK)
        for notice in stats.notices[-NOTICES:][::-1]:
            about = f"{clean(notice.source)} " if notice.source else ""
            said = f"{clean(notice.kind)}: {clean(notice.text)}"
            start: tuple[Span, ...] = ((f"{clean(notice.timestamp)[11:19]} ", "dim"), (about, "strong"))
            out.append((*start, (fit(said, max(1, width - width_of(start))), "text")))
    return out


def _state(state: EngineState, now_us: int) -> tuple[str, Tone]:
    if state.silent(now_us):
        return t("silent for {span}", span=span_seconds((now_us - state.heard_us) / 1e6)), "bad"
    word = t(ENGINE_WORD[state.stats.state])
    if state.stats.state == "running":
        return word, "good"
    return f"{word} {clean(state.stats.detail)}".strip(), "warn"


def _stages(stats: EngineStats, width: int) -> list[Line]:
    reasons = any(stage.reasons for stage in stats.stages)
    names = [
        fit(t("STAGE"), 11),
        fit(t("IN"), 9, right=True),
        fit(t("OUT"), 9, right=True),
        fit(t("DROPPED"), 8, right=True),
        fit(t("LATE"), 7, right=True),
        fit(t("DEPTH"), 7, right=True),
        fit(t("LAG"), 6, right=True),
        fit(t("BUSY"), 7, right=True),
    ]
    keep = 8 if width >= 72 else 5
    head = " ".join(names[:keep]) + ("  " + t("REASONS") if reasons and width >= 90 else "")
    return [((fit(head, width), "dim"),), *(_stage(stage, keep, width) for stage in stats.stages)]


def _stage(stage: StageStats, keep: int, width: int) -> Line:
    cells: list[Span] = [
        (fit(clean(stage.stage), 11) + " ", "strong"),
        (fit(quantity(stage.received), 9, right=True) + " ", "text"),
        (fit(quantity(stage.sent), 9, right=True) + " ", "text"),
        (fit(quantity(stage.dropped) if stage.dropped else "·", 8, right=True) + " ", "bad" if stage.dropped else "dim"),
        (fit(quantity(stage.late) if stage.late else "·", 7, right=True) + " ", "warn" if stage.late else "dim"),
        (fit(quantity(stage.depth), 7, right=True) + " ", "text"),
        (fit(duration(stage.lag_seconds), 6, right=True) + " ", "text"),
        (fit(duration(stage.seconds), 7, right=True) + " ", "text"),
    ]
    spans = cells[:keep]
    if stage.reasons and width >= 90:
        said = ", ".join(f"{clean(k)} {quantity(v)}" for k, v in sorted(stage.reasons.items()))
        spans.append((" " + fit(said, max(1, width - width_of(tuple(spans)) - 1)), "warn"))
    return tuple(spans)


def _nats(session: Session, machinery: Machinery, now_us: int, width: int) -> list[Line]:
    store = session.store
    link = store.link
    since = span_seconds((now_us - link.since_us) / 1e6) if link.tried else "—"
    state: tuple[str, str, Tone] = (
        (t("connected"), since, "good") if link.up else (t("lost") if link.ever else t("never reached"), since, "bad")
    )
    out = [_head(t("NATS"), width)]
    gaps = store.gaps.all()
    pairs: list[tuple[str, str, Tone]] = [
        (t("at"), clean(machinery.nats_url), "text"),
        state,
        (t("patterns heard"), count(store.received), "text"),
        (t("gaps"), str(len(gaps)), "warn" if gaps else "text"),
        (t("filled in"), count(sum(gap.filled for gap in gaps)), "text"),
        (t("unsent"), str(store.ledger.verdicts.unsent), "warn" if store.ledger.verdicts.unsent else "text"),
    ]
    out += _pairs(pairs, width)
    if link.reason:
        out += [((row, "bad"),) for row in wrap(clean(link.reason), width, 2)]
    return out


def _clickhouse(machinery: Machinery, width: int) -> list[Line]:
    out = [_head(t("CLICKHOUSE"), width)]
    pairs: list[tuple[str, str, Tone]] = [
        (t("at"), clean(machinery.clickhouse_url) or "—", "text"),
        (t("last answer"), f"{machinery.asked_seconds * 1000:.0f} ms", "text"),
        *((clean(table), count(rows), "text") for table, rows in sorted(machinery.rows.items())),
    ]
    out += _pairs(pairs, width)
    if machinery.problem:
        out += [((row, "bad"),) for row in wrap(clean(machinery.problem), width, 2)]
    return out


def _terminal(session: Session, cost: CostNow, width: int) -> list[Line]:
    store = session.store
    ledger = store.ledger
    out = [_head(t("THIS TERMINAL"), width)]
    pairs: list[tuple[str, str, Tone]] = [
        (t("cpu"), f"{cost.cpu_percent:.1f} %", "warn" if cost.cpu_percent > 20 else "strong"),
        (t("frame"), f"{cost.frame_ms:.1f} ms, p99 {cost.frame_ms_p99:.1f}", "text"),
        (t("pace"), f"{cost.hertz:.1f} Hz", "text"),
        (t("to the terminal"), f"{cost.bytes_per_second / 1000:.1f} kB/s", "text"),
        (t("loop lag"), f"{cost.lag_ms:.1f} ms, p99 {cost.lag_ms_p99:.0f}", "warn" if cost.lag_ms_p99 > 100 else "text"),
        (t("memory"), f"{cost.rss_bytes / 1e6:.0f} MB", "text"),
        (t("episodes held"), count(len(ledger.episodes)), "text"),
        (t("let go"), count(ledger.episodes.forgotten), "text"),
        (t("not shown"), count(store.dropped), "bad" if store.dropped else "text"),
    ]
    if cost.waited_ms_per_second > 50:
        pairs.append((t("waited for the terminal"), f"{cost.waited_ms_per_second:.0f} ms/s", "warn"))
    return [*out, *_pairs(pairs, width)]


def _pairs(pairs: list[tuple[str, str, Tone]], width: int) -> list[Line]:
    """Names and values in columns of equal width, as many as fit."""
    if not pairs:
        return []
    cell = max(width_of(((f"{name} {text}", "text"),)) for name, text, _ in pairs) + 3
    columns = max(1, min(4, width // cell))
    room = width // columns
    out: list[Line] = []
    for i in range(0, len(pairs), columns):
        spans: list[Span] = []
        for name, text, tone in pairs[i : i + columns]:
            used = width_of(((f"{name} {text}", "text"),))
            spans += [
                (f"{name} ", "dim"),
                (fit(text, max(1, min(room, width) - used + width_of(((text, "text"),)) - 1)), tone),
            ]
            spans.append((" ", "text"))
        out.append(tuple(spans))
    return out
