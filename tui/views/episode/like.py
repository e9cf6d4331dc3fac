"""Earlier findings like it, with what was said on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from qraft.model import Verdict
from qraft.store import StoredPattern
from tui.language import t, tn
from tui.state.episodes import Episode, time_of
from tui.state.session import Session
from tui.state.story import episode_of
from tui.views.episode.panes import unanswered
from tui.views.episodes import VERDICT_TONE, VERDICT_WORD, what
from tui.views.text import Line, Span, Tone, bar, clean, clip, clock, count, duration, fit, score

_ORDER: Final[tuple[Verdict, ...]] = ("confirmed", "false_positive", "expected", "new_normal")


def summary(session: Session, width: int) -> Line:
    """How many there are, and what was said on them."""
    counts = session.story.counts
    total = sum(counts.values())
    spans: list[Span] = [(" " + tn("{n} like it: ", "{n} like it: ", total, n=count(total)), "strong")]
    first = True
    for verdict, words in _counted(counts):
        spans.append((f"{'' if first else t(', ')}{words}", "good" if verdict == "confirmed" else "text"))
        first = False
    if number := counts.get("", 0):
        spans.append((("" if first else t(", ")) + t("{n} without a verdict", n=count(number)), "dim"))
    return clip(spans, width)


def _counted(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """The verdicts that were given, each with how often in words."""
    confirmed, wrong, expected, normal = (counts.get(verdict, 0) for verdict in _ORDER)
    if confirmed:
        yield "confirmed", tn("{n} confirmed", "{n} confirmed", confirmed, n=count(confirmed))
    if wrong:
        yield "false_positive", tn("{n} false positive", "{n} false positives", wrong, n=count(wrong))
    if expected:
        yield "expected", tn("{n} expected", "{n} expected", expected, n=count(expected))
    if normal:
        yield "new_normal", tn("{n} new normal", "{n} new normal", normal, n=count(normal))


def remark(session: Session) -> list[Span]:
    """That one may go on."""
    return [(t("enter opens it"), "dim")] if session.story.similar else []


def _columns(width: int) -> tuple[int, int, int, int, int]:
    when, ago, state = (11, 6, 16) if width >= 66 else (8, 6, 14) if width >= 44 else (8, 0, 10)
    size = 5 if width >= 66 else 0
    return when, ago, size, state, max(0, width - 3 - when - ago - size - state - 8)


def row(session: Session, episode: Episode, stored: StoredPattern, width: int) -> Line:
    """One of them, after the cursor's column."""
    when, ago, size, state, rest = _columns(width)
    one = episode_of(stored)
    at_us = time_of(stored.pattern)
    spans: list[Span] = [(" " + fit(clock(at_us, session.view.at_us, when), when) + " ", "text")]
    if ago:
        spans.append((fit(duration(max(0, episode.peak_us - at_us) / 1e6), ago, right=True) + " ", "dim"))
    spans.append((score(one.confidence) + " ", "text"))
    if size:
        spans.append((bar(one.confidence, size) + " ", "dim"))
    spans += [*_state(stored, state), (" ", "text")]
    if rest >= 8:
        spans.append((fit(what(one, rest), rest), "text"))
    return clip(spans, width - 1)


def _state(stored: StoredPattern, width: int) -> Line:
    if stored.verdict is None or stored.verdict not in VERDICT_WORD:
        return clip([("·", "dim")], width)
    spans: list[Span] = [(t(VERDICT_WORD[stored.verdict]), VERDICT_TONE[stored.verdict])]
    if stored.verdict_user:
        spans.append((f" @{clean(stored.verdict_user)}", "dim"))
    return clip(spans, width)


def empty(session: Session) -> tuple[str, Tone]:
    """Why there is none."""
    return unanswered(session, t("nothing like it was found before: same kind, mostly the same fields"))
