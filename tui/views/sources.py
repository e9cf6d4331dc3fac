"""The list of sources: state, rate, lag, score, open episodes, and the rate of the last minute as a sparkline."""

from __future__ import annotations

from typing import Final, NamedTuple

from qraft.model import SourceStats
from tui.language import N_, t
from tui.state.pages import Pane
from tui.state.session import Session
from tui.state.store import IDLE_US, SourceState
from tui.views.sparkline import sparkline
from tui.views.text import (
    Line,
    Span,
    Tone,
    clean,
    clip,
    count,
    duration,
    fit,
    fit_middle,
    quantity,
    rule,
    score,
    span_seconds,
)

STATES: Final[dict[str, tuple[str, str, Tone]]] = {
    "starting": ("◌", N_("starting"), "dim"),
    "running": ("●", N_("running"), "good"),
    "external": ("●", N_("external"), "good"),
    "retrying": ("↻", N_("retrying"), "warn"),
    "paused": ("‖", N_("paused"), "warn"),
    "finished": ("✓", N_("finished"), "dim"),
    "failed": ("!", N_("failed"), "bad"),
}
"""Glyph, word (to be shown through ``t``) and tone of each state a source says it is in."""
SPARK_SECONDS = 60
LOST_WIDTH = 6


class Columns(NamedTuple):
    """Widths of the columns; 0 leaves one out."""

    name: int
    state: int
    rate: int
    lag: int
    score: int
    open: int
    lost: int
    spark: int


def columns(width: int, *, lost: bool = False) -> Columns:
    """The columns that fit; lag goes first, then the rate, then the sparkline. ``lost`` asks for one of losses."""
    room = width - (LOST_WIDTH + 1 if lost else 0)
    loss = LOST_WIDTH if lost else 0
    if room >= 62:
        free = room - 36
        name = min(24, max(14, free * 3 // 5 - 2))
        return Columns(name, 9, 5, 5, 5, 4, loss, min(30, free - name - 1))
    if room >= 54:
        free = room - 30
        name = max(12, free // 2)
        return Columns(name, 9, 5, 0, 5, 4, loss, free - name - 1)
    return Columns(max(8, room - 31), 9, 5, 0, 5, 4, loss, 0)


def any_lost(session: Session) -> bool:
    """Whether any source shown has given up events, or misses some."""
    return any(s.stats.dropped or s.stats.missing for s in session.board.sources)


def title(session: Session, width: int, *, active: bool) -> Line:
    """The rule above the list."""
    tone: Tone = "title" if active else "strong"
    left: list[Span] = [("▸ " if active else " ", tone), (t("1 SOURCES"), tone)]
    if session.board.sources:
        left.append((f" {len(session.board.sources)}", "text"))
    troubled = sum(s.stats.state in ("failed", "retrying") for s in session.board.sources)
    if troubled:
        left.append((t(" · {n} in trouble", n=troubled), "bad"))
    dropped, missing = (sum(getattr(s.stats, name) for s in session.board.sources) for name in ("dropped", "missing"))
    if dropped:
        left.append((t(" · {n} dropped", n=quantity(dropped)), "bad"))
    if missing:
        left.append((t(" · {n} missing", n=quantity(missing)), "warn"))
    left.append((" ", "rule"))
    order = t("s sort: {name}", name=session.sort_name(Pane.SOURCES))
    return rule(left, [(order, "dim")] if active and width >= 40 else [], width)


def header(session: Session, width: int, *, lost: bool = False) -> Line:
    """Names of the columns."""
    c = columns(width, lost=lost)
    cells = [
        "   " + fit(t("SOURCE"), c.name),
        fit(t("STATE"), c.state),
        fit(t("EV/S"), c.rate, right=True),
        fit(t("LAG"), c.lag, right=True),
        fit(t("SCORE"), c.score, right=True),
        fit(t("OPEN"), c.open, right=True),
        fit(t("LOST"), c.lost, right=True),
        fit(t("LAST 60 S") if session.past is None else t("WINDOW"), c.spark),
    ]
    return clip([(" ".join(cell for cell in cells if cell), "dim")], width)


def shown_state(session: Session, source: SourceState, now_us: int) -> tuple[str, str, Tone, bool]:
    """Glyph, word and tone of a source, and whether its numbers are of the time of the picture."""
    if session.past is not None:
        return "«", t("past"), "accent", True
    engine = session.store.engines.get(source.engine)
    if engine is None or engine.silent(now_us) or not session.store.link.up:
        span = span_seconds((now_us - engine.heard_us) / 1e6) if engine is not None else ""
        return "○", t("stale {span}", span=span).rstrip(), "warn", False
    return *state(source, session.view.at_us), True


def row(session: Session, source: SourceState, width: int, now_us: int, *, lost: bool = False) -> Line:
    """One source, after the cursor's column."""
    c = columns(width, lost=lost)
    stats = source.stats
    glyph, word, tone, known = shown_state(session, source, now_us)
    calm: Tone = "text" if known else "dim"
    opened = session.board.open_of.get(stats.source, 0)
    spans: list[Span] = [
        (glyph + " ", tone),
        (fit_middle(clean(stats.source), c.name) + " ", "strong" if known else "dim"),
        (fit(word, c.state) + " ", tone),
        (fit(quantity(stats.rate) if known else "—", c.rate, right=True) + " ", calm),
    ]
    if c.lag:
        spans.append(
            (
                fit(duration(stats.lag_seconds) if known and session.past is None else "—", c.lag, right=True) + " ",
                _lag_tone(stats) if known else "dim",
            )
        )
    spans.append((fit(score(stats.score) if stats.warm >= 1 else "—", c.score, right=True) + " ", calm))
    spans.append((fit(count(opened) if opened else "·", c.open, right=True) + " ", "accent" if opened else "dim"))
    if c.lost:
        spans.append(_lost(stats, c.lost))
    if c.spark:
        spans.append((sparkline(source.rates(session.view.at_us, SPARK_SECONDS), c.spark), "spark" if known else "dim"))
    return clip(spans, width - 1)


def _lost(stats: SourceStats, width: int) -> Span:
    """What was given up (``!``), else what never came (``?``); of both, the sum of the former's mark."""
    total = stats.dropped + stats.missing
    text = f"{'!' if stats.dropped else '?'}{quantity(total)}" if total else "·"
    return fit(text, width, right=True) + " ", "bad" if stats.dropped else "warn" if total else "dim"


def _lag_tone(stats: SourceStats) -> Tone:
    return "bad" if stats.lag_seconds >= 60 else "warn" if stats.lag_seconds >= 5 else "text"


def state(source: SourceState, view_us: int) -> tuple[str, str, Tone]:
    """Glyph, word and tone of a source's state at ``view_us``, the time of the picture."""
    stats = source.stats
    glyph, word, tone = STATES[stats.state]
    if stats.state in ("running", "external"):
        if stats.processed and stats.warm < 1:
            return "◐", t("warm {share}%", share=int(stats.warm * 100)), "accent"
        if view_us - source.changed_us > IDLE_US and (stats.processed or stats.state != "external"):
            return "○", t("idle {span}", span=span_seconds((view_us - source.changed_us) / 1e6)), "dim"
        if stats.state == "external" and not stats.processed:
            return "◌", t(word), "dim"
    return glyph, t(word), tone
