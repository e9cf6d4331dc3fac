"""The SOURCES screen: every source with all its counts, and the one under the cursor in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qraft.model import SourceStats, us_from_iso
from qraft.store import FieldSeen
from tui.language import t
from tui.state.pages import Page, Pane
from tui.state.session import Session
from tui.state.store import SourceState
from tui.views.sources import shown_state
from tui.views.sparkline import sparkline
from tui.views.text import (
    Line,
    Span,
    Tone,
    bar,
    clean,
    clip,
    clock,
    count,
    duration,
    fit,
    fit_middle,
    quantity,
    rule,
    score,
    value,
    width_of,
    wrap,
)

NOTICES = 5
BLANK: Line = ((" ", "text"),)


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of a source, or why they are not known."""

    source: str = ""
    fields: Sequence[FieldSeen] = ()
    problem: str = ""
    answered: bool = False


def title(session: Session, shown: int, width: int) -> Line:
    """How many, and how they are."""
    all_of = session.board.sources
    left: list[Span] = [(" ", "title"), (t("SOURCES"), "title"), (f" {shown}", "text")]
    if shown != len(all_of):
        left.append((t(" of {n}", n=len(all_of)), "text"))
    troubled = sum(s.stats.state in ("failed", "retrying") for s in all_of)
    if troubled:
        left.append((t(" · {n} in trouble", n=troubled), "bad"))
    if find := session.finds.get(Page.SOURCES):
        left.append((f" /{find}", "accent"))
    left.append((" ", "rule"))
    return rule(left, [(t("s sort: {name}", name=session.sort_name(Pane.SOURCES)), "dim")], width)


COLUMNS = ("rate", "lag", "score", "open", "events", "late", "lost", "dead", "entities", "last", "spark")
WIDTHS = {
    "rate": 6,
    "lag": 6,
    "score": 5,
    "open": 4,
    "events": 7,
    "late": 5,
    "lost": 7,
    "dead": 5,
    "entities": 5,
    "last": 8,
    "spark": 12,
}
DROPPED_FIRST = ("spark", "entities", "last", "dead", "late", "score", "events", "lag")
"""What gives way as it gets narrow, in this order."""


def columns(width: int) -> tuple[int, int, tuple[str, ...]]:
    """Widths of name and state, and the other columns that fit."""
    kept = list(COLUMNS)
    for gone in DROPPED_FIRST:
        if width - 18 - sum(WIDTHS[c] + 1 for c in kept) >= 16:
            break
        kept.remove(gone)
    name = width - 18 - sum(WIDTHS[c] + 1 for c in kept)
    return max(8, min(40, name)), 12, tuple(kept)


def header(width: int) -> Line:
    """Names of the columns."""
    name, word, kept = columns(width)
    words = {
        "rate": t("EV/S"),
        "lag": t("LAG"),
        "score": t("SCORE"),
        "open": t("OPEN"),
        "events": t("EVENTS"),
        "late": t("LATE"),
        "lost": t("LOST"),
        "dead": t("DEAD"),
        "entities": t("ENT"),
        "last": t("LAST"),
        "spark": t("LAST 60 S"),
    }
    cells = ["   " + fit(t("SOURCE"), name), fit(t("STATE"), word)]
    cells += [fit(words[c], WIDTHS[c], right=c not in ("last", "spark")) for c in kept]
    return clip([(" ".join(cells), "dim")], width)


def row(session: Session, source: SourceState, width: int, now_us: int) -> Line:
    """One source, after the cursor's column."""
    name, word_width, kept = columns(width)
    stats = source.stats
    glyph, word, tone, _ = shown_state(session, source, now_us)
    spans: list[Span] = [
        (glyph + " ", tone),
        (fit_middle(clean(stats.source), name) + " ", "strong"),
        (fit(word, word_width) + " ", tone),
    ]
    opened = session.board.open_of.get(stats.source, 0)
    for column in kept:
        text, look = _cell(source, stats, column, opened, session.view.at_us)
        spans.append((fit(text, WIDTHS[column], right=column not in ("last", "spark")) + " ", look))
    return clip(spans, width - 1)


def _cell(source: SourceState, stats: SourceStats, column: str, opened: int, view_us: int) -> tuple[str, Tone]:  # noqa: PLR0911 - a column each
    match column:
        case "rate":
            return quantity(stats.rate), "text"
        case "lag":
            slow: Tone = "bad" if stats.lag_seconds >= 60 else "warn" if stats.lag_seconds >= 5 else "text"
            return duration(stats.lag_seconds), slow
        case "score":
            return (score(stats.score) if stats.warm >= 1 else "—"), "text"
        case "open":
            return (str(opened), "accent") if opened else ("·", "dim")
        case "events":
            return quantity(stats.processed), "text"
        case "late":
            return (quantity(stats.late), "warn") if stats.late else ("·", "dim")
        case "lost":
            total = stats.dropped + stats.missing
            sign = "!" if stats.dropped else "?"
            return (f"{sign}{quantity(total)}", "bad" if stats.dropped else "warn") if total else ("·", "dim")
        case "dead":
            return (quantity(stats.dead), "warn") if stats.dead else ("·", "dim")
        case "entities":
            return quantity(stats.entities), "text"
        case "last":
            return _last(stats, view_us), "text"
        case _:
            return sparkline(source.rates(view_us, 60), WIDTHS["spark"]), "spark"


def _last(stats: SourceStats, view_us: int) -> str:
    try:
        return clock(us_from_iso(stats.last_event), view_us) if stats.last_event else "—"
    except ValueError:
        return "—"


def detail(session: Session, source: SourceState, schema: Schema, width: int, now_us: int) -> list[Line]:
    """One source in full: counts, what it says of itself, its notices, its fields."""
    stats = source.stats
    glyph, word, tone, _ = shown_state(session, source, now_us)
    out: list[Line] = [
        ((f"{glyph} ", tone), (clean(stats.source), "strong"), (f"  {clean(stats.adapter)} ", "dim"), (word, tone))
    ]
    if stats.detail:
        out += [
            ((one, "bad" if stats.state in ("failed", "retrying") else "text"),)
            for one in wrap(clean(stats.detail), width, 4)
        ]
    pairs = [
        (t("read"), count(stats.read)),
        (t("processed"), count(stats.processed)),
        (t("patterns"), count(stats.patterns)),
        (t("late events"), count(stats.late)),
        (t("repeated"), count(stats.duplicates)),
        (t("dead letters"), count(stats.dead)),
        (t("dropped"), count(stats.dropped)),
        (t("missing in the feed"), count(stats.missing)),
        (t("entities"), count(stats.entities)),
        (t("lag"), duration(stats.lag_seconds)),
        (t("last event"), stats.last_event[:19].replace("T", " ") or "—"),
    ]
    line: list[Span] = []
    for name, text in pairs:
        piece: list[Span] = [(f"{name} ", "dim"), (f"{text}   ", "text")]
        if line and width_of((*line, *piece)) > width + 3:
            out.append(tuple(line))
            line = []
        line += piece
    out.append(tuple(line))
    if stats.warm < 1 and stats.processed:
        out.append(
            ((t("warming up") + " ", "accent"), (bar(stats.warm, 20), "accent"), (f" {stats.warm * 100:.0f} %", "text"))
        )
    out += [*_notices(session, stats.source, width), BLANK, *_fields(stats.source, schema, width)]
    return out


def _notices(session: Session, source: str, width: int) -> list[Line]:
    out: list[Line] = []
    for engine in session.store.engines.values():
        for notice in [n for n in engine.stats.notices if n.source == source][-NOTICES:][::-1]:
            start: list[Span] = [(f"{clean(notice.timestamp)[11:19]} ", "dim"), (f"{clean(notice.kind)}: ", "warn")]
            out.append((*start, (fit(clean(notice.text), max(1, width - width_of(tuple(start)))), "text")))
    return [BLANK, *out] if out else []


def _fields(source: str, schema: Schema, width: int) -> list[Line]:
    if schema.source != source or not schema.answered:
        return [((t("asking for its fields …"), "dim"),)]
    if schema.problem:
        return [((row, "bad"),) for row in wrap(clean(schema.problem), width, 2)]
    if not schema.fields:
        return [((t("none of its events is stored yet"), "dim"),)]
    name = max(8, min(28, width - 42))
    cells = [fit(t("FIELD"), name), *(fit(head, 10, right=True) for head in (t("NOW"), t("LOWEST"), t("HIGHEST")))]
    out: list[Line] = [((fit(" ".join([*cells, fit(t("IN ROWS"), 8, right=True)]), width), "dim"),)]
    out += [
        (
            (fit_middle(clean(one.field), name) + " ", "strong"),
            *((fit(value(number), 10, right=True) + " ", "text") for number in (one.last, one.low, one.high)),
            (fit(f"{one.share * 100:.0f} %", 8, right=True), "text" if one.share >= 0.99 else "warn"),
        )
        for one in schema.fields
    ]
    return out
