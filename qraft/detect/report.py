"""What detectors share in what they say: fields ranked by their share, numbers as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from qraft.detect.base import Judgement
from qraft.model import Contributor

QUIET: Final = Judgement(0.0, 0.0, 1.0, None)
"""What a warm detector says of a row with nothing in it."""


class Weight(NamedTuple):
    """A field's evidence (0 or more), and its value before and after in its own units."""

    evidence: float
    before: float
    after: float


def ranked(weights: Mapping[str, Weight]) -> tuple[Contributor, ...]:
    """Contributors by falling share of the evidence; the shares add up to 1."""
    total = sum([weight.evidence for weight in weights.values()])
    shares = {name: weight.evidence / total if total > 0.0 else 1.0 / len(weights) for name, weight in weights.items()}
    order = sorted(weights, key=lambda name: (-shares[name], name))
    return tuple(
        Contributor(field=name, score=shares[name], before=weights[name].before, after=weights[name].after) for name in order
    )


def short(value: float) -> str:
    """A number for people: four significant digits."""
    return f"{value:.4g}"


def pair(before: float, after: float) -> tuple[str, str]:
    """Two numbers for people, with as many digits as it takes to tell them apart."""
    texts = short(before), short(after)
    for digits in range(5, 16):
        if texts[0] != texts[1]:
            break
        texts = f"{before:.{digits}g}", f"{after:.{digits}g}"
    return texts
