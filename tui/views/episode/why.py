"""Why: the fields that share in it with their values before and after, and what the detector's numbers say."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from rich.cells import cell_len

from qraft.model import Contributor, Pattern
from tui.language import N_, t
from tui.state.episodes import Episode
from tui.state.session import Session
from tui.views.text import (
    KIND_TONE,
    Line,
    Span,
    Tone,
    bar,
    brief,
    change,
    clean,
    clip,
    count,
    duration,
    fit,
    fit_middle,
    quantity,
    value,
)

NUMBERS: Final[dict[str, str]] = {
    "decades": N_("by chance about once in {n} rows"),
    "demanded_decades": N_("asked for here: once in {n} rows"),
    "decades_asked": N_("asked for here: once in {n} rows"),
    "usual_decades": N_("usual here: once in {n} rows"),
    "habit_decades": N_("frequent here: {n} times rarer was asked for"),
    "decades_move": N_("the move of the centres alone: once in {n} windows"),
    "decades_occupancy": N_("the change of occupancy alone: once in {n} windows"),
    "decades_time_of_day": N_("for this time of day: once in {n} rows"),
    "effect": N_("the change is {n} spreads of before"),
    "effect_confidence": N_("large enough to matter: confidence {n}"),
    "z": N_("test statistic: {n} standard deviations"),
    "rows_before": N_("compared with {n} rows before it"),
    "rows_since": N_("{n} rows since it began"),
    "rows": N_("{n} rows show it"),
    "longest_rows": N_("longest such stretch before: {n} rows"),
    "gap_seconds": N_("no row for {n}"),
    "usual_seconds": N_("a row usually comes within {n}"),
    "share": N_("in {n} of the rows"),
    "ratio": N_("{n} times what it was"),
    "move": N_("the centres moved by {n} spreads"),
    "moved_share": N_("{n} of the rows changed their group"),
    "groups_before": N_("{n} groups before"),
    "groups_now": N_("{n} groups now"),
    "peers": N_("{n} peers to compare with"),
    "left": N_("{n} left their peers"),
}
"""What each number that detectors give means; one that is not here is shown by its name."""
_SECONDS: Final = ("gap_seconds", "usual_seconds")
_SHARES: Final = ("share", "moved_share")
_WHOLE: Final = ("rows_before", "rows_since", "rows", "longest_rows", "groups_before", "groups_now", "peers", "left")
_TABLED: Final = ("fields", "label", "n", "field")
_LEAST_HABIT: Final = 0.05


class Told(NamedTuple):
    """A line below the fields: a name and what it says."""

    name: str
    text: str


Row = Contributor | Told


def rows(episode: Episode) -> list[Row]:
    """The lines of the pane below its header: the fields first."""
    peak = episode.peak
    out: list[Row] = list(peak.contributors)
    numbers = [
        Told("", number(name, n)) for name, n in peak.details.metrics.items() if name != "habit_decades" or n >= _LEAST_HABIT
    ]
    was, now = peak.details.prev_state, peak.details.new_state
    keys = [k for k in dict.fromkeys([*was, *now]) if k not in _TABLED]
    states = [Told(clean(k.replace("_", " ")), _step(was.get(k), now.get(k))) for k in keys]
    return [*out, *numbers, *(one for one in states if one.text)]


def number(name: str, n: float) -> str:  # noqa: PLR0911 - one return a kind of number
    """A detector's number in words."""
    words = clean(name.replace("_", " "))
    if not math.isfinite(n):
        return f"{words} {n}"
    if name not in NUMBERS:
        if name.startswith("decades_"):
            part = words.removeprefix("decades ")
            return t("{part} alone: once in {n} rows", part=part, n=once_in(n))
        return f"{words} {value(n)}"
    if "decades" in name:
        return t(NUMBERS[name], n=once_in(n))
    if name in _SECONDS:
        return t(NUMBERS[name], n=duration(n))
    if name in _SHARES:
        return t(NUMBERS[name], n=f"{100 * n:.3g} %")
    return t(NUMBERS[name], n=count(round(n)) if name in _WHOLE else f"{n:.3g}")


def once_in(decades: float) -> str:
    """``10 ** decades`` as people read it."""
    rows = 10.0 ** max(0.0, min(decades, 300.0))
    return quantity(float(f"{rows:.2g}")) if decades < 9 else f"10^{decades:.0f}"


def header(episode: Episode, width: int) -> Line:
    """Names of the columns."""
    name, before, after, moved, share = _columns(episode.peak, width)
    cells = [
        " " + fit(t("FIELD"), name),
        fit(t("BEFORE"), before, right=True),
        fit(t("AFTER"), after, right=True),
        fit(t("CHANGE"), moved, right=True),
        fit(t("SHARE"), share),
    ]
    return clip([(" ".join(cell for cell in cells if cell), "dim")], width)


def _columns(peak: Pattern, width: int) -> tuple[int, int, int, int, int]:
    cells = [_cells(peak, c) for c in peak.contributors]
    before, after, moved = (max([7, *(cell_len(c[i]) for c in cells)]) for i in (1, 2, 3))
    rest = width - 2 - before - after - moved - 4
    if rest < 16:
        before, after = min(before, 9), min(after, 9)
        rest = width - 2 - before - after - moved - 4
    longest = max([5, *(cell_len(c[0]) for c in cells)])
    name = max(5, min(longest, rest - 5))
    return name, before, after, moved, max(0, min(25, rest - name))


def _cells(peak: Pattern, one: Contributor) -> tuple[str, str, str, str]:
    of = t(" (of {field})", field=clean(one.origin)) if one.origin else ""
    was, now = (_spread(state, one.field) for state in (peak.details.prev_state, peak.details.new_state))
    return clean(one.field) + of, value(one.before) + was, value(one.after) + now, change(one.before, one.after)


def _spread(state: dict[str, Any], field: str) -> str:
    """The spread of a field, where the detector tells it field by field."""
    fields = state.get("fields")
    mine = fields.get(field) if isinstance(fields, dict) else None
    spread = mine.get("spread") if isinstance(mine, dict) else None
    return f" ± {brief(float(spread))}" if isinstance(spread, int | float) else ""


def row(session: Session, episode: Episode, one: Row, width: int) -> Line:
    """One line, after the cursor's column."""
    if isinstance(one, Told):
        spans: list[Span] = [(f"{one.name} ", "dim")] if one.name else []
        return clip([*spans, (one.text, "text")], width - 1)
    name, before, after, moved, share = _columns(episode.peak, width)
    cells = _cells(episode.peak, one)
    charted = one.field == session.story.drawn
    tone: Tone = KIND_TONE[episode.type] if charted else "text"
    was, now = (
        c if cell_len(c) <= size else c.partition(" ±")[0] for c, size in zip(cells[1:3], (before, after), strict=True)
    )
    return clip(
        [
            (fit_middle(cells[0], name) + " ", "strong" if charted else "text"),
            (fit(was, before, right=True) + " ", "text"),
            (fit(now, after, right=True) + " ", "strong"),
            (fit(cells[3], moved, right=True) + " ", tone),
            (f"{one.score * 100:3.0f}% "[: max(0, share)], "text"),
            (bar(one.score, max(0, share - 5)), tone),
        ],
        width - 1,
    )


def _step(was: Any, now: Any) -> str:
    """How a state was and is; nothing where it holds values group by group, which no line can tell."""
    if any(isinstance(v, dict) or (isinstance(v, list) and any(isinstance(e, dict) for e in v)) for v in (was, now)):
        return ""
    before, after = _show(was), _show(now)
    return f"{before} → {after}" if was is not None and now is not None and before != after else after or before


def _show(thing: Any) -> str:
    if thing is None:
        return ""
    if isinstance(thing, float):
        return value(thing)
    if isinstance(thing, list):
        return " ".join(_show(v) for v in thing)
    return clean(str(thing))


def nothing() -> str:
    """In place of the lines."""
    return t("the detector tells no fields and no numbers")


def sizes(episode: Episode) -> tuple[int, int]:
    """Lines the pane needs: fields, and all."""
    return len(episode.peak.contributors), len(rows(episode))
