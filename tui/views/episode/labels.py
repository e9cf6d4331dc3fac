"""Everything that was said on the episode."""

from __future__ import annotations

from qraft.model import Feedback, Scope, us_from_iso
from tui.language import t
from tui.state.episodes import Episode
from tui.state.labels import VERDICT_WORD
from tui.state.mutes import ends_us
from tui.state.session import Session
from tui.state.story import Saying, sayings
from tui.state.verdicts import Delivery
from tui.views.episode.panes import unanswered
from tui.views.feedback import TONE, scope_text
from tui.views.text import Line, Span, Tone, clean, clip, clock, fit
from tui.views.times import until

_GLYPH: dict[Delivery, tuple[str, Tone]] = {
    Delivery.UNSENT: ("◌", "warn"),
    Delivery.STORED: ("●", "good"),
    Delivery.REFUSED: ("!", "bad"),
}


def rows(session: Session, episode: Episode) -> list[Saying]:
    """What is stored, and what was heard or said here, the newest first."""
    known = [(f, Delivery.STORED) for f in session.story.said]
    for ledger in session.ledgers():
        keys = {ledger.episodes.resolve(episode.key), ledger.episodes.key_of(episode.peak.pattern_id) or ""}
        known += [(f, ledger.verdicts.delivery(f.feedback_id)) for key in keys for f in ledger.verdicts.said(key)]
    return sayings(known)


def remark(session: Session, number: int) -> list[Span]:
    """How many."""
    if session.story.problem:
        return [(t("heard here only"), "warn")]
    return [(str(number), "dim")] if number else []


def header(width: int) -> Line:
    """Names of the columns."""
    when, who, verdict, rest = _columns(width)
    cells = ["   " + fit(t("WHEN"), when), fit(t("WHO"), who), fit(t("SAID"), verdict), fit(t("WHAT"), rest)]
    return clip([(" ".join(cells), "dim")], width)


def _columns(width: int) -> tuple[int, int, int, int]:
    when, who, verdict = (11, 10, 14) if width >= 70 else (8, 8, 14) if width >= 48 else (8, 6, 9)
    return when, who, verdict, max(1, width - 3 - when - who - verdict - 4)


def row(session: Session, saying: Saying, width: int) -> Line:
    """One thing, after the cursor's column."""
    when, who, verdict, rest = _columns(width)
    said = saying.feedback
    gone = saying.undo is not None
    glyph, glyph_tone = _GLYPH[saying.delivery]
    own = said.user == session.judge.user
    tone: Tone = "dim" if gone else TONE.get(said.verdict, "text")
    spans: list[Span] = [
        (f"{glyph} ", glyph_tone),
        (fit(_clock(said, session, when), when) + " ", "dim" if gone else "text"),
        (fit("@" + (clean(said.user) or "?"), who) + " ", "dim" if gone else "strong" if own else "text"),
        (fit(t(VERDICT_WORD[said.verdict]), verdict) + " ", tone),
        (fit(_what(session, saying), rest), "dim" if gone else "text"),
    ]
    return clip(spans, width - 1)


def _what(session: Session, saying: Saying) -> str:
    said, parts = saying.feedback, []
    if saying.undo is not None:
        by, when = clean(saying.undo.user) or "?", _clock(saying.undo, session, 8)
        parts.append(t("taken back by @{user} {time}", user=by, time=when))
    if saying.delivery is Delivery.REFUSED:
        parts.append(t("refused"))
    if saying.delivery is Delivery.UNSENT:
        parts.append(t("unsent"))
    if said.verdict == "mute":
        end = until(ends_us(said), session.view.at_us)
        parts.append(t("{what} until {when}", what=scope_text(said.scope or Scope()), when=end))
    if said.note:
        parts.append(clean(said.note))
    return " · ".join(parts)


def _clock(said: Feedback, session: Session, width: int) -> str:
    try:
        return clock(us_from_iso(said.timestamp), session.view.at_us, width)
    except ValueError:
        return "—"


def empty(session: Session) -> tuple[str, Tone]:
    """Why nothing stands here."""
    return unanswered(
        session,
        t(
            "nobody has said anything: {confirm} confirms, {fp} calls it a false positive, {note} writes a note",
            confirm=session.key("confirm"),
            fp=session.key("false_positive"),
            note=session.key("note"),
        ),
    )
