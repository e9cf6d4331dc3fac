"""What stands above the panes: which episode, what happened, how sure, since when, whether it is muted."""

from __future__ import annotations

from qraft.model import us_from_iso
from tui.language import t, tn
from tui.state.episodes import Episode
from tui.state.mutes import ends_us
from tui.state.session import Session
from tui.views.episodes import state
from tui.views.sentence import sentence
from tui.views.text import (
    KIND_GLYPH,
    KIND_TONE,
    KIND_WORD,
    Line,
    Span,
    Tone,
    clean,
    clock,
    count,
    fit_middle,
    score,
    span_seconds,
    spread,
    width_of,
    wrap,
)
from tui.views.times import until
from tui.zone import zone_word

BAR = 20
ROOMY = 90


def lines(session: Session, episode: Episode, width: int, most: int) -> list[Line]:
    """The head in at most ``most`` lines of ``width`` cells; the first one names it and says what stands on it."""
    out = [_name(session, episode, width)]
    if most >= 2:
        out.append(_facts(session, episode, width))
    if most >= 4:
        out += _times(session, episode, width)
    room = most - len(out)
    if room > 0:
        said = wrap(sentence(episode.peak), max(8, width - 1), min(2, room))
        out[1:1] = [((row, "text"),) for row in said]
    return out[:most]


def _name(session: Session, episode: Episode, width: int) -> Line:
    tone = KIND_TONE[episode.type]
    verdict = state(session.mark(episode), session.judge.user, 30)
    right: list[Span] = [*verdict[:-1], (verdict[-1][0].rstrip(), verdict[-1][1])]
    first: list[Span] = [
        (f"{KIND_GLYPH[episode.type]} {t(KIND_WORD[episode.type])} ", tone),
        (fit_middle(clean(episode.name), max(8, width - 34)).rstrip(), "strong"),
    ]
    if episode.peak.kind and width >= ROOMY:
        first.append((f"  {clean(episode.peak.kind)}", "dim"))
    return spread(first, right, width)


def _facts(session: Session, episode: Episode, width: int) -> Line:
    peak = episode.peak
    size = BAR if width >= ROOMY else 10
    confidence = peak.details.confidence
    spans: list[Span] = [(f"{score(confidence)} ", "strong"), *against(confidence, peak.line, size, KIND_TONE[episode.type])]
    spans.append((t(" alert line {line}", line=score(peak.line)) if width >= 50 else "", "dim"))
    spans.append((f" · {clean(peak.detector)}", "text"))
    spans.append((" · " + tn("{n} pattern", "{n} patterns", episode.n, n=count(episode.n)), "text"))
    right = muted(session, episode)
    if right and width_of((*spans, *right)) + 2 > width:
        spans = spans[:-3]
    return spread(spans, right, width)


def against(confidence: float, line: float, size: int, tone: Tone) -> list[Span]:
    """A bar of the confidence with the alert line marked in it."""
    full = max(1, min(size, round(confidence * size)))
    at = min(size - 1, max(0, int(line * size)))
    cells = "━" * full + "·" * (size - full)
    return [
        (cells[: min(at, full)], tone),
        (cells[full:at], "dim"),
        ("│", "strong"),
        (cells[at + 1 : max(at + 1, full)], tone),
        (cells[max(at + 1, full) :], "dim"),
    ]


def muted(session: Session, episode: Episode) -> list[Span]:
    """Until when a mute covers it, and whose it is."""
    at_us = session.view.at_us
    mute = session.store.mutes.covers(episode.source, episode.entity, episode.type, episode.detector, at_us)
    if mute is None:
        return []
    return [(t("MUTED by @{user} until {when}", user=clean(mute.user) or "?", when=until(ends_us(mute), at_us)), "warn")]


def _times(session: Session, episode: Episode, width: int) -> list[Line]:
    now = session.view.at_us
    pairs: list[tuple[str, str]] = [(t("peak"), clock(episode.peak_us, now, 11))]
    if episode.n > 1:
        took = span_seconds((episode.last_us - episode.first_us) / 1e6)
        pairs.append((t("first–last"), f"{clock(episode.first_us, now, 11)}–{clock(episode.last_us, now, 11)} ({took})"))
    began = began_us(episode)
    if began is not None:
        ago = span_seconds((episode.peak_us - began) / 1e6)
        pairs.append((t("began"), t("{time}, {span} before", time=clock(began, now, 11), span=ago)))
    spans: list[Span] = []
    for name, text in pairs:
        piece: list[Span] = [(f"{name} ", "dim"), (f"{text}  ", "text")]
        if width_of((*spans, *piece)) > width + 2:
            break
        spans += piece
    spans.append((zone_word(), "dim"))
    ids = f"{episode.peak.pattern_id}"
    right: list[Span] = [(ids, "dim")] if width_of(tuple(spans)) + len(ids) + 2 <= width else []
    return [spread(spans, right, width)]


def began_us(episode: Episode) -> int | None:
    """From when the change is there, UTC microseconds; None where that is not known to be before the peak."""
    try:
        began = us_from_iso(episode.peak.began) if episode.peak.began else episode.peak_us
    except ValueError:
        return None
    return began if began < episode.peak_us else None
