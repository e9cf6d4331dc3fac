"""The list of episodes: its rule, header, rows, and what stands there before the first one."""

from __future__ import annotations

from typing import NamedTuple

from qraft.model import Verdict
from tui.state.episodes import Episode
from tui.state.session import Pane, Session
from tui.state.verdicts import Delivery, Mark
from tui.views.text import (
    KIND_GLYPH,
    KIND_SHORT,
    KIND_TONE,
    KIND_WORD,
    Line,
    Span,
    Tone,
    bar,
    brief,
    clean,
    clip,
    clock,
    count,
    fit,
    fit_middle,
    quantity,
    rule,
    score,
    width_of,
)

VERDICT_WORD: dict[Verdict, str] = {
    "confirmed": "CONFIRMED",
    "false_positive": "FALSE POS",
    "expected": "EXPECTED",
    "new_normal": "NORMAL",
}
VERDICT_TONE: dict[Verdict, Tone] = {"confirmed": "good", "false_positive": "dim", "expected": "dim", "new_normal": "dim"}


class Columns(NamedTuple):
    """Widths of the columns; 0 leaves one out. They depend on the width alone, so nothing jumps."""

    last: int
    kind: int
    name: int
    what: int
    n: int
    bar: int
    detector: int
    state: int


def columns(width: int) -> Columns:
    """The columns that fit; detector and bar go first, then what happened."""
    if width >= 110:
        free = width - 68
        name = min(26, max(18, free * 9 // 20))
        return Columns(11, 7, name, free - name, 5, 4, 9, 18)
    if width >= 96:
        free = width - 53
        return Columns(8, 5, min(24, free // 2), free - min(24, free // 2), 5, 4, 0, 18)
    if width >= 76:
        free = width - 44
        name = min(20, max(14, free * 9 // 20))
        return Columns(8, 5, name, free - name, 4, 0, 0, 14)
    return Columns(8, 5, max(8, width - 40), 0, 4, 0, 0, 11)


def title(session: Session, now_us: int, width: int, *, active: bool) -> Line:
    """The rule above the list: how many, what is filtered, how it is sorted."""
    tone: Tone = "title" if active else "strong"
    left: list[Span] = [("▸ " if active else " ", tone), ("2 EPISODES", tone)]
    if session.filter:
        left += [(f" {count(len(session.rows))} of {count(session.total)} ", "text"), (f"/{session.filter.text}", "accent")]
    elif session.total:
        left += [(f" {count(sum(session.open_of.values()))} open", "text"), (f" · {count(session.new)} new", "text")]
    left.append((" ", "rule"))
    right: list[Span] = []
    if session.waiting and session.held(now_us):
        right.append((f"order held · {session.waiting} waiting", "warn"))
    elif width >= 76:
        right.append((f"s sort: {session.sort_name(Pane.EPISODES)}", "dim"))
    return rule(left, right, width)


def header(width: int) -> Line:
    """Names of the columns."""
    c = columns(width)
    cells = [
        "   " + fit("LAST", c.last),
        fit("KIND", c.kind),
        fit("SOURCE", c.name),
        fit("WHAT CHANGED", c.what),
        fit("N", c.n, right=True),
        fit("CONF", 4 + c.bar),
        fit("DETECTOR", c.detector),
        fit("STATE", c.state),
    ]
    return clip([(" ".join(cell for cell in cells if cell), "dim")], width)


def row(session: Session, episode: Episode, width: int) -> Line:
    """One episode, after the cursor's column."""
    c = columns(width)
    tone = KIND_TONE[episode.type]
    calm: Tone = "text" if session.store.is_open(episode, session.view_us) else "dim"
    word = KIND_WORD if c.kind >= 7 else KIND_SHORT
    spans: list[Span] = [
        (KIND_GLYPH[episode.type] + " ", tone),
        (fit(clock(episode.last_us, session.view_us, c.last), c.last) + " ", calm),
        (fit(word[episode.type], c.kind) + " ", tone),
        (fit_middle(clean(episode.name), c.name) + " ", "strong" if calm == "text" else "text"),
    ]
    if c.what:
        spans.append((fit(what(episode, c.what), c.what) + " ", calm))
    spans.append((fit(_n(episode.n, c.n), c.n, right=True) + " ", calm))
    spans.append((score(episode.confidence) + " ", "text"))
    spans.append((bar(episode.confidence, c.bar) + " ", tone))
    if c.detector:
        spans.append((fit(clean(episode.detector), c.detector) + " ", "dim"))
    spans += state(session.store.mark(episode), session.judge.user, c.state)
    return clip(spans, width - 1)


def _n(number: int, width: int) -> str:
    text = str(number)
    return text if len(text) <= width else quantity(number)


def what(episode: Episode, width: int) -> str:
    """What happened in a few words: the first field with its values before and after, else the sentence."""
    if not episode.peak.contributors:
        return clean(episode.peak.summary)
    first = episode.peak.contributors[0]
    if first.after is None:
        return clean(episode.peak.summary or first.field)
    name = clean(first.field)
    before = brief(first.before) if first.before is not None else ""
    values = f"{before} → {brief(first.after)}".lstrip()
    if width_of(((f"{name} {values}", "text"),)) > width:
        values = values.replace(" → ", "→")
    room = width - len(values) - 1
    return f"{fit_middle(name, room).rstrip()} {values}" if room >= 4 else values


def state(mark: Mark, user: str, width: int) -> list[Span]:
    """The verdict that stands, whose it is, and how far it got."""
    spans: list[Span] = [(VERDICT_WORD[mark.verdict], VERDICT_TONE[mark.verdict]) if mark.verdict else ("NEW", "accent")]
    wide = width >= 18
    if mark.delivery is Delivery.UNSENT:
        spans.append((" ◌ unsent" if wide else " ◌", "warn"))
    elif mark.delivery is Delivery.REFUSED:
        spans.append((" ! refused" if wide else " !", "bad"))
    elif mark.feedback is not None and mark.feedback.user == user:
        spans.append((" ● stored" if wide else " ●", "good"))
    elif mark.feedback is not None and mark.feedback.user:
        spans.append((f" @{clean(mark.feedback.user)}", "dim"))
    return list(clip(spans, width))
