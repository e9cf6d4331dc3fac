"""One operator's own verdicts of this session, to be taken back one by one, the last first."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from qraft.model import Feedback, Pattern, Verdict, iso_from_us


def random_id() -> str:
    """A new feedback id."""
    return str(uuid.uuid4())


class Judge:
    """Makes the verdicts of one operator and remembers which of them can be taken back."""

    def __init__(self, user: str, new_id: Callable[[], str] = random_id) -> None:
        self._new_id = new_id
        self._done: list[Feedback] = []
        self._last_us = 0
        self.user = user

    @property
    def last(self) -> Feedback | None:
        """The verdict that ``undo`` would take back."""
        return self._done[-1] if self._done else None

    def give(self, pattern: Pattern, verdict: Verdict, now_us: int, *, replaces: Feedback | None = None) -> Feedback:
        """A verdict on a pattern; or on the one that ``replaces`` judged, so that it counts in its place, not besides."""
        feedback = Feedback(
            feedback_id=self._new_id(),
            pattern_id=replaces.pattern_id if replaces else pattern.pattern_id,
            verdict=verdict,
            timestamp=self._stamp(now_us),
            source=pattern.source,
            detector=pattern.detector,
            user=self.user,
        )
        self._done.append(feedback)
        return feedback

    def undo(self, now_us: int) -> Feedback | None:
        """Takes back the last verdict that was not taken back yet; None when there is none."""
        return self.take_back(self._done[-1], now_us) if self._done else None

    def take_back(self, feedback: Feedback, now_us: int) -> Feedback:
        """Takes back a certain verdict, such as one of an earlier session."""
        self._done = [f for f in self._done if f.feedback_id != feedback.feedback_id]
        return Feedback(
            feedback_id=self._new_id(),
            pattern_id=feedback.pattern_id,
            verdict="undo",
            timestamp=self._stamp(now_us),
            source=feedback.source,
            detector=feedback.detector,
            user=self.user,
            undoes=feedback.feedback_id,
        )

    def _stamp(self, now_us: int) -> str:
        """The time now, but always later than the verdict before: their order must not hang on the machine's clock."""
        self._last_us = max(now_us, self._last_us + 1)
        return iso_from_us(self._last_us)
