"""How `qraft explain` says what it found out: lines for people, plain values for scripts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from qraft.commands.output import duration

if TYPE_CHECKING:
    from qraft.model import CleanEvent, Contributor, Feedback, Pattern
    from qraft.store import StoredPattern

_FIELDS: Final = 8
_BAR: Final = 20
_CHART_LINES: Final = 8
_FEWEST_CELLS: Final = 40

WORDS: Final[dict[str, str]] = {
    "decades": "chance shows this about once in 10^{0:.1f} rows",
    "habit_decades": "findings like it are frequent here: 10^{0:.1f} times rarer than else was demanded",
    "usual_decades": "its usual rarity here is once in 10^{0:.1f} rows",
    "decades_move": "the move of the centres alone: once in 10^{0:.1f} windows",
    "decades_occupancy": "the change of occupancy alone: once in 10^{0:.1f} windows",
    "effect": "the change is {0:.3g} spreads of the time before",
    "effect_confidence": "it is large enough to matter with a confidence of {0:.2f}",
    "z": "the test statistic is {0:.3g} standard deviations",
    "rows_before": "compared with {0:,.0f} rows before it",
    "rows_since": "{0:,.0f} rows since it began",
    "rows": "{0:,.0f} rows show it",
    "longest_rows": "the longest such stretch before was {0:,.0f} rows",
    "gap_seconds": "{0:,.3g} s without a row",
    "usual_seconds": "a row usually comes within {0:,.3g} s",
    "share": "the share is {0:.3g}",
    "ratio": "{0:.3g} times what it was",
    "move": "the centres moved by {0:.3g} spreads",
    "moved_share": "{0:.0%} of the rows changed their group",
    "groups_before": "{0:.0f} groups before",
    "groups_now": "{0:.0f} groups now",
}
"""What each number that detectors give means, in words; a number that is not here is shown by its name."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of a pattern.

    Attributes:
        stored: the pattern, with the verdict in force.
        began_us: when the change began, UTC microseconds; the pattern's own time where that is not known to be earlier.
        at_us: the pattern's time.
        events: the rows of its entity from before the change to after the pattern, in order of time.
        verdicts: all on it, in the order in which they came.
        similar: earlier findings like it, one of each run, the nearest first.
        similar_verdicts: how many runs like it have which verdict in force, of all of them; "" for none.
    """

    stored: StoredPattern
    began_us: int
    at_us: int
    events: Sequence[CleanEvent]
    verdicts: Sequence[Feedback]
    similar: Sequence[StoredPattern]
    similar_verdicts: Mapping[str, int]

    @property
    def field(self) -> str:
        """The leading field; empty where no field shares in it."""
        shares = self.stored.pattern.contributors
        return shares[0].field if shares else ""

    def window(self, *, current: bool) -> list[tuple[int, float]]:
        """Time and value of the leading field: before the change, or from it on."""
        return [
            (event.time_us, event.fields[self.field])
            for event in self.events
            if self.field in event.fields and (event.time_us >= self.began_us) == current
        ]


def lines(told: Explanation, width: int, *, ascii_only: bool = False) -> Iterator[str]:
    """The explanation in lines of at most ``width`` cells, as far as no text in it is longer."""
    from tui.views.text import wrap

    pattern = told.stored.pattern
    where = f"{pattern.source}/{pattern.entity}" if pattern.entity else pattern.source
    yield f"{where}: {' '.join(part for part in (pattern.type, pattern.kind) if part)}, found by {pattern.detector}"
    yield from (f"  {line}" for line in wrap(pattern.summary, width - 2, 3))
    sure = _against(pattern.details.confidence, pattern.line, ascii_only=ascii_only)
    yield f"  confidence  {pattern.details.confidence:.3f} {sure} alert line {pattern.line:.3f}"
    yield f"  at          {_when(pattern.timestamp)} UTC{_since(told)}"
    yield f"  pattern     {pattern.pattern_id}"
    if pattern.contributors:
        yield ""
        yield from _fields(pattern.contributors, width, ascii_only=ascii_only)
    if pattern.details.metrics:
        yield ""
        yield "what the numbers say"
        yield from (f"  {_in_words(name, number)}" for name, number in _telling(pattern.details.metrics))
    yield ""
    yield from _windows(told, width, ascii_only=ascii_only)
    yield ""
    yield from _verdicts(told)
    yield ""
    yield from _similar(told, width)


def as_builtins(told: Explanation) -> dict[str, Any]:
    """The explanation as plain values, for JSON."""
    import msgspec

    return {
        "pattern": msgspec.to_builtins(told.stored.pattern),
        "important": told.stored.important,
        "verdict": told.stored.verdict,
        "meaning": {name: _in_words(name, number) for name, number in told.stored.pattern.details.metrics.items()},
        "field": told.field,
        "reference": _figures(told.window(current=False)),
        "current": _figures(told.window(current=True)),
        "verdicts": msgspec.to_builtins(list(told.verdicts)),
        "similar": [
            {"pattern": msgspec.to_builtins(one.pattern), "verdict": one.verdict, "verdict_user": one.verdict_user}
            for one in told.similar
        ],
        "similar_verdicts": {name or "none": n for name, n in told.similar_verdicts.items()},
    }


def _against(confidence: float, line: float, *, ascii_only: bool) -> str:
    """A bar of the confidence with the alert line marked in it."""
    full, mark, empty = ("#", "|", ".") if ascii_only else ("█", "│", "░")
    cells = [full if (at + 0.5) / _BAR <= confidence else empty for at in range(_BAR)]
    cells[min(int(line * _BAR), _BAR - 1)] = mark
    return "".join(cells)


def _since(told: Explanation) -> str:
    if told.began_us >= told.at_us:
        return ""
    return f"; there since {_when(told.stored.pattern.began)}, {duration((told.at_us - told.began_us) / 1e6)} before"


def _fields(shares: Sequence[Contributor], width: int, *, ascii_only: bool) -> Iterator[str]:
    from tui.views.text import change, fit, fit_middle, value

    names = [f"{one.field} (of {one.origin})" if one.origin else one.field for one in shares[:_FIELDS]]
    widest = max(5, min(max(map(len, names)), width - 3 * 11 - _BAR - 10))
    yield f"  {fit('field', widest)} {'before':>10} {'after':>10} {'change':>10} share"
    for name, one in zip(names, shares, strict=False):
        bar = ("#" if ascii_only else "█") * max(round(one.score * _BAR), 1)
        numbers = f"{value(one.before):>10} {value(one.after):>10} {change(one.before, one.after):>10}"
        yield f"  {fit_middle(name, widest)} {numbers} {one.score:4.0%} {bar}"
    if len(shares) > _FIELDS:
        yield f"  and {len(shares) - _FIELDS} more fields"


def _telling(metrics: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The numbers that say something: a habit that there is none of is left out."""
    return ((name, number) for name, number in metrics.items() if name != "habit_decades" or number >= 0.05)


def _in_words(name: str, number: float) -> str:
    if not math.isfinite(number):
        return f"{name.replace('_', ' ')}: {number}"
    if name in WORDS:
        return WORDS[name].format(number)
    if name.startswith("decades_"):
        return f"{name.removeprefix('decades_').replace('_', ' ')} alone: about once in 10^{number:.1f} rows"
    return f"{name.replace('_', ' ')}: {number:.4g}"


def _windows(told: Explanation, width: int, *, ascii_only: bool) -> Iterator[str]:
    from tui.views.braille_chart import chart
    from tui.views.text import plain

    if not told.field:
        yield "it has no leading field, so there is no series to show"
        return
    before, after = told.window(current=False), told.window(current=True)
    if not before and not after:
        yield f"no stored events of {told.field} around it: they are not stored yet, or their time of retention is over"
        return
    lead = told.stored.pattern.contributors[0]
    mark = "the change" if told.began_us < told.at_us else "the pattern"
    yield f"{told.field} before {mark} (left of the line) and from it on"
    if width >= _FEWEST_CELLS:
        drawn = chart(
            [*before, *after],
            width - 2,
            _CHART_LINES,
            mark_us=told.began_us,
            before=lead.before if _is_level(lead.before, before) else None,
            after=lead.after if _is_level(lead.after, after) else None,
            ascii_only=ascii_only,
        )
        yield from (f"  {plain(line)}".rstrip() for line in drawn)
    for title, points in (("reference", before), ("current", after)):
        yield f"  {title:9}  {_said(points)}"


def _is_level(number: float | None, points: Sequence[tuple[int, float]]) -> bool:
    """Whether a contributor's number is a level of the series itself, not its spread or a share."""
    values = [value for _, value in points]
    return number is not None and bool(values) and min(values) <= number <= max(values)


def _said(points: Sequence[tuple[int, float]]) -> str:
    figures = _figures(points)
    if not figures["rows"]:
        return "no rows"
    said = ", ".join(f"{name} {figures[name]:.4g}" for name in ("mean", "spread", "lowest", "highest"))
    return f"{figures['rows']:,} rows over {duration((points[-1][0] - points[0][0]) / 1e6)}: {said}"


def _figures(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    from qraft.model import iso_from_us

    values = [value for _, value in points]
    if not values:
        return {"rows": 0}
    return {
        "rows": len(values),
        "from": iso_from_us(points[0][0]),
        "to": iso_from_us(points[-1][0]),
        "mean": statistics.fmean(values),
        "spread": statistics.pstdev(values),
        "lowest": min(values),
        "highest": max(values),
        "values": values,
    }


def _verdicts(told: Explanation) -> Iterator[str]:
    if not told.verdicts:
        yield f"no verdict on it; give one: qraft feedback {told.stored.pattern.pattern_id} confirmed"
        return
    yield f"verdicts (in force: {told.stored.verdict or 'none'})"
    for one in told.verdicts:
        who, why = f" by {one.user}" if one.user else "", f": {one.note}" if one.note else ""
        until = f" until {_when(one.until)}" if one.until else ""
        yield f"  {_when(one.timestamp)}  {one.verdict}{until}{who}{why}"


def _similar(told: Explanation, width: int) -> Iterator[str]:
    from tui.views.text import fit

    if not told.similar:
        yield "nothing like it was found before (same kind, mostly the same fields)"
        return
    counts = told.similar_verdicts
    parts = [f"{n} {name}" for name, n in counts.items() if name]
    parts += [f"{counts['']} without a verdict"] if "" in counts else []
    yield f"{sum(counts.values()):,} like it before: {', '.join(parts)}; the likest:"
    for one in told.similar:
        yield _one_similar(one.pattern, one.verdict or "", fit, width)


def _one_similar(pattern: Pattern, verdict: str, fit: Any, width: int) -> str:
    head = f"  {_when(pattern.timestamp)}  {pattern.details.confidence:.2f}  {verdict or '-':14}  {pattern.pattern_id[:8]}  "
    return f"{head}{fit(pattern.summary, max(width - len(head), 10))}".rstrip()


def _when(text: str) -> str:
    return text[:19].replace("T", " ")
