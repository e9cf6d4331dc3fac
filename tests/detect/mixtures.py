"""Generated streams of groups with a known change in them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tests.detect.streams import Row

KINDS: Final = ("birth", "death", "merge", "split", "moved", "occupancy")
CHANGE: Final = 1500

Floats = npt.NDArray[np.float64]


class Mixture(NamedTuple):
    """Rows with a change of one kind at row `CHANGE`, and the field it is to be seen in."""

    rows: list[Row]
    kind: str
    lead: str


def centres(draw: np.random.Generator, groups: int, fields: int, apart: float) -> Floats:
    """Places at least ``apart`` from each other."""
    size = apart
    while True:
        out = draw.uniform(-size, size, (groups, fields))
        gaps = np.sqrt(((out[:, None] - out) ** 2).sum(-1)) + 1e9 * np.eye(groups)
        if gaps.min() >= apart:
            return out
        size *= 1.1


def shares(draw: np.random.Generator, groups: int, least: float = 0.1) -> Floats:
    """Random shares, each at least ``least``."""
    return least + (1.0 - least * groups) * draw.dirichlet(np.full(groups, 3.0))


def sample(  # noqa: PLR0917 a mixture is that many things
    draw: np.random.Generator, rows: int, at: Floats, spread: Floats, share: Floats, stay: float = 0.0
) -> Floats:
    """Rows of a mixture; with ``stay``, a row stays in the group of the one before that often."""
    labels = draw.choice(len(share), rows, p=share / share.sum())
    if stay:
        for row in range(1, rows):
            if draw.random() < stay:
                labels[row] = labels[row - 1]
    return at[labels] + draw.normal(size=(rows, at.shape[1])) * spread[labels][:, None]


def _separating(at: Floats, spread: Floats, one: int, others: list[int]) -> int:
    """The field without which one group would be nearest to another."""
    gaps = np.array([(at[one] - at[other]) ** 2 / (0.5 * (spread[one] ** 2 + spread[other] ** 2)) for other in others])
    return int((gaps.sum(1)[:, None] - gaps).min(0).argmin())


def named(values: Floats, draw: np.random.Generator) -> list[Row]:
    """Rows as the pipeline sees them, each field in units of its own."""
    size, level = 10.0 ** draw.uniform(-3, 4, values.shape[1]), draw.uniform(-50, 50, values.shape[1])
    names = [f"f{at}" for at in range(values.shape[1])]
    return [dict(zip(names, row, strict=True)) for row in (size * (values + level)).tolist()]


def mixture(kind: str, seed: int, after: int = 400, stay: float = 0.0) -> Mixture:
    """2 to 8 fields, 2 to 5 groups of spreads 0.6 to 1.3 at least 7 apart, and a change of the kind asked for."""
    draw = np.random.default_rng([seed, KINDS.index(kind)])
    fields, groups = int(draw.integers(2, 9)), int(draw.integers(2, 6))
    at, spread, share = centres(draw, groups, fields, 7.0), draw.uniform(0.6, 1.3, groups), shares(draw, groups)
    lead = int(draw.integers(fields))
    at2, spread2, share2 = at.copy(), spread.copy(), share.copy()
    if kind == "birth":
        place = at[draw.integers(groups)].copy()
        place[lead] = at[:, lead].max() + draw.uniform(8.0, 14.0)
        new = draw.uniform(0.12, 0.35)
        at2, spread2 = np.vstack([at, place]), np.append(spread, draw.uniform(0.6, 1.3))
        share2 = np.append(share * (1.0 - new), new)
    elif kind == "death":
        one = int(share.argmax())
        lead = _separating(at, spread, one, [other for other in range(groups) if other != one])
        share2[one] = 0.0
    elif kind in {"merge", "split"}:
        one, two = at[0].copy(), at[0].copy()
        half = draw.uniform(3.0, 4.5)
        one[lead] -= half
        two[lead] += half
        apart = np.vstack([one, two, at[1:]])
        spreads = np.append([spread[0]], spread)
        part = draw.uniform(0.35, 0.65)
        share[0] = max(share[0], 0.25)
        share /= share.sum()
        parts = np.concatenate([[share[0] * part, share[0] * (1.0 - part)], share[1:]])
        whole = (at, spread, share)
        both = (apart, spreads, parts)
        (at, spread, share), (at2, spread2, share2) = (both, whole) if kind == "merge" else (whole, both)
        clear = min(np.sqrt(((apart[a] - apart[b]) ** 2).sum()) for a in range(len(apart)) for b in range(a))
        if clear < 5.5:  # a part fell upon another group
            return mixture(kind, seed + 1_000_000, after, stay)
    elif kind == "moved":
        one = int(share.argmax())
        at2[one, lead] += draw.choice([-1.0, 1.0]) * draw.uniform(2.5, 6.0) * spread[one]
        gaps = np.sqrt(((at2[one] - np.delete(at2, one, 0)) ** 2).sum(1))
        if gaps.min() < 5.5:
            return mixture(kind, seed + 1_000_000, after, stay)
    else:
        while 0.5 * np.abs(share2 - share).sum() < 0.3:
            share, share2 = shares(draw, groups), shares(draw, groups)
        flow = share2 - share
        lead = _separating(at, spread, int(flow.argmax()), [int(flow.argmin())])
    values = np.vstack([sample(draw, CHANGE, at, spread, share, stay), sample(draw, after, at2, spread2, share2, stay)])
    return Mixture(named(values, draw), kind, f"f{lead}")


def stationary(seed: int, rows: int, stay: float = 0.0) -> list[Row]:
    """A mixture that goes on as it was."""
    draw = np.random.default_rng([seed, 99])
    fields, groups = int(draw.integers(1, 9)), int(draw.integers(2, 6))
    at, spread = centres(draw, groups, fields, 7.0), draw.uniform(0.6, 1.3, groups)
    return named(sample(draw, rows, at, spread, shares(draw, groups), stay), draw)
