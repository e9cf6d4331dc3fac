"""Episodes with what stands on them: one list of the terminal, be it live, of a past window, or a page of history."""

from __future__ import annotations

from collections.abc import Iterable

from qraft.model import Feedback, Pattern
from tui.state.episodes import Episode, Episodes
from tui.state.verdicts import Delivery, Mark, Verdicts

MAX_ORPHANS = 1_000
"""Verdicts kept whose pattern has not come yet."""


class Ledger:
    """Episodes and verdicts, brought together by pattern id in whatever order they come."""

    def __init__(self) -> None:
        self.episodes = Episodes()
        self.verdicts = Verdicts()
        self._orphans: dict[str, list[tuple[Feedback, Delivery]]] = {}

    def add(self, pattern: Pattern, touched_us: int) -> Episode | None:
        """Folds a pattern in; its episode, or None when it was known."""
        episode = self.episodes.add(pattern, touched_us)
        if episode is not None:
            for old, new in self.episodes.take_merges():
                self.verdicts.rekey(old, new)
            self._adopt(pattern.pattern_id, episode.key)
        return episode

    def put(self, episodes: Iterable[tuple[Episode, Feedback | None]]) -> None:
        """Takes whole episodes, the newest first, each with the verdict that is stored for it."""
        for episode, feedback in reversed(list(episodes)):
            self.episodes.put(episode)
            if feedback is not None:
                self.verdicts.add(episode.key, feedback, Delivery.STORED)
            for pattern_id in {episode.key, episode.peak.pattern_id}:
                self._adopt(pattern_id, episode.key)

    def judge(self, feedback: Feedback, delivery: Delivery) -> None:
        """Takes a verdict, one's own before it is sent, or anybody's as it arrives."""
        self.verdicts.deliver(feedback.feedback_id, delivery)
        key = self.episodes.key_of(feedback.pattern_id)
        if key is not None:
            self.verdicts.add(key, feedback, delivery)
        else:
            self._orphans.setdefault(feedback.pattern_id, []).append((feedback, delivery))
            if len(self._orphans) > MAX_ORPHANS:
                del self._orphans[next(iter(self._orphans))]

    def mark(self, episode: Episode) -> Mark:
        """What stands on an episode."""
        return self.verdicts.mark(self.episodes.resolve(episode.key))

    def _adopt(self, pattern_id: str, key: str) -> None:
        for feedback, delivery in self._orphans.pop(pattern_id, []):
            self.verdicts.add(key, feedback, delivery)
