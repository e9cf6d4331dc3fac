"""What one operator said in this session, step by step, to be taken back and said again, the last first.

A step is everything one key did: a verdict on twenty marked episodes is taken back as one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from qraft.model import Feedback, Pattern, Scope, Verdict, iso_from_us, us_from_iso

Step = tuple[Feedback, ...]


def random_id() -> str:
    """A new feedback id."""
    return str(uuid.uuid4())


class Judge:
    """Makes what one operator says and remembers which of it can be taken back or said again."""

    def __init__(self, user: str, new_id: Callable[[], str] = random_id) -> None:
        self._new_id = new_id
        self._done: list[Step] = []
        self._undone: list[Step] = []
        self._last_us = 0
        self.user = user

    @property
    def can_undo(self) -> bool:
        """Whether ``undo`` has something to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether ``redo`` has something to say again."""
        return bool(self._undone)

    def give(self, targets: Sequence[tuple[Pattern, Feedback | None]], verdict: Verdict, now_us: int) -> Step:
        """A verdict on patterns; each may name one's own verdict that it replaces, so that it counts in its place."""
        return self._did(
            self._said(pattern, verdict, now_us, pattern_id=replaces.pattern_id if replaces else pattern.pattern_id)
            for pattern, replaces in targets
        )

    def note(self, patterns: Sequence[Pattern], text: str, now_us: int) -> Step:
        """A note on patterns."""
        return self._did(self._said(pattern, "note", now_us, note=text) for pattern in patterns)

    def mute(self, pattern: Pattern, scope: Scope, until_us: int, now_us: int, note: str = "") -> Step:
        """Silences what ``scope`` covers; said on the pattern at which it was thought of."""
        said = self._said(pattern, "mute", now_us, scope=scope, until=iso_from_us(until_us), note=note)
        return self._did([said])

    def undo(self, now_us: int) -> Step:
        """Takes back the last step that was not taken back yet; empty when there is none."""
        if not self._done:
            return ()
        step = self._done.pop()
        self._undone.append(step)
        return tuple(self._back(feedback, now_us) for feedback in step)

    def redo(self, now_us: int) -> Step:
        """Says again what was taken back last; empty when there is none."""
        if not self._undone:
            return ()
        step = tuple(self._again(feedback, now_us) for feedback in self._undone.pop())
        self._done.append(step)
        return step

    def _again(self, feedback: Feedback, now_us: int) -> Feedback:
        """The same once more; a mute lasts as long as it was meant to."""
        stamp = self._stamp(now_us)
        until = feedback.until
        if until:
            until = iso_from_us(us_from_iso(stamp) + us_from_iso(until) - us_from_iso(feedback.timestamp))
        return msgspec.structs.replace(feedback, feedback_id=self._new_id(), timestamp=stamp, until=until, user=self.user)

    def take_back(self, feedback: Feedback, now_us: int) -> Step:
        """Takes back a certain feedback of one's own, such as one of an earlier session."""
        kept = (tuple(f for f in step if f.feedback_id != feedback.feedback_id) for step in self._done)
        self._done = [step for step in kept if step]
        self._undone.append((feedback,))
        return (self._back(feedback, now_us),)

    def _did(self, said: Iterable[Feedback]) -> Step:
        step: Step = tuple(said)
        if step:
            self._done.append(step)
            self._undone.clear()
        return step

    def _back(self, feedback: Feedback, now_us: int) -> Feedback:
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

    def _said(self, pattern: Pattern, verdict: Verdict, now_us: int, *, pattern_id: str = "", **more: Any) -> Feedback:
        return Feedback(
            feedback_id=self._new_id(),
            pattern_id=pattern_id or pattern.pattern_id,
            verdict=verdict,
            timestamp=self._stamp(now_us),
            source=pattern.source,
            detector=pattern.detector,
            user=self.user,
            **more,
        )

    def _stamp(self, now_us: int) -> str:
        """The time now, but always later than what was said before: their order must not hang on the machine's clock."""
        self._last_us = max(now_us, self._last_us + 1)
        return iso_from_us(self._last_us)
