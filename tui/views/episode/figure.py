"""The chart of one contributor: reference and current window, the moment, levels, a band over long stretches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from qraft.model import CleanEvent, Contributor, Pattern
from tui.language import t, tn, translated
from tui.state.charts import Surroundings
from tui.state.episodes import Episode
from tui.state.session import Session
from tui.state.story import BUCKETS, STRETCHES, Part
from tui.views.braille_chart import ASCII_BEGAN, ASCII_MARK, BEGAN, MARK, Dots, Stretch, chart
from tui.views.episode.head import began_us
from tui.views.episode.panes import instead
from tui.views.text import KIND_TONE, Line, Span, clean, clip, clock, count, fit_middle, spread, width_of

_BROKEN = 20
"""A gap of so many usual gaps is shown as one."""


class Series(NamedTuple):
    """What is drawn: one field as it is stored.

    Attributes:
        rows: events behind the points.
        gap_us: points farther apart are not connected.
        band: least and greatest value by bucket.
        window: the stretch of time; None for that of the points.
    """

    name: str
    points: list[tuple[int, float]]
    rows: int
    gap_us: int
    band: Sequence[tuple[int, float, float]] = ()
    window: tuple[int, int] | None = None


class Canvas(NamedTuple):
    """Cells to draw in, and with what."""

    width: int
    height: int
    dots: Dots


def drawn(session: Session, episode: Episode) -> Contributor | None:
    """The contributor in the chart."""
    peak = episode.peak
    found = next((c for c in peak.contributors if c.field == session.story.drawn), None)
    return found or next(iter(peak.contributors), None)


def stored_field(field: Contributor, known: Surroundings | None) -> str:
    """The field as events have it: a feature that is not stored is told by what it is made of."""
    events = known.events if known is not None else []
    if field.origin and not any(field.field in e.fields for e in events) and any(field.origin in e.fields for e in events):
        return field.origin
    return field.field


def windows(pattern: Pattern, at_us: int, began: int | None, events: Sequence[CleanEvent]) -> list[Stretch]:
    """The rows that were held against each other, as far as the pattern says which: the reference, and those of now.

    Numbers of rows become times by the events known around the pattern; beyond these by how far apart they are.
    """
    state = pattern.details
    rows_before = _rows(state.prev_state.get("n"), state.metrics.get("rows_before"))
    rows_now = _rows(state.new_state.get("n"), state.metrics.get("rows_since"))
    earlier = [e.time_us for e in events if e.time_us <= at_us]
    since = began if began is not None else _back(earlier, at_us, rows_now) if rows_now > 1 else at_us
    reference = [us for us in earlier if us < since]
    until = reference[-1] if reference else since
    start = _back(reference, until, rows_before) if rows_before else (earlier[0] if earlier else since) - 1
    found = []
    if start < until:
        found.append(Stretch(t("reference"), start, until))
    found.append(Stretch(t("current"), since, at_us, KIND_TONE[pattern.type]))
    return found


def _rows(*numbers: object) -> int:
    return next((int(n) for n in numbers if isinstance(n, int | float) and n >= 1), 0)


def _back(times: Sequence[int], until_us: int, rows: int) -> int:
    """The time of the row ``rows`` before the end of ``times``."""
    if not times:
        return until_us
    if rows <= len(times):
        return times[-rows]
    each = (times[-1] - times[0]) / max(1, len(times) - 1)
    return times[0] - round((rows - len(times)) * each)


def remark(session: Session, episode: Episode) -> list[Span]:
    """Which field of how many is shown, how much time, and how to change that."""
    step = session.story.step
    fields = [c.field for c in episode.peak.contributors]
    which: list[Span] = []
    if len(fields) > 1 and session.story.drawn in fields:
        number = f"{fields.index(session.story.drawn) + 1}/{len(fields)}"
        keys = " j k" if session.story.part in (Part.CHART, Part.WHY) else ""
        which = [(t("field {n}", n=number), "accent"), (keys, "key"), (" · ", "rule")]
    return [
        *which,
        (t(STRETCHES[step][0]) if step else t("event by event"), "accent"),
        (" + -" if session.story.part is Part.CHART else "", "key"),
    ]


def stamp(session: Session, episode: Episode, canvas: Canvas) -> object:
    """Differs whenever the chart does: drawing one takes milliseconds, and most frames bring nothing new to it."""
    story, known = session.story, session.charts.get(episode.peak.pattern_id)
    around = (id(known.events), known.answered, known.problem) if known is not None else None
    reach = (id(story.reach), story.reach.answered) if story.reach is not None else None
    day = clock(episode.peak_us, session.view.at_us, 11)
    return canvas, episode.peak.pattern_id, story.drawn, story.step, around, reach, day, translated()


def lines(session: Session, episode: Episode, canvas: Canvas) -> list[Line]:
    """Legend, chart, axis and windows, filling the canvas at most."""
    field = drawn(session, episode)
    width, height, _ = canvas
    if field is None:
        return instead(t("no field leads here, so there is no series to draw"), width, height)
    if session.story.step:
        return _reached(session, episode, field, canvas)
    known = session.charts.get(episode.peak.pattern_id)
    if known is None or not known.answered:
        return instead(t("loading the events around it …"), width, height)
    name = stored_field(field, known)
    points = [(e.time_us, e.fields[name]) for e in known.events if name in e.fields]
    if not points:
        if known.problem:
            return instead(t("no chart: {reason}", reason=known.problem), width, height, "bad")
        return instead(t("its events are not stored yet, or no longer"), width, height)
    gaps = [b[0] - a[0] for a, b in pairwise(points)]
    series = Series(name, points, len(points), round(median(gaps) * _BROKEN) if gaps else 0)
    return _drawn(session, episode, field, series, canvas)


def _reached(session: Session, episode: Episode, field: Contributor, canvas: Canvas) -> list[Line]:
    """A long stretch, bucket by bucket."""
    reach = session.story.reach
    if reach is None or not reach.answered:
        return instead(t("asking ClickHouse …"), canvas.width, canvas.height)
    if reach.problem:
        return instead(t("no chart: {reason}", reason=reach.problem), canvas.width, canvas.height, "bad")
    if not reach.points:
        none = t("nothing of {field} is stored in this stretch", field=clean(reach.field))
        return instead(none, canvas.width, canvas.height)
    series = Series(
        reach.field,
        [(p.time_us, p.mean) for p in reach.points],
        sum(p.count for p in reach.points),
        3 * (reach.until_us - reach.since_us) // BUCKETS,
        [(p.time_us, p.low, p.high) for p in reach.points],
        (reach.since_us, reach.until_us),
    )
    return _drawn(session, episode, field, series, canvas)


def _drawn(session: Session, episode: Episode, field: Contributor, series: Series, canvas: Canvas) -> list[Line]:
    values = [v for _, v in series.points]
    own = series.name == field.field
    began = began_us(episode)
    known = session.charts.get(episode.peak.pattern_id)
    body = chart(
        series.points,
        canvas.width,
        canvas.height - 1,
        mark_us=episode.peak_us,
        before=_level(field.before, values) if own else None,
        after=_level(field.after, values) if own else None,
        tone=KIND_TONE[episode.type],
        dots=canvas.dots,
        band=series.band,
        window=series.window,
        began_us=began,
        stretches=windows(episode.peak, episode.peak_us, began, known.events if known else ()),
        gap_us=series.gap_us,
        at=clock(episode.peak_us, session.view.at_us, 11),
    )
    return [_legend(field, series, canvas, began=began is not None, step=session.story.step), *body] if body else []


def _level(number: float | None, values: Sequence[float]) -> float | None:
    """A level of the series; a spread or a share, which a contributor may hold too, lies elsewhere."""
    low, high = min(values), max(values)
    room = (high - low) * 0.5
    return number if number is not None and low - room <= number <= high + room else None


def _legend(field: Contributor, series: Series, canvas: Canvas, *, began: bool, step: int) -> Line:
    plain = canvas.dots == "ascii"
    right: list[Span] = [(f"{ASCII_MARK if plain else MARK} ", "strong"), (t("found"), "dim")]
    if began:
        right += [(f"  {ASCII_BEGAN if plain else BEGAN} ", "warn"), (t("began"), "dim")]
    right += [("  ╌ ", "text"), (t("level before, after"), "dim")]
    if series.band:
        glyph = {"braille": "⠕", "block": "░", "ascii": "."}[canvas.dots]
        right += [(f"  {glyph} ", "text"), (t("least to greatest"), "dim")]
    name, own = clean(series.name), clean(field.field)
    if series.name != field.field:
        name = t("{origin}, of which {field} is made", origin=name, field=own)
    elif field.origin:
        name += t(" (of {field})", field=clean(field.origin))
    reach = f" · {t(STRETCHES[step][0])}" if step else ""
    left: list[Span] = [
        (fit_middle(name, max(12, canvas.width // 2)).rstrip(), "strong"),
        ("  " + tn("{n} event", "{n} events", series.rows, n=count(series.rows)) + f"{reach}  ", "dim"),
    ]
    room = canvas.width - width_of(tuple(left))
    return spread(left, right, canvas.width) if width_of(tuple(right)) <= room else clip(left, canvas.width)
