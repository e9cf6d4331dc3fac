"""How alike two findings are, and which findings of the past are most like one. Pure: values in, values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from qraft.model import Contributor, Pattern, us_from_iso
from qraft.store.episodes import GAP_US
from qraft.store.history import StoredPattern

ALIKE: Final = 0.6
"""From this likeness on two findings count as alike."""

_FIELDS, _DETECTOR, _CONFIDENCE = 0.7, 0.15, 0.15
_OPPOSED: Final = 0.6
"""What a field shared by both counts where it moved the other way; 1 where it moved alike."""
_UNKNOWN: Final = 0.5
_JUDGED: Final = 0.1
"""What a verdict is worth in the order: of two findings about as like, the judged one says more."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Similar:
    """Findings of the past that are like one.

    Attributes:
        patterns: one of each run of findings, the nearest first: of the same entity, of the same source, from elsewhere;
            among these the likest first, a judged one a little before one that is not.
        verdicts: how many runs alike have which verdict in force, "" for none; of all of them, not of ``patterns`` alone.
    """

    patterns: list[StoredPattern] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)


def likeness(pattern: Pattern, other: Pattern) -> float:
    """How alike two findings are, in [0, 1]; 1 for the same finding at another time.

    Most of it is the share that the same fields have in both, counted less where they moved another way or by another
    relative amount; the rest is the detector and how sure it was.
    """
    gap = abs(pattern.details.confidence - other.details.confidence)
    fields = _shared(pattern.contributors, other.contributors)
    return _FIELDS * fields + _DETECTOR * (pattern.detector == other.detector) + _CONFIDENCE * (1 - min(gap, 1.0))


def rank(pattern: Pattern, past: Iterable[StoredPattern], limit: int) -> Similar:
    """Those of ``past`` that are like ``pattern``.

    Findings of one group in slots of ``GAP_US`` that touch count as one run here: nearly the episodes, which are cut finer.

    Args:
        pattern: the finding in question.
        past: earlier findings of its type and kind; the run that leads up to it is left out.
        limit: how many to name at most.
    """
    groups: dict[Hashable, list[tuple[int, StoredPattern]]] = {}
    for one in past:
        groups.setdefault(_group(one.pattern), []).append((us_from_iso(one.pattern.timestamp), one))
    own, own_slot = _group(pattern), us_from_iso(pattern.timestamp) // GAP_US
    alike: list[tuple[int, float, int, StoredPattern]] = []
    for group, timed in groups.items():
        for run in _runs(timed):
            if group == own and own_slot - run[-1][0] // GAP_US <= 1:
                continue
            time_us, one = min(run, key=lambda at: (not at[1].verdict, -at[1].pattern.details.confidence, at[0]))
            if (score := likeness(pattern, one.pattern)) >= ALIKE:
                order = -score - (_JUDGED if one.verdict else 0.0)
                alike.append((_farness(pattern, one.pattern), order, -time_us, one))
    alike.sort(key=lambda found: found[:3])
    return Similar([one for *_, one in alike[:limit]], dict(Counter(one.verdict or "" for *_, one in alike)))


def _group(pattern: Pattern) -> Hashable:
    return pattern.source, pattern.entity, pattern.type, pattern.detector


def _farness(pattern: Pattern, other: Pattern) -> int:
    return 2 if pattern.source != other.source else int(pattern.entity != other.entity)


def _runs(timed: list[tuple[int, StoredPattern]]) -> list[list[tuple[int, StoredPattern]]]:
    runs: list[list[tuple[int, StoredPattern]]] = []
    for at in sorted(timed, key=lambda at: at[0]):
        if runs and at[0] // GAP_US - runs[-1][-1][0] // GAP_US <= 1:
            runs[-1].append(at)
        else:
            runs.append([at])
    return runs


def _shared(own: Sequence[Contributor], others: Sequence[Contributor]) -> float:
    """The share that the same fields have in both, in [0, 1]; 1 where no field has a share in either."""
    if not own and not others:
        return 1.0
    shares, other_shares = _by_field(own, lambda one: one.score), _by_field(others, lambda one: one.score)
    moves, other_moves = _by_field(own, _move), _by_field(others, _move)
    total = 0.0
    for name in shares.keys() & other_shares.keys():
        move, other = moves[name], other_moves[name]
        agreed = _UNKNOWN if move is None or other is None else _agreement(move, other)
        total += min(shares[name], other_shares[name]) * (_OPPOSED + (1 - _OPPOSED) * agreed)
    return min(total, 1.0)


def _agreement(move: float, other: float) -> float:
    """1 for the same move, 0 for one the other way, between for one of another size."""
    if move == other:
        return 1.0
    sizes = abs(move), abs(other)
    return 0.5 + min(sizes) / max(sizes) / 2 if move * other > 0 else 0.0


def _by_field(contributors: Sequence[Contributor], of: Callable[[Contributor], T]) -> dict[str, T]:
    return {one.field: of(one) for one in contributors}


def _move(one: Contributor) -> float | None:
    """How far a field moved for its size, in [-1, 1]; None where that is not known."""
    if one.before is None or one.after is None:
        return None
    size = abs(one.before) + abs(one.after)
    return (one.after - one.before) / size if size else 0.0
