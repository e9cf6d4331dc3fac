"""One episode in full: what happened, the chart of its first field, before and after, and who shares in it."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len

from qraft.model import Pattern
from tui.language import t, tn
from tui.state.episodes import Episode
from tui.state.pages import Pane
from tui.state.session import Session
from tui.views.braille_chart import chart
from tui.views.episodes import state
from tui.views.sentence import sentence
from tui.views.text import (
    KIND_GLYPH,
    KIND_TONE,
    KIND_WORD,
    Line,
    Span,
    Tone,
    bar,
    centre,
    change,
    clean,
    clip,
    clock,
    count,
    fit,
    fit_middle,
    rule,
    score,
    span_seconds,
    spread,
    value,
    width_of,
    wrap,
)

MIN_CHART = 5
MIN_CHART_FULL = 8
MAX_CHART = 16


def title(session: Session, width: int, *, single: bool) -> Line:
    """The rule above the detail; ``single`` when it has the whole screen."""
    tone: Tone = "title" if session.pane is Pane.DETAIL else "strong"
    left: list[Span] = [("▸ " if session.pane is Pane.DETAIL else " ", tone), (t("3 DETAIL "), tone)]
    right: list[Span] = [(t("esc back"), "dim")] if single else [(t("enter in full"), "dim")] if session.selected else []
    return rule(left, right, width)


def lines(session: Session, episode: Episode, width: int, height: int, *, full: bool, ascii_only: bool) -> list[Line]:
    """The detail in ``width`` cells. It may be longer than ``height``, which only decides how tall the chart is."""
    tone = KIND_TONE[episode.type]
    head = _head(session, episode, width, tone, full=full)
    table = _table(episode.peak, width, tone, limit=12 if full else 4)
    more = _more(session, episode, width) if full else []
    room = height - len(head) - len(table) - len(more)
    tall = min(MAX_CHART, max(MIN_CHART_FULL, room)) if full else max(MIN_CHART, room)
    return [*head, *_chart(session, episode, width, tall, tone, ascii_only=ascii_only), *table, *more]


def _head(session: Session, episode: Episode, width: int, tone: Tone, *, full: bool) -> list[Line]:
    peak = episode.peak
    first: Line = (
        (f"{KIND_GLYPH[episode.type]} {t(KIND_WORD[episode.type])} ", tone),
        (fit_middle(clean(episode.name), max(8, width - 26)).rstrip(), "strong"),
    )
    verdict = state(session.mark(episode), session.judge.user, 18)
    shown = width_of(tuple(verdict)) - len(verdict[-1][0]) if len(verdict) > 1 and not verdict[-1][0].strip() else 18
    out = [spread(first, clip(verdict, shown), width)]
    confidence = peak.details.confidence
    facts: list[Span] = [
        (score(confidence) + " ", "strong"),
        (bar(confidence, 6 if width < 70 else 10), tone),
        (t(" alert line {line}", line=score(peak.line)) if full else t(" line {line}", line=score(peak.line)), "dim"),
        (f" · {clean(peak.detector)}", "text"),
        (f" · {count(episode.n)}×" if episode.n > 1 else "", "text"),
    ]
    when = clock(episode.peak_us, session.view.at_us, 11)
    took = (episode.last_us - episode.first_us) / 1e6
    at: list[Span] = [(f"{when} UTC" if full else when, "text")]
    if full and width >= 100 and took > 0:
        first_at, last_at = (clock(us, session.view.at_us, 11) for us in (episode.first_us, episode.last_us))
        at.append((f" · {first_at} – {last_at}", "dim"))
        at.append((f" ({span_seconds(took)})", "dim"))
    out.append(spread(facts, at, width))
    out += [((row, "text"),) for row in wrap(sentence(peak), width, 3 if full else 2)]
    return out


def _chart(session: Session, episode: Episode, width: int, height: int, tone: Tone, *, ascii_only: bool) -> list[Line]:
    peak = episode.peak
    first = peak.contributors[0] if peak.contributors else None
    if first is None:
        return []
    known = session.charts.get(peak.pattern_id)
    if known is None or not known.answered:
        return _remark(t("loading the events around it …"), width, height)
    points = [(e.time_us, e.fields[first.field]) for e in known.events if first.field in e.fields]
    if not points:
        if known.problem:
            return _remark(known.problem, width, height)
        return _remark(t("its events are not stored yet; they follow within seconds"), width, height)
    drawn = chart(
        points,
        width,
        height - 1,
        mark_us=episode.peak_us,
        before=first.before,
        after=first.after,
        tone=tone,
        ascii_only=ascii_only,
    )
    head: Line = (
        (fit_middle(clean(first.field), max(8, width - (42 if width >= 60 else 13))).rstrip(), "strong"),
        (tn("  {n} event", "  {n} events", len(points)), "dim"),
        (t("  ╌ level before and after") if width >= 60 else "", "dim"),
    )
    return [clip(head, width), *drawn] if drawn else []


def _remark(text: str, width: int, height: int) -> list[Line]:
    rows = wrap(clean(text), width - 4, 3)
    above = max(0, (height - len(rows)) // 2)
    blank: Line = ((" ", "text"),)
    below = max(0, height - above - len(rows))
    return [blank] * above + [((centre(row, width).rstrip(), "dim"),) for row in rows] + [blank] * below


def _table(pattern: Pattern, width: int, tone: Tone, limit: int) -> list[Line]:
    shown = pattern.contributors[:limit]
    if not shown:
        return []
    rows = [(clean(c.field), value(c.before), value(c.after), change(c.before, c.after)) for c in shown]
    before, after, moved = (max(6, *(cell_len(row[i]) for row in rows)) for i in (1, 2, 3))
    rest = width - before - after - moved - 9
    name = max(5, min(max(cell_len(row[0]) for row in rows), rest - 3))
    share = min(20, rest - name)
    names = [
        fit(t("FIELD"), name),
        fit(t("BEFORE"), before, right=True),
        fit(t("AFTER"), after, right=True),
        fit(t("CHANGE"), moved, right=True),
        fit(t("SHARE"), share + 5),
    ]
    out: list[Line] = [((" ".join(names), "dim"),)]
    for i, (c, row) in enumerate(zip(shown, rows, strict=True)):
        mine: Tone = tone if i == 0 else "text"
        out.append(
            (
                (fit_middle(row[0], name) + " ", "strong" if i == 0 else "text"),
                (fit(row[1], before, right=True) + " ", "text"),
                (fit(row[2], after, right=True) + " ", "strong"),
                (fit(row[3], moved, right=True) + " ", mine),
                (f"{c.score * 100:3.0f}% ", "text"),
                (bar(c.score, share), mine),
            )
        )
    hidden = len(pattern.contributors) - limit
    if hidden > 0:
        out[-1] = (*out[-1][:-1], (fit(t("+{n} more", n=hidden) if share > 7 else f"+{hidden}", share), "dim"))
    return out


def _more(session: Session, episode: Episode, width: int) -> list[Line]:
    peak = episode.peak
    out: list[Line] = []
    states = _states(peak.details.prev_state, peak.details.new_state)
    if states:
        name = min(24, max(cell_len(k) for k, _, _ in states) + 1)
        longest = max(cell_len(was) for _, was, _ in states)
        cell = max(8, min(longest + 1, (width - name - 3) // 2))
        rest = max(8, width - name - cell - 3)
        out += [((" ", "text"),), ((f"{fit(t('STATE'), name)} {fit(t('WAS'), cell)} {fit(t('IS'), rest)}", "dim"),)]
        out += [
            ((fit(k, name) + " ", "text"), (fit(was, cell) + " ", "text"), (fit(now, rest), "strong"))
            for k, was, now in states
        ]
    numbers = [(clean(k), value(v)) for k, v in peak.details.metrics.items()]
    if numbers:
        out += [((" ", "text"),), ((t("METRICS"), "dim"),), *_flow(numbers, width)]
    mark = session.mark(episode)
    who: list[tuple[str, str]] = []
    if mark.feedback is not None:
        user = clean(mark.feedback.user) or t("unknown")
        said = t("{user} at {time} UTC", user=user, time=mark.feedback.timestamp[:19].replace("T", " "))
        who.append((t("verdict by"), said))
    ids = [
        *who,
        (t("pattern"), peak.pattern_id),
        (t("event"), peak.event_id or "—"),
        (t("event time"), peak.timestamp),
    ]
    return [*out, ((" ", "text"),), *_flow(ids, width)]


def _states(was: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, str, str]]:
    keys = [k for k in dict.fromkeys([*was, *now]) if not _by_field(was.get(k)) and not _by_field(now.get(k))]
    return [(clean(k), _show(was.get(k)), _show(now.get(k))) for k in keys[:8]]


def _by_field(thing: Any) -> bool:
    """Whether it holds values field by field, which the table above tells better."""
    return isinstance(thing, dict) and any(isinstance(v, dict) for v in thing.values())


def _show(thing: Any) -> str:
    if thing is None:
        return "—"
    if isinstance(thing, float):
        return value(thing)
    if isinstance(thing, dict):
        return clean(" ".join(f"{k}={_show(v)}" for k, v in thing.items()))
    if isinstance(thing, list):
        return clean(" ".join(_show(v) for v in thing))
    return clean(str(thing))


def _flow(pairs: list[tuple[str, str]], width: int) -> list[Line]:
    out: list[Line] = []
    row: list[Span] = []
    for name, text in pairs:
        spans: list[Span] = [(f"{name} ", "dim"), (f"{text}   ", "text")]
        if row and width_of((*row, *spans)) > width + 3:
            out.append(tuple(row))
            row = []
        row += spans
    return [*out, tuple(row)] if row else out
