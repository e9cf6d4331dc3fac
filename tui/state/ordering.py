"""The orders in which episodes and sources can be listed. The first of each is the one at start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from tui.state.episodes import Episode
from tui.state.store import SourceState

EPISODE_SORTS: Final[tuple[tuple[Literal["last", "score", "n", "source"], bool], ...]] = (
    ("last", True),
    ("score", True),
    ("n", True),
    ("source", False),
)
SOURCE_SORTS: Final = (("name", False), ("rate", True), ("score", True), ("open", True))
"""Name of each order, and whether the highest comes first."""

_EPISODE_KEYS: Final[tuple[Callable[[Episode], float | int | str], ...]] = (
    lambda e: e.touched_us,
    lambda e: e.confidence,
    lambda e: e.n,
    lambda e: e.name,
)


def arrange_episodes(episodes: list[Episode], order: int, *, reverse: bool) -> list[Episode]:
    """Episodes, given newest first, in one of ``EPISODE_SORTS``; among equals the newest comes first."""
    _, descending = EPISODE_SORTS[order]
    if order == 0:
        return episodes[::-1] if reverse else episodes
    key = _EPISODE_KEYS[order]
    return sorted(episodes, key=key, reverse=descending != reverse)


def arrange_sources(sources: list[SourceState], order: int, *, reverse: bool, open_of: dict[str, int]) -> list[SourceState]:
    """Sources in one of ``SOURCE_SORTS``; among equals by name."""
    keys: tuple[Callable[[SourceState], float | str], ...] = (
        lambda s: s.stats.source,
        lambda s: s.stats.rate,
        lambda s: s.stats.score,
        lambda s: open_of.get(s.stats.source, 0),
    )
    _, descending = SOURCE_SORTS[order]
    named = sorted(sources, key=lambda s: s.stats.source)
    return sorted(named, key=keys[order], reverse=descending != reverse)
