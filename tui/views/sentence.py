"""A pattern's sentence. The engine makes it in English; in another language it is composed here from the pattern's values.

What the values do not tell (a kind that is not known, a detector that leaves them out) is shown as the engine said it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from qraft.model import Pattern, us_from_iso
from tui.language import N_, t, translated
from tui.views.text import clean, duration, span_seconds, value


class Lead(NamedTuple):
    """The first field and its values, as numbers and as people read them."""

    field: str
    before: float
    after: float
    was: str
    now: str


def sentence(pattern: Pattern) -> str:
    """What happened, in the operator's language, safe to print."""
    compose = _KINDS.get(pattern.kind) if translated() else None
    return clean((compose(pattern) if compose is not None else "") or pattern.summary)


def _about_lead(compose: Callable[[Pattern, Lead], str]) -> Callable[[Pattern], str]:
    """``compose`` where the first field is known with its values before and after, else nothing."""

    def composed(pattern: Pattern) -> str:
        one = next(iter(pattern.contributors), None)
        if one is None or one.before is None or one.after is None:
            return ""
        return compose(pattern, Lead(one.field, one.before, one.after, value(one.before), value(one.after)))

    return composed


def _number(of: Mapping[str, Any], name: str) -> float | None:
    number = of.get(name)
    return float(number) if isinstance(number, int | float) else None


def _since(pattern: Pattern) -> str:
    """How long the change has been there, as the end of a sentence."""
    try:
        lasted = (us_from_iso(pattern.timestamp) - us_from_iso(pattern.began)) / 1e6 if pattern.began else 0.0
    except ValueError:
        return ""
    return t(", for {span} now", span=span_seconds(lasted)) if lasted >= 1.0 else ""


def _times(one: Lead) -> str:
    return t(" ({n} times)", n=f"{one.after / one.before:.2g}") if one.before > 0.0 and one.after > 0.0 else ""


def _mean(pattern: Pattern, one: Lead) -> str:
    spread = _number(pattern.details.prev_state, "spread")
    far = t(" ({n} spreads)", n=f"{abs(one.after - one.before) / spread:.2g}") if spread else ""
    return t("{field}: mean {was} → {now}", field=one.field, was=one.was, now=one.now) + far + _since(pattern)


def _trend(pattern: Pattern, one: Lead) -> str:
    return t("{field}: moves a row {was} → {now}", field=one.field, was=one.was, now=one.now) + _since(pattern)


def _variance(pattern: Pattern, one: Lead) -> str:
    return t("{field}: spread {was} → {now}", field=one.field, was=one.was, now=one.now) + _times(one) + _since(pattern)


def _distribution(pattern: Pattern, one: Lead) -> str:
    return t("{field}: other distribution, {was} → {now}", field=one.field, was=one.was, now=one.now) + _since(pattern)


def _predictability(pattern: Pattern, one: Lead) -> str:
    said = (
        t("{field}: harder to predict, error {was} → {now}", field=one.field, was=one.was, now=one.now)
        if one.after >= one.before
        else t("{field}: easier to predict, error {was} → {now}", field=one.field, was=one.was, now=one.now)
    )
    return said + _times(one) + _since(pattern)


def _novelty(pattern: Pattern, one: Lead) -> str:
    low, high = (_number(pattern.details.prev_state, name) for name in ("low", "high"))
    said = t("{field} is {now}: a course not seen before", field=one.field, now=one.now)
    return said if low is None or high is None else said + t("; usually {low} to {high}", low=value(low), high=value(high))


def _joint(pattern: Pattern, one: Lead) -> str:
    known = pattern.details.prev_state.get("fields")
    mine = known.get(one.field) if isinstance(known, dict) else None
    spread = _number(mine, "spread") if isinstance(mine, dict) else None
    usual = one.was if spread is None else f"{one.was} ± {spread:.2g}"
    rows = int(_number(pattern.details.new_state, "n") or 1)
    said = (
        t("{field}: mean {now} over the last {n} rows, usually {usual}", field=one.field, now=one.now, n=rows, usual=usual)
        if rows > 1
        else t("{field} is {now}, expected {usual}", field=one.field, now=one.now, usual=usual)
    )
    others = [c.field for c in pattern.contributors[1:3] if c.score >= 0.5 * pattern.contributors[0].score]
    return said + (t("; with it {fields}", fields=t(" and ").join(others)) if others else "")


def _others(pattern: Pattern) -> str:
    """Of how many fields it is true besides the first."""
    more = len(pattern.contributors) - 1
    return t(" (and {n} more)", n=more) if more > 0 else ""


def _silence(pattern: Pattern) -> str:
    metrics, was = pattern.details.metrics, pattern.details.prev_state
    if "gap_seconds" in metrics:
        low, high = (_number(was, name) for name in ("low_seconds", "high_seconds"))
        said = t("no row for {span}", span=duration(metrics["gap_seconds"]))
        return said if low is None or high is None else said + t("; usual gap {span}", span=_range(low, high))
    if "rows" not in metrics or not pattern.contributors:
        return ""
    rows, share = f"{metrics['rows']:.0f}", _number(was, "share")
    said = t("{field}: no value for {n} rows", field=pattern.contributors[0].field, n=rows) + _others(pattern)
    return said if share is None else said + t("; was in {share} % of the rows", share=f"{100 * share:.3g}")


def _range(low: float, high: float) -> str:
    first, last = duration(low), duration(high)
    return first if first == last else f"{first} – {last}"


def _flat(pattern: Pattern) -> str:
    metrics, stands = pattern.details.metrics, _number(pattern.details.new_state, "value")
    if "rows" not in metrics or stands is None or not pattern.contributors:
        return ""
    field, rows = pattern.contributors[0].field, f"{metrics['rows']:.0f}"
    said = t("{field}: stands at {value} for {n} rows", field=field, value=value(stands), n=rows) + _others(pattern)
    longest = metrics.get("longest_rows")
    return said if longest is None else said + t("; at most {n} rows before", n=f"{longest:.0f}")


def _return(pattern: Pattern) -> str:
    metrics = pattern.details.metrics
    if "gap_seconds" in metrics:
        return t("back after {span}", span=duration(metrics["gap_seconds"]))
    if "rows" not in metrics or not pattern.contributors:
        return ""
    field, rows = pattern.contributors[0].field, f"{metrics['rows']:.0f}"
    return t("{field}: as before after {n} rows", field=field, n=rows) + _others(pattern)


_GROUPS: Final[dict[str, str]] = {
    "birth": N_("a new group: {field} {was} → {now}"),
    "death": N_("a group vanished: {field} {was} → {now}"),
    "split": N_("a group split: {field} {was} → {now}"),
    "merge": N_("groups merged: {field} {was} → {now}"),
    "moved": N_("a group moved: {field} {was} → {now}"),
    "occupancy": N_("shares of the groups changed: {field} {was} → {now}"),
}
"""Changes of the groups that the rows of a stream gather in."""
_LEFT: Final[dict[str, str]] = {
    "member": N_("{who} left {n} peers: {field} {was} → {now}"),
    "split": N_("{who} split off from {n} peers: {field} {was} → {now}"),
    "birth": N_("{who} formed a group of their own: {field} {was} → {now}"),
    "merge": N_("{who} went over to another group: {field} {was} → {now}"),
    "death": N_("{who} broke up their group: {field} {was} → {now}"),
}
"""What entities do that leave their peers."""


def _group(pattern: Pattern, one: Lead) -> str:
    left = pattern.details.new_state.get("left")
    if not isinstance(left, list) or not left:
        text = _GROUPS.get(pattern.kind, "")
        return t(text, field=one.field, was=one.was, now=one.now) if text else ""
    number = int(_number(pattern.details.new_state, "n") or len(left))
    who = t("{name} and {n} more", name=left[0], n=number - 1) if number > 1 else str(left[0])
    peers = f"{_number(pattern.details.prev_state, 'peers') or 0:.0f}"
    text = _LEFT.get(pattern.kind, "")
    return t(text, who=who, n=peers, field=one.field, was=one.was, now=one.now) if text else ""


_KINDS: Final[dict[str, Callable[[Pattern], str]]] = {
    "mean": _about_lead(_mean),
    "trend": _about_lead(_trend),
    "variance": _about_lead(_variance),
    "distribution": _about_lead(_distribution),
    "predictability": _about_lead(_predictability),
    "novelty": _about_lead(_novelty),
    "joint": _about_lead(_joint),
    "silence": _silence,
    "return": _return,
    "flat": _flat,
    **dict.fromkeys(("birth", "death", "split", "merge", "moved", "occupancy", "member"), _about_lead(_group)),
}
"""The kinds that `qraft.detect.kinds` lists."""
