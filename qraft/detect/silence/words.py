"""What the findings of silence share: lengths of time as people read them, fields by their share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qraft.model import Contributor

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


def spell(time_us: float) -> str:
    """Microseconds as "250 ms", "1.2 s", "4 min 10 s", "16 h 5 min" or "2 d 4 h"."""
    seconds = time_us / 1e6
    if seconds < 1.0:
        return f"{1000.0 * seconds:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for at, (size, name) in enumerate(_UNITS):
        if whole >= size:
            below, below_name = _UNITS[at + 1] if at + 1 < len(_UNITS) else (1, "s")
            rest = whole % size // below
            return f"{whole // size} {name}" + (f" {rest} {below_name}" if rest else "")
    return f"{whole} s"


def spread(low_us: float, high_us: float) -> str:
    """A range of lengths of time: "1.0-1.2 s", or one length where both read the same."""
    low, high = spell(low_us), spell(high_us)
    if low == high:
        return low
    low_value, _, low_unit = low.partition(" ")
    return f"{low_value}-{high}" if high.partition(" ")[2] == low_unit and " " not in low_unit else f"{low} to {high}"


def shares(evidence: Mapping[str, float]) -> tuple[Contributor, ...]:
    """Fields by falling share of the evidence; without values before and after, since the sentence says what they did."""
    total = sum(evidence.values())
    order = sorted(evidence, key=lambda name: (-evidence[name], name))
    return tuple(
        Contributor(field=name, score=evidence[name] / total if total > 0.0 else 1.0 / len(evidence)) for name in order
    )
