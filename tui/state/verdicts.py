"""What every operator said, by episode: which verdict stands, who gave it, whether JetStream has it.

Mutes and notes are kept beside the verdicts; neither they nor what takes them back change what stands.
"""

from __future__ import annotations

import enum

import msgspec

from qraft.model import ASIDES, Feedback, Verdict


class Delivery(enum.Enum):
    """How far a verdict got: on this machine only, stored by JetStream, or refused for good."""

    UNSENT = "unsent"
    STORED = "stored"
    REFUSED = "refused"


class Mark(msgspec.Struct, frozen=True):
    """What stands on an episode now.

    Attributes:
        verdict: None where nothing stands (any more).
        feedback: the verdict's message; None where nothing stands.
        delivery: UNSENT as long as one of the episode's verdicts is so, else how far the last one got.
    """

    verdict: Verdict | None = None
    feedback: Feedback | None = None
    delivery: Delivery = Delivery.STORED


NO_MARK = Mark()


class Verdicts:
    """Verdicts, mutes and notes, idempotent by ``feedback_id``, in the order of their timestamps."""

    def __init__(self) -> None:
        self._feedback: dict[str, Feedback] = {}
        self._delivery: dict[str, Delivery] = {}
        self._of: dict[str, list[str]] = {}
        self._marks: dict[str, Mark] = {}

    @property
    def unsent(self) -> int:
        """How much of what was said JetStream does not have yet."""
        return sum(state is Delivery.UNSENT for state in self._delivery.values())

    def add(self, key: str, feedback: Feedback, delivery: Delivery) -> None:
        """Takes a verdict on the episode ``key``; what is known as stored stays so."""
        self._feedback[feedback.feedback_id] = feedback
        self.deliver(feedback.feedback_id, delivery)
        if feedback.feedback_id not in (ids := self._of.setdefault(key, [])):
            ids.append(feedback.feedback_id)
            ids.sort(key=lambda i: (self._feedback[i].timestamp, i))
        self._marks.pop(key, None)

    def deliver(self, feedback_id: str, delivery: Delivery) -> None:
        """Notes how far a verdict got, be its pattern known or not. Nothing comes after STORED."""
        known = self._delivery.get(feedback_id)
        if known is None or (known is not Delivery.STORED and delivery is not Delivery.UNSENT):
            self._delivery[feedback_id] = delivery
            self._marks = {key: mark for key, mark in self._marks.items() if feedback_id not in self._of[key]}

    def rekey(self, old: str, new: str) -> None:
        """Moves the verdicts of an episode that was merged into another."""
        for feedback_id in self._of.pop(old, []):
            self.add(new, self._feedback[feedback_id], self._delivery[feedback_id])
        self._marks.pop(old, None)

    def mark(self, key: str) -> Mark:
        """What stands on the episode ``key``."""
        if (cached := self._marks.get(key)) is not None:
            return cached
        if key not in self._of:
            return NO_MARK
        mark = self._marks[key] = self._judge([self._feedback[i] for i in self._of[key]])
        return mark

    def marks(self) -> dict[str, Mark]:
        """What stands on every episode on which something was said."""
        return {key: self.mark(key) for key in self._of}

    def get(self, feedback_id: str) -> Feedback | None:
        """A verdict by its id."""
        return self._feedback.get(feedback_id)

    def said(self, key: str) -> list[Feedback]:
        """All that was said on the episode ``key``, oldest first: notes, mutes, and what was taken back with its undo."""
        return [self._feedback[i] for i in self._of.get(key, ())]

    def delivery(self, feedback_id: str) -> Delivery:
        """How far something said got; what is not known counts as stored."""
        return self._delivery.get(feedback_id, Delivery.STORED)

    def undone(self, key: str) -> set[str]:
        """The ids of what was said on the episode ``key`` and taken back."""
        return {f.undoes for f in self.said(key) if f.verdict == "undo" and not self._is_refused(f)}

    def notes(self, key: str) -> int:
        """How many notes stand on the episode ``key``."""
        if key not in self._of:
            return 0
        undone = self.undone(key)
        return sum(f.verdict == "note" and f.feedback_id not in undone and not self._is_refused(f) for f in self.said(key))

    def _is_refused(self, feedback: Feedback) -> bool:
        return self._delivery[feedback.feedback_id] is Delivery.REFUSED

    def _is_aside(self, feedback: Feedback) -> bool:
        target = self._feedback.get(feedback.undoes) if feedback.verdict == "undo" else feedback
        return target is not None and target.verdict in ASIDES

    def _judge(self, everything: list[Feedback]) -> Mark:
        said = [f for f in everything if not self._is_aside(f)]
        if not said:
            return NO_MARK
        states = [self._delivery[f.feedback_id] for f in said]
        valid = [f for f, state in zip(said, states, strict=True) if state is not Delivery.REFUSED]
        undone = {f.undoes for f in valid if f.verdict == "undo"}
        standing = [f for f in valid if f.verdict != "undo" and f.feedback_id not in undone]
        delivery = Delivery.UNSENT if Delivery.UNSENT in states else states[-1]
        return Mark(standing[-1].verdict, standing[-1], delivery) if standing else Mark(None, None, delivery)
