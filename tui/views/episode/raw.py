"""The events around the moment as they were sent."""

from __future__ import annotations

import json

from qraft.model import Pattern
from qraft.store import RawEvent
from tui.language import t
from tui.state.episodes import Episode
from tui.state.session import Session
from tui.views.text import KIND_GLYPH, KIND_TONE, Line, Span, Tone, clean, clip, count, duration, fit, moment, wrap

_DAY_US = 86_400_000_000
_FOLDED = 5
"""At most so many lines of the event under the cursor are shown in full."""


def remark(session: Session) -> list[Span]:
    """How many are loaded, or why not."""
    raws = session.story.raws
    if raws.problem:
        return [(clean(raws.problem), "bad")]
    if not raws.rows:
        return []
    return [(t("{n} loaded", n=count(len(raws.rows))) + (" …" if raws.loading else ""), "dim")]


def header(width: int) -> Line:
    """Names of the columns."""
    when, delta, name, rest = _columns(width)
    cells = ["   " + fit(t("TIME"), when), fit(t("FROM IT"), delta, right=True), fit(t("ID"), name), fit(t("PAYLOAD"), rest)]
    return clip([(" ".join(cell for cell in cells if cell.strip()), "dim")], width)


def _columns(width: int) -> tuple[int, int, int, int]:
    when, delta = (12, 8) if width >= 56 else (8, 7)
    name = 8 if width >= 64 else 0
    return when, delta, name, max(1, width - 3 - when - delta - name - (3 if name else 2))


def row(episode: Episode, event: RawEvent, width: int, *, found: bool) -> Line:
    """One event, after the cursor's column. ``found``: the pattern was raised on it."""
    when, delta, name, rest = _columns(width)
    tone: Tone = KIND_TONE[episode.type] if found else "text"
    glyph = KIND_GLYPH[episode.type] if found else " "
    spans: list[Span] = [
        (f"{glyph} ", tone),
        (fit(at(event.time_us, episode.peak_us, when), when) + " ", "strong" if found else "text"),
        (fit(delta_of(event.time_us - episode.peak_us), delta, right=True) + " ", tone if found else "dim"),
    ]
    if name:
        spans.append((event.event.event_id[:name].ljust(name) + " ", "dim"))
    spans.append((fit(compact(event), rest), "strong" if found else "text"))
    return clip(spans, width - 1)


def at(time_us: int, near_us: int, width: int) -> str:
    """The time of an event, to the millisecond where there is room; with its day where that is far from ``near_us``."""
    when = moment(time_us)
    if when is None:
        return "—"
    if abs(time_us - near_us) >= _DAY_US:
        return f"{when:%m-%d %H:%M}" if width >= 11 else f"{when:%m-%d}"
    return f"{when:%H:%M:%S}.{time_us // 1000 % 1000:03d}" if width >= 12 else f"{when:%H:%M:%S}"


def delta_of(span_us: int) -> str:
    """How long before or after the moment."""
    if span_us == 0:
        return "0"
    return f"{'+' if span_us > 0 else '-'}{duration(abs(span_us) / 1e6)}"


def compact(event: RawEvent) -> str:
    """The payload as JSON without blanks that only adorn."""
    return clean(json.dumps(event.event.payload, ensure_ascii=False, separators=(",", ":"), default=str))


def folded(event: RawEvent, width: int) -> list[Line]:
    """The event under the cursor in full, as far as some lines hold it."""
    text = json.dumps(event.event.payload, ensure_ascii=False, separators=(", ", ": "), default=str)
    head: Line = clip([(f" {event.event.event_id} ", "dim"), (clean(event.event.type), "dim")], width)
    return [head, *(((" " + line, "text"),) for line in wrap(clean(text), width - 2, _FOLDED))]


def empty(session: Session, pattern: Pattern) -> tuple[str, Tone]:
    """Why there is none."""
    raws = session.story.raws
    if raws.problem:
        return clean(raws.problem), "bad"
    if not raws.answered:
        return t("asking ClickHouse …"), "dim"
    name = f"{pattern.source}/{pattern.entity}" if pattern.entity else pattern.source
    return t("no event of {name} is stored around it: not yet, or no longer", name=clean(name)), "dim"
