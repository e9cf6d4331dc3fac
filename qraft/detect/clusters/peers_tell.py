"""What is said of entities that left their group: which kind of change it is, a sentence, and each field's share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from qraft.detect.base import Finding
from qraft.detect.clusters.groups import Floats, Ints
from qraft.detect.report import Weight, ranked, short

RATE: Final = "rows"
"""Stands for a field where the rate of rows is what changed."""
_NEAR: Final = 4.0
_SOME: Final = 3


class Leaver(NamedTuple):
    """An entity that left its group: confidence, the feature it left by, the evidence of each feature, and where it went:
    the number of another group, or -1 where it stands by itself.
    """

    slot: int
    onset: float
    lead: int
    evidence: Floats
    joined: int


class Scene(NamedTuple):
    """All entities at a window's end. ``names`` by slot; features are the levels of the fields, the logs of their spreads,
    and the log of the rate. ``now`` and ``usual`` [slots, features]: where each stands, and where it would stand as usual.
    ``labels``: its group, -1 for one without rows.
    """

    names: Mapping[int, str]
    fields: Sequence[str]
    now: Floats
    usual: Floats
    labels: Ints
    seconds: float
    began_us: int

    def field(self, feature: int) -> str:
        """The field a feature is of."""
        return RATE if feature == 2 * len(self.fields) else self.fields[feature % len(self.fields)]

    def value(self, feature: int, value: float) -> float:
        """A feature's value in the field's own units: rows a second for the rate."""
        if feature < len(self.fields):
            return value
        return math.exp(min(value, 300.0)) / (self.seconds if feature == 2 * len(self.fields) else 1.0)


def nearest(now: Floats, own: int, centre: Floats, spread: Floats) -> int:
    """The other group that a vector lies in: in all features near, on the whole, in spreads among its members; else -1."""
    best, found = _NEAR, -1
    for group in range(len(centre)):
        if group == own:
            continue
        gaps = np.abs(now - centre[group]) / spread[group]
        gaps = gaps[~np.isnan(gaps)]
        if len(gaps):
            far = float(np.sqrt(np.mean(np.minimum(gaps, 1e6) ** 2)))
            if far < best:
                best, found = far, group
    return found


def kind_of(leavers: Sequence[Leaver], labels: Ints) -> str:
    """What entities that left at one time make together."""
    sources = {int(labels[one.slot]) for one in leavers}
    joined = {one.joined for one in leavers}
    if len(leavers) == 1:
        return "member"
    if len(sources) > 1:
        return "birth" if joined == {-1} and len(leavers) >= _SOME else "member"
    (source,) = sources
    left = int(np.count_nonzero(labels == source)) - len(leavers)
    if left < 2:
        if joined == {-1}:
            return "split"
        return "merge" if len(joined) == 1 else "death"
    return "split" if joined == {-1} else "member"


def finding_of(leavers: Sequence[Leaver], scene: Scene) -> Finding:
    """The finding of what left together; it is told of the first, whose evidence is the strongest."""
    lead = leavers[0]
    kind = kind_of(leavers, scene.labels)
    slot, feature = lead.slot, lead.lead
    number = len(scene.fields)
    weights: dict[str, Weight] = {}
    for at in range(2 * number + 1):
        name = scene.field(at)
        evidence = float(lead.evidence[at])
        known = weights.get(name)
        if (known is None or evidence > known.evidence) and not (at >= number and at < 2 * number and evidence == 0.0):
            was, now = float(np.nan_to_num(scene.usual[slot, at])), float(np.nan_to_num(scene.now[slot, at]))
            whole = evidence + (known.evidence if known is not None else 0.0)
            weights[name] = Weight(whole, scene.value(at, was), scene.value(at, now))
        elif known is not None:
            weights[name] = known._replace(evidence=known.evidence + evidence)
    gone = {one.slot for one in leavers}
    peers = [at for at in np.nonzero(scene.labels == scene.labels[slot])[0].tolist() if at not in gone]
    around = scene.now[peers, feature]
    around = np.sort(around[~np.isnan(around)])
    low, high = (scene.value(feature, float(around[at])) for at in (0, -1)) if len(around) else (math.nan, math.nan)
    what = scene.field(feature) + (
        " spread" if number <= feature < 2 * number else " a second" if feature == 2 * number else ""
    )
    here = short(scene.value(feature, float(scene.now[slot, feature])))
    range_of = short(low) if short(low) == short(high) else f"{short(low)}-{short(high)}"
    lasting = _duration(scene.seconds * _SOME)
    name = scene.names[slot]
    where = f"{what} {here} where they are at {range_of}, for {lasting}" if len(around) else f"{what} {here}, for {lasting}"
    others = f" and {len(leavers) - 1} more" if len(leavers) > 1 else ""
    if lead.joined >= 0:
        with_them = [at for at in np.nonzero(scene.labels == lead.joined)[0].tolist() if at not in gone]
        example = scene.names[with_them[0]] if with_them else ""
        company = f"the {len(with_them)} like {example}" if with_them else "another group"
        where += f"; it is now with {company}" if len(leavers) == 1 else f"; they are now with {company}"
    verb = {
        "member": f"left its {len(peers)} peers" if len(leavers) == 1 else f"left their {len(peers)} peers",
        "split": f"split off from {len(peers)} peers",
        "birth": "formed a group of their own",
        "merge": "went over to another group",
        "death": "broke up their group",
    }[kind]
    metrics = {"peers": float(len(peers)), "left": float(len(leavers)), "evidence": float(lead.evidence[feature])}
    prev = {"label": f"among {len(peers)} peers", "peers": len(peers), "n": len(peers)}
    label = f"{what} {here}"
    new = {"label": label, "left": [scene.names[one.slot] for one in leavers[:8]], "n": len(leavers)}
    return Finding(prev, new, ranked(weights), f"{name}{others} {verb}: {where}", metrics, kind, scene.began_us)


def _duration(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2.0 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{short(seconds)} s"
