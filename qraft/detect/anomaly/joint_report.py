"""What the joint anomaly detector says of a finding: fields by their share, before and after in their own units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from qraft.detect.anomaly.joint_fields import Reading
from qraft.detect.base import Finding
from qraft.detect.report import Weight, pair, ranked, short

KIND: Final = "joint"
_NAMED: Final = 5
"""Fields that the states of a finding name."""
_LARGE_SHARE: Final = 0.6


def finding(
    readings: Mapping[str, Reading],
    metrics: dict[str, float],
    *,
    rows: int,
    past: int,
    began_us: int | None = None,
    residual_share: float = 0.0,
) -> Finding:
    """A finding of the last row (``rows`` is 1) or of the recent rows together.

    Args:
        readings: by field.
        metrics: the numbers that say so.
        rows: rows it is about.
        past: rows it is held against.
        began_us: event time when it began.
        residual_share: how much of it is that the leading field does not go with the others.
    """
    contributors = ranked({name: Weight(each.evidence, each.before, each.after) for name, each in readings.items()})
    named = [contributor.field for contributor in contributors[:_NAMED]]
    lead = readings[named[0]]
    before, after = pair(lead.before, lead.after)
    now: dict[str, Any] = {"label": f"{named[0]} {after}", "n": rows}
    then: dict[str, Any] = {"label": f"{named[0]} {before} ± {short(lead.spread)}", "n": past}
    then["fields"] = {name: {"mean": readings[name].before, "spread": readings[name].spread} for name in named}
    now["fields"] = {name: {"mean": readings[name].after} for name in named}
    others = [contributor.field for contributor in contributors[1:3] if contributor.score >= 0.5 * contributors[0].score]
    along = f"; with it {' and '.join(others)}" if others else ""
    if rows > 1:
        text = f"{named[0]}: mean {after} over the last {rows} rows, usually {before} ± {short(lead.spread)}"
    elif residual_share > _LARGE_SHARE and len(readings) > 1:
        text = f"{named[0]} is {after}, which does not go with the other fields as usual"
    else:
        text = f"{named[0]} is {after}, expected {before} ± {short(lead.spread)}"
    return Finding(then, now, contributors, text + along, metrics, KIND, began_us)
