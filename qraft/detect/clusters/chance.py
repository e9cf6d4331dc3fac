"""What chance would do: tests of changed shares and moved centres, their errors taken from the stream itself."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from qraft.detect.clusters.groups import Floats, Ints
from qraft.detect.compiled import kernel
from qraft.detect.evidence import normal_decades

_FAN: Final = 4
"""Blocks are also taken in groups of so many, to see slow cycles."""
_SLOW_CYCLE: Final = 1.5
_PRIOR_BLOCKS: Final = 8.0
_PRIOR_FOURS: Final = 4.0
"""Blocks, and fours of them, that a dispersion leans on the shorter one by."""
_LEAST_IN_BLOCK: Final = 4
_LEAST_BLOCKS: Final = 8
_WITH: Final = 0.3
"""Where all groups move one way, each at least so surely against the surest, the stream moves: that is drift."""
_LEAST_VARIANCE: Final = 1e-6


class Occupancy(NamedTuple):
    """Test of changed shares by group: shares before and now, the dispersion, and the rarity in decades of the rarest."""

    before: Floats
    now: Floats
    dispersion: Floats
    decades: float
    moved_share: float


def occupancy_test(labels: Ints, number: int, reference: int, length: int) -> Occupancy:
    """Likelihood-ratio test of each group's share in the rows from ``reference`` on against those before.

    Rows of a stream depend on each other: G is divided by the largest of what the group's own stays say (a two-state chain
    has (1 + r) / (1 - r), r its correlation from row to row), before and now, and what its counts by block and by four
    blocks say (McCullagh & Nelder 1989, 4.5), the latter two leaning on the one before where blocks are few. A group
    seen seldom is taken to stay as long as the others.
    """
    table = _shares(labels, number, reference, length)
    best = 0.0
    blocks = reference // length
    fours = blocks // _FAN
    dispersion = np.ones(number)
    usual = float((0.5 * (table[:, 0] + table[:, 1]) * table[:, 5]).sum())
    for group in range(number):
        g, fine, coarse, stays = table[group, 2:]
        stays = max(stays, usual)
        fine = (fine * max(blocks - 1, 0) + stays * _PRIOR_BLOCKS) / (max(blocks - 1, 0) + _PRIOR_BLOCKS)
        coarse = (coarse * max(fours - 1, 0) + max(fine, stays) * _PRIOR_FOURS) / (max(fours - 1, 0) + _PRIOR_FOURS)
        slow = coarse > _SLOW_CYCLE * max(fine, stays, 1.0)
        freedom = max(fours - 1, 0) + _PRIOR_FOURS if slow else max(blocks - 1, 0) + _PRIOR_BLOCKS
        dispersion[group] = max(fine, coarse, stays, 1.0)
        best = max(best, normal_decades(float(np.sqrt(max(g, 0.0) / dispersion[group])), freedom))
    best = max(best - float(np.log10(number)), 0.0)
    moved = 0.5 * float(np.abs(table[:, 0] - table[:, 1]).sum())
    return Occupancy(table[:, 0], table[:, 1], dispersion, best, moved)


@kernel
def _shares(  # noqa: PLR0912 a kernel: one walk over the rows a group
    labels: Ints, number: int, reference: int, length: int
) -> Floats:
    """By group: shares before and now, G, dispersion by block, by four blocks, and by its stays."""
    out = np.zeros((number, 6))
    rows = len(labels)
    now = rows - reference
    blocks = reference // length
    first = reference - blocks * length
    for group in range(number):
        counts = np.zeros(blocks)
        seen = np.zeros(2)
        leaves, enters = np.zeros(2), np.zeros(2)
        for row in range(rows):
            here = labels[row] == group
            part = 1 if row >= reference else 0
            if here:
                seen[part] += 1.0
                if part == 0 and row >= first:
                    counts[(row - first) // length] += 1.0
            if row > 0 and row != reference:
                was = labels[row - 1] == group
                if was and not here:
                    leaves[part] += 1.0
                elif here and not was:
                    enters[part] += 1.0
        share = (seen[0] + seen[1]) / rows
        out[group, 0] = seen[0] / reference
        out[group, 1] = seen[1] / now
        if share <= 0.0 or share >= 1.0:
            continue
        g = 0.0
        for part in range(2):
            size = now if part == 1 else reference
            for count, expected in ((seen[part], size * share), (size - seen[part], size * (1.0 - share))):
                if count > 0.0:
                    g += 2.0 * count * np.log(count / expected)
            inside, outside = seen[part], size - seen[part]
            if inside >= _LEAST_IN_BLOCK and outside >= _LEAST_IN_BLOCK:
                r = 1.0 - (leaves[part] + 0.5) / (inside + 1.0) - (enters[part] + 0.5) / (outside + 1.0)
                r = max(r, 0.0)
                out[group, 5] = max(out[group, 5], (1.0 + r) / (1.0 - r))
        out[group, 2] = g
        usual = (counts.sum() + 0.5) / (blocks * length + 1.0)
        variance = usual * (1.0 - usual)
        if blocks >= 3:
            chi = 0.0
            for block in range(blocks):
                chi += (counts[block] - usual * length) ** 2
            out[group, 3] = chi / (variance * length * (blocks - 1))
        fours = blocks // _FAN
        if fours >= 3:
            chi = 0.0
            for four in range(fours):
                start = blocks - (four + 1) * _FAN
                chi += (counts[start : start + _FAN].sum() - usual * length * _FAN) ** 2
            out[group, 4] = chi / (variance * length * _FAN * (fours - 1))
    return out


class Move(NamedTuple):
    """Test of moved centres: the group and field that moved most, in spreads within the group, and the rarity in decades."""

    group: int
    field: int
    distance: float
    decades: float


def move_test(rows: Floats, labels: Ints, number: int, reference: int, length: int) -> Move:
    """Largest t-value of a group's mean in one field, its error taken from how the blocks before differ, by one and by four.

    Only groups that are there nearly all the time are looked at: where a stream wanders from group to group, what it meets
    there differs from visit to visit.
    """
    blocks = reference // length
    if blocks < _LEAST_BLOCKS:
        return Move(0, 0, 0.0, 0.0)
    t, distance, lived = _moves(rows, labels, number, reference, length)
    if not t.any():
        return Move(0, 0, 0.0, 0.0)
    group, field = divmod(int(t.argmax()), rows.shape[1])
    others = [at for at in range(number) if at != group and lived[at] > 0.0 and t[at, field] > 0.0]
    if others and all(
        distance[at, field] * distance[group, field] > 0.0 and t[at, field] > _WITH * t[group, field] for at in others
    ):
        return Move(0, 0, 0.0, 0.0)
    decades = normal_decades(float(t[group, field]), max(float(lived[group]) - 1.0, 2.0)) - float(np.log10(t.size))
    return Move(group, field, float(distance[group, field]), max(decades, 0.0))


@kernel
def _moves(  # noqa: PLR0912 as above
    rows: Floats, labels: Ints, number: int, reference: int, length: int
) -> tuple[Floats, Floats, Floats]:
    fields = rows.shape[1]
    blocks = reference // length
    first = reference - blocks * length
    size = len(labels)
    parts = (size - reference) // length
    t, distance, lived = np.zeros((number, fields)), np.zeros((number, fields)), np.zeros(number)
    for group in range(number):
        counts = np.zeros(blocks + parts + 1)
        for row in range(first, size):
            if labels[row] == group:
                counts[(row - first) // length] += 1.0
        living = 0
        for block in range(blocks):
            lived[group] += counts[block] >= _LEAST_IN_BLOCK
        for block in range(blocks, blocks + parts):
            living += counts[block] >= _LEAST_IN_BLOCK
        if 4 * lived[group] < 3 * blocks or living < parts - 1:
            continue
        for field in range(fields):
            n = np.zeros(blocks + parts + 1)
            s = np.zeros(blocks + parts + 1)
            squares = 0.0
            for row in range(first, size):
                if labels[row] == group:
                    value = rows[row, field]
                    if not np.isnan(value):
                        at = (row - first) // length
                        n[at] += 1.0
                        s[at] += value
                        if row < reference:
                            squares += value * value
            n1, n2 = n[:blocks].sum(), n[blocks:].sum()
            if n1 < 20 or n2 < 8:
                continue
            mean = s[:blocks].sum() / n1
            gap = s[blocks:].sum() / n2 - mean
            within = max(squares / n1 - mean * mean, _LEAST_VARIANCE)
            used, chi = 0, 0.0
            for block in range(blocks):
                if n[block] >= _LEAST_IN_BLOCK:
                    used += 1
                    chi += (s[block] / n[block] - mean) ** 2
            error = within / n2
            if used >= 3:
                error = max(error, chi / (used - 1) / parts)
            used, chi = 0, 0.0
            for four in range(blocks // _FAN):
                start = blocks - (four + 1) * _FAN
                m = n[start : start + _FAN].sum()
                if m > 0.0:
                    used += 1
                    chi += (s[start : start + _FAN].sum() / m - mean) ** 2
            if used >= 3:
                error = max(error, chi / (used - 1))
            t[group, field] = abs(gap) / np.sqrt(error * (1.0 + parts / blocks))
            distance[group, field] = gap / np.sqrt(within)
    return t, distance, lived


@kernel
def onset_of(labels: Ints, before: Floats, now: Floats, first: int) -> int:
    """Row, not before ``first``, from which on the labels speak most for the shares of now (a likelihood-ratio CUSUM)."""
    best, total, found = 0.0, 0.0, len(labels)
    for row in range(len(labels) - 1, first - 1, -1):
        group = labels[row]
        total += np.log((now[group] + 0.005) / (before[group] + 0.005))
        if total > best:
            best, found = total, row
    return found


@kernel
def moved_from(values: Floats, inside: npt.NDArray[np.bool_], before: float, now: float, first: int) -> int:
    """Row, not before ``first``, from which on a group's values lie nearer to the mean of now than to that of before."""
    best, total, found = 0.0, 0.0, len(values)
    middle = 0.5 * (before + now)
    for row in range(len(values) - 1, first - 1, -1):
        value = values[row]
        if inside[row] and not np.isnan(value):
            total += (value - middle) * (now - before)
            if total > best:
                best, found = total, row
    return found


@kernel
def common_move(rows: Floats, labels: Ints, number: int, reference: int) -> Floats:
    """By field, the part of their moves that all groups have alike in the rows from ``reference`` on: the least of their
    means' moves where all go one way, else 0.
    """
    fields = rows.shape[1]
    out = np.zeros(fields)
    for field in range(fields):
        n, sums = np.zeros((2, number)), np.zeros((2, number))
        for row in range(len(labels)):
            value = rows[row, field]
            if not np.isnan(value):
                part = 1 if row >= reference else 0
                n[part, labels[row]] += 1.0
                sums[part, labels[row]] += value
        least, seen = 0.0, 0
        for group in range(number):
            if n[0, group] < _LEAST_IN_BLOCK or n[1, group] < _LEAST_IN_BLOCK:
                continue
            move = sums[1, group] / n[1, group] - sums[0, group] / n[0, group]
            seen += 1
            if seen == 1 or (move * least > 0.0 and abs(move) < abs(least)):
                least = move
            elif move * least <= 0.0:
                least = 0.0
        if seen > 1:
            out[field] = least
    return out
