"""A verdict from what an operator asks: its pattern's source and detector, and, for an undo, which verdict it takes back."""

from __future__ import annotations

from collections.abc import Sequence

from qraft.model import Feedback, Pattern, Verdict


class NothingToUndo(Exception):
    """An undo without a verdict of that user in force; the text is a sentence for people."""


def in_force(said: Sequence[Feedback], user: str) -> Feedback | None:
    """The last verdict of ``user`` in ``said``, oldest first, that was not taken back."""
    undone = {verdict.undoes for verdict in said if verdict.verdict == "undo"}
    standing = [v for v in said if v.verdict != "undo" and v.user == user and v.feedback_id not in undone]
    return standing[-1] if standing else None


def compose(
    pattern: Pattern,
    said: Sequence[Feedback],
    *,
    verdict: Verdict,
    note: str,
    user: str,
    feedback_id: str,
    timestamp: str,
) -> Feedback:
    """The verdict to publish.

    Args:
        pattern: what is judged.
        said: the verdicts on it so far, oldest first; read for an undo only.
        verdict: what the operator says.
        note: why, in the operator's words.
        user: who says it.
        feedback_id: its id; the same id is stored once.
        timestamp: when, ISO 8601 in UTC.

    Raises:
        NothingToUndo: an undo, and no verdict of ``user`` is in force.
    """
    undoes = ""
    if verdict == "undo":
        repeated = next((v for v in said if v.feedback_id == feedback_id and v.verdict == "undo"), None)
        target = in_force(said, user)
        if repeated is not None:
            undoes = repeated.undoes
        elif target is not None:
            undoes = target.feedback_id
        else:
            who = f'of "{user}" ' if user else "without a user's name "
            raise NothingToUndo(f"no verdict {who}is in force on pattern {pattern.pattern_id}")
    return Feedback(
        feedback_id=feedback_id,
        pattern_id=pattern.pattern_id,
        verdict=verdict,
        timestamp=timestamp,
        source=pattern.source,
        detector=pattern.detector,
        note=note,
        user=user,
        undoes=undoes,
    )
