"""What is said of a cluster change: a sentence, the groups before and after, and each field's share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from qraft.detect.base import Finding
from qraft.detect.clusters.groups import Floats, Groups
from qraft.detect.clusters.kind import Change
from qraft.detect.report import Weight, ranked, short

_NAMED: Final = 8
"""Fields that the states of a finding name."""
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


class Told(NamedTuple):
    """A change and the groups on both sides of it, on one scale (``middle``, ``width`` of the fields ``names``).

    ``was``: shares of the old groups before; ``here``: shares of now at the old groups' places; ``began`` rows before,
    ``rows`` since. ``common``: by how much all moved alike, which is taken off the groups of now and their rows.
    """

    change: Change
    names: Sequence[str]
    middle: Floats
    width: Floats
    centres: Floats
    spreads: Floats
    was: Floats
    groups: Groups
    here: Floats
    began: int
    rows: int
    common: Floats

    def unit(self, field: int, value: float) -> float:
        """A value of a field in its own units."""
        return float(self.middle[field] + self.width[field] * value)

    def place(self, field: int, centre: Floats, spread: Floats) -> str:
        """A group's middle and spread in a field."""
        return f"{short(self.unit(field, float(centre[field])))} ± {float(self.width[field] * spread[field]):.2g}"


def finding_of(told: Told, rows: Floats, metrics: dict[str, float], began_us: int) -> Finding:
    """The finding. ``rows``: all rows, scaled."""
    evidence, before, after = _weights(told, rows)
    weights = {
        name: Weight(
            float(evidence[at]), told.unit(at, float(before[at])), told.unit(at, float(after[at] + told.common[at]))
        )
        for at, name in enumerate(told.names)
    }
    contributors = ranked(weights)
    named = [list(told.names).index(one.field) for one in contributors[:_NAMED]]
    prev = _state(told, told.centres, told.was, named, told.began)
    new = _state(told, told.groups.centres + told.common, told.groups.shares, named, told.rows)
    summary, prev["label"], new["label"] = _sentence(told, named[0])
    return Finding(prev, new, contributors, summary, metrics, told.change.kind, began_us)


def _weights(told: Told, rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Each field's squared distance between the groups concerned, which is what leaving it out takes away; and the values
    before and after.
    """
    kind, old, new = told.change
    groups = told.groups
    with np.errstate(all="ignore"):
        mean_before = np.nan_to_num(np.nanmean(rows[: told.began], axis=0))
        mean_after = np.nan_to_num(np.nanmean(rows[told.began :], axis=0))
    if kind == "birth":
        one = new[0]
        return (
            _apart(groups.centres[one], groups.spreads[one], told.centres, told.spreads, told.was),
            mean_before,
            groups.centres[one],
        )
    if kind == "death":
        one = old[0]
        apart = _apart(told.centres[one], told.spreads[one], groups.centres, groups.spreads, groups.shares)
        return apart, told.centres[one], mean_after
    if kind == "split":
        apart = _apart(
            groups.centres[new[0]],
            groups.spreads[new[0]],
            groups.centres[[*new[1:]]],
            groups.spreads[[*new[1:]]],
            groups.shares[[*new[1:]]],
        )
        return apart, told.centres[old[0]], groups.centres[new[0]]
    if kind == "merge":
        rest = [*old[1:]]
        return (
            _apart(told.centres[old[0]], told.spreads[old[0]], told.centres[rest], told.spreads[rest], told.was[rest]),
            told.centres[old[-1]],
            groups.centres[new[0]],
        )
    if kind == "moved" and new:
        one = new[0]
        apart = _apart(groups.centres[one], groups.spreads[one], told.centres[[old[0]]], told.spreads[[old[0]]], np.ones(1))
        return apart, told.centres[old[0]], groups.centres[one]
    flow = told.here[: len(told.was)] - told.was
    up, down = int(flow.argmax()), int(flow.argmin())
    return (
        _apart(told.centres[up], told.spreads[up], told.centres[[down]], told.spreads[[down]], np.ones(1)),
        mean_before,
        mean_after,
    )


def _apart(centre: Floats, spread: Floats, others: Floats, spreads: Floats, shares: Floats) -> Floats:
    """What leaving each field out takes from the squared distance to the nearest of the other groups, in spreads within
    them; groups without a share are left out.
    """
    gaps = (others - centre) ** 2 / (0.5 * (spreads**2 + spread**2))
    gaps = np.minimum(gaps, 1e12)[shares > 0.0]
    whole = gaps.sum(axis=1)
    out: Floats = whole.min() - (whole[:, None] - gaps).min(axis=0)
    return out


def _state(told: Told, centres: Floats, shares: Floats, named: Sequence[int], rows: int) -> dict[str, Any]:
    return {
        "occupancy": [float(share) for share in shares],
        "centres": [{told.names[at]: told.unit(at, float(centre[at])) for at in named} for centre in centres],
        "n": rows,
    }


def _sentence(told: Told, field: int) -> tuple[str, str, str]:
    """The sentence, and the two labels."""
    kind, old, new = told.change
    name, groups = told.names[field], told.groups

    def was(at: int) -> str:
        return told.place(field, told.centres[at], told.spreads[at])

    def now(at: int) -> str:
        return told.place(field, groups.centres[at] + told.common, groups.spreads[at])

    if kind == "birth":
        share = f"{groups.shares[new[0]]:.0%}"
        count = len(told.centres)
        ordinal = _ORDINALS[count] if count < len(_ORDINALS) else "further"
        others = _listed([short(told.unit(field, float(centre[field]))) for centre in told.centres])
        verb = "the others stay" if count > 1 else "the other stays"
        where = f"{name} {now(new[0])} where {verb} at {others}"
        text = f"a {ordinal} group appeared ({share} of the last {told.rows} rows): {where}"
        return text, f"{count} group{'s' * (count > 1)}", f"a new one with {share}, {name} {now(new[0])}"
    if kind == "death":
        one = old[0]
        shares = f"{told.was[one]:.0%} of the rows before, {told.here[one]:.0%} of the last {told.rows}"
        text = f"a group vanished ({shares}): {name} {was(one)}"
        return text, f"{name} {was(one)}: {told.was[one]:.0%}", f"{name} {was(one)}: {told.here[one]:.0%}"
    if kind == "split":
        parts = _listed([f"{now(at)} ({groups.shares[at]:.0%})" for at in new])
        return f"a group split: {name} {was(old[0])} became {parts}", f"{name} {was(old[0])}", f"{name} {parts}"
    if kind == "merge":
        parts = _listed([was(at) for at in old])
        return f"{len(old)} groups merged: {name} {parts} became {now(new[0])}", f"{name} {parts}", f"{name} {now(new[0])}"
    if kind == "moved" and new:
        share = f"{groups.shares[new[0]]:.0%} of the last {told.rows} rows"
        text = f"a group moved: {name} from {was(old[0])} to {now(new[0])} ({share})"
        return text, f"{name} {was(old[0])}", f"{name} {now(new[0])}"
    flow = told.here[: len(told.was)] - told.was
    one = int(np.abs(flow).argmax())
    before, after = f"{told.was[one]:.0%}", f"{told.here[one]:.0%}"
    verb = "grew" if flow[one] > 0.0 else "shrank"
    text = f"the group at {name} {was(one)} {verb} from {before} to {after} of the rows"
    return text, f"{name} {was(one)}: {before}", f"{name} {was(one)}: {after}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
