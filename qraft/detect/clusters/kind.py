"""What became of an entity's groups: which of the old ones are which of the new ones, and what that is called."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from qraft.detect.clusters.groups import Floats

_SAME: Final = 1.25
"""An old and a new group are the same where their centres differ by no more than so many of the narrower one's spreads."""
_GONE: Final = 0.4
"""Share of its old share below which a group is gone."""
_OWN: Final = 0.5
"""Share of a new group's rows that must be nearer to it than to the old ones: else it is several old ones seen as one."""
_ALIKE: Final = 0.6
"""A group became another where their shares are so alike (the smaller over the larger)."""


class Change(NamedTuple):
    """``old`` and ``new``: numbers of the groups it is about, largest first."""

    kind: str
    old: tuple[int, ...]
    new: tuple[int, ...]


def matched(old: Floats, old_spreads: Floats, new: Floats, new_spreads: Floats, rows: Floats) -> list[int]:
    """Number of the old group that each new one is, -1 for none; nearest pairs first.

    ``rows``: how many rows each new group has; what its centre strays by is allowed for.
    """
    pairs = []
    for at in range(len(new)):
        spread = np.minimum(old_spreads, new_spreads[at])
        gaps = (((old - new[at]) / spread) ** 2 - 1.0 / rows[at]).sum(axis=1)
        pairs += [(float(gap), at, was) for was, gap in enumerate(gaps) if gap < _SAME * _SAME]
    out, taken = [-1] * len(new), set()
    for _, at, was in sorted(pairs):
        if out[at] < 0 and was not in taken:
            out[at] = was
            taken.add(was)
    return out


def change_of(same: list[int], was: Floats, here: Floats, shares: Floats) -> Change:
    """Names the change.

    Args:
        same: of each new group, the old one it is, or -1.
        was: shares of the old groups.
        here: shares of the rows of now by place: the old groups', then those of the new groups that are none of them.
        shares: shares of the new groups.
    """
    new = [at for at, old in enumerate(same) if old < 0]
    lives = {at: here[len(was) + place] >= _OWN * shares[at] for place, at in enumerate(new)}
    fresh = sorted((at for at in new if lives[at]), key=lambda at: -shares[at])
    gone = sorted((at for at in range(len(was)) if at not in same and here[at] < _GONE * was[at]), key=lambda at: -was[at])
    lost, found = float(was[gone].sum()), float(shares[fresh].sum())
    alike = bool(lost and found) and min(lost, found) >= _ALIKE * max(lost, found)
    if not fresh and not gone:
        return Change("occupancy", (), ())
    if not gone or (fresh and not alike and found > lost):
        return Change("birth", (), (fresh[0],))
    if not fresh or not alike:
        return Change("death", (gone[0],), ())
    if len(gone) < len(fresh):
        return Change("split", (gone[0],), tuple(fresh))
    if len(gone) > len(fresh):
        return Change("merge", tuple(gone), (fresh[0],))
    return Change("moved", (gone[0],), (min(fresh, key=lambda at: abs(float(shares[at] - was[gone[0]]))),))
