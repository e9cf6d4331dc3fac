"""The list of episodes: its rule, header, rows, and what stands there before the first one."""

from __future__ import annotations

from typing import NamedTuple

from qraft.model import Verdict
from tui.language import N_, t
from tui.state.episodes import Episode
from tui.state.mutes import ends_us
from tui.state.pages import Pane
from tui.state.session import Session
from tui.state.verdicts import Delivery, Mark
from tui.views.sentence import sentence
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
    span_seconds,
    width_of,
)

VERDICT_WORD: dict[Verdict, str] = {
    "confirmed": N_("CONFIRMED"),
    "false_positive": N_("FALSE POS"),
    "expected": N_("EXPECTED"),
    "new_normal": N_("NORMAL"),
}
"""Words of the verdicts in force, to be shown through ``t``."""
VERDICT_TONE: dict[Verdict, Tone] = {"confirmed": "good", "false_positive": "dim", "expected": "dim", "new_normal": "dim"}

_LEAST_NAME = 5
"""So much of `` @name`` must fit, else there is none."""


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
    left: list[Span] = [("▸ " if active else " ", tone), (t("2 EPISODES"), tone)]
    if session.filter:
        found = t(" {n} of {all} ", n=count(len(session.board.rows)), all=count(session.board.total))
        left += [(found, "text"), (f"/{session.filter.text}", "accent")]
    elif session.board.total:
        if session.past is None:
            left.append((t(" {n} open", n=count(sum(session.board.open_of.values()))), "text"))
        else:
            left.append((f" {count(session.board.total)}", "text"))
        left.append((t(" · {n} new", n=count(session.board.new)), "text"))
    if session.board.hidden:
        left.append((t(" · {n} muted", n=count(session.board.hidden)), "warn"))
    if session.board.marked:
        left.append((t(" · {n} marked", n=len(session.board.marked)), "warn"))
    left.append((" ", "rule"))
    right: list[Span] = []
    if session.past is not None and session.past.problem:
        right.append((clean(session.past.problem), "bad"))
    elif session.past is not None and session.past.total > session.board.total:
        right.append((t("the newest {n} of {all}", n=count(session.board.total), all=count(session.past.total)), "warn"))
    elif session.board.waiting and session.held(now_us):
        right.append((t("order held · {n} waiting", n=session.board.waiting), "warn"))
    elif width >= 76:
        right.append((t("s sort: {name}", name=session.sort_name(Pane.EPISODES)), "dim"))
    return rule(left, right, width)


def header(width: int) -> Line:
    """Names of the columns."""
    c = columns(width)
    cells = [
        "   " + fit(t("LAST"), c.last),
        fit(t("KIND"), c.kind),
        fit(t("SOURCE"), c.name),
        fit(t("WHAT CHANGED"), c.what),
        fit(t("N"), c.n, right=True),
        fit(t("CONF"), 4 + c.bar),
        fit(t("DETECTOR"), c.detector),
        fit(t("STATE"), c.state),
    ]
    return clip([(" ".join(cell for cell in cells if cell), "dim")], width)


def row(session: Session, episode: Episode, width: int, *, stored: bool = False) -> Line:
    """One episode, after the cursor's column. ``stored`` ones are none the paler for being over."""
    c = columns(width)
    tone = KIND_TONE[episode.type]
    calm: Tone = "text" if stored or session.view.is_open(episode) else "dim"
    word = KIND_WORD if c.kind >= 7 else KIND_SHORT
    spans: list[Span] = [
        (KIND_GLYPH[episode.type] + " ", tone),
        (fit(clock(episode.last_us, session.view.at_us, c.last), c.last) + " ", calm),
        (fit(t(word[episode.type]), c.kind) + " ", tone),
        (fit_middle(clean(episode.name), c.name) + " ", "strong" if calm == "text" else "text"),
    ]
    if c.what:
        spans.append((fit(what(episode, c.what), c.what) + " ", calm))
    spans.append((fit(_n(episode.n, c.n), c.n, right=True) + " ", calm))
    spans.append((score(episode.confidence) + " ", "text"))
    spans.append((bar(episode.confidence, c.bar) + " ", tone))
    if c.detector:
        spans.append((fit(clean(episode.detector), c.detector) + " ", "dim"))
    muted = session.store.mutes.covers(episode.source, episode.entity, episode.type, episode.detector, session.view.at_us)
    if muted is not None:
        left = span_seconds(max(0, ends_us(muted) - session.view.at_us) / 1e6)
        spans.append((fit(t("MUTED {span}", span=left), c.state), "dim"))
    else:
        spans += state(session.mark(episode), session.judge.user, c.state)
    return clip(spans, width - 1)


def _n(number: int, width: int) -> str:
    text = str(number)
    return text if len(text) <= width else quantity(number)


def what(episode: Episode, width: int) -> str:
    """What happened in a few words: the first field with its values before and after, else the sentence."""
    if not episode.peak.contributors:
        return sentence(episode.peak)
    first = episode.peak.contributors[0]
    if first.after is None:
        return sentence(episode.peak) or clean(first.field)
    name = clean(first.field)
    before = brief(first.before) if first.before is not None else ""
    values = f"{before} → {brief(first.after)}".lstrip()
    if width_of(((f"{name} {values}", "text"),)) > width:
        values = values.replace(" → ", "→")
    room = width - len(values) - 1
    return f"{fit_middle(name, room).rstrip()} {values}" if room >= 4 else values


def state(mark: Mark, user: str, width: int) -> list[Span]:
    """The verdict that stands, whose it is, and how far it got."""
    spans: list[Span] = [
        (t(VERDICT_WORD[mark.verdict]), VERDICT_TONE[mark.verdict]) if mark.verdict else (t("NEW"), "accent")
    ]
    wide = width >= 18
    if mark.delivery is Delivery.UNSENT:
        spans.append((t(" ◌ unsent") if wide else " ◌", "warn"))
    elif mark.delivery is Delivery.REFUSED:
        spans.append((t(" ! refused") if wide else " !", "bad"))
    elif mark.feedback is not None and mark.feedback.user == user:
        spans.append((t(" ● stored") if wide else " ●", "good"))
    elif mark.feedback is not None and mark.feedback.user:
        name = f" @{clean(mark.feedback.user)}"
        if width_of((*spans, (name[:_LEAST_NAME], "dim"))) <= width:
            spans.append((name, "dim"))
    return list(clip(spans, width))
