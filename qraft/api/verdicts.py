"""What an operator says, made of what was asked: with the pattern's source and detector, and what an undo takes back."""

from __future__ import annotations

from collections.abc import Sequence

from qraft.bus import Bus
from qraft.model import Feedback, Pattern, Scope, Verdict, feedback_fault, us_from_iso
from qraft.store import History


class NothingToUndo(Exception):
    """An undo, and nothing that this user said stands; the text is a sentence for people."""


class FaultyFeedback(Exception):
    """A mute without its scope or its end, a note without its text; the text is a sentence for people."""


async def all_said(bus: Bus, history: History, pattern: Pattern) -> list[Feedback]:
    """All that was said on a pattern, oldest first, what is on its way to the store too.

    Raises:
        BusUnavailable: NATS does not answer.
        StoreUnavailable: ClickHouse does not answer.
    """
    pending = await bus.pending_feedback(pattern.source)  # first, so that what is stored meanwhile is seen in either place
    stored = await history.feedback(pattern.pattern_id)
    known = {one.feedback_id for one in stored}
    return stored + [one for one in pending if one.pattern_id == pattern.pattern_id and one.feedback_id not in known]


def last_said(said: Sequence[Feedback], user: str, now: str) -> Feedback | None:
    """The last of what ``user`` said in ``said``, oldest first, that was not taken back; a mute that has ended is past."""
    undone = {one.undoes for one in said if one.verdict == "undo"}
    standing = [
        one
        for one in said
        if one.verdict != "undo" and one.user == user and one.feedback_id not in undone and not _ended(one, now)
    ]
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
    scope: Scope | None = None,
    until: str = "",
) -> Feedback:
    """What is to be published.

    Args:
        pattern: what it is said on.
        said: all said on it so far, oldest first; read for an undo only.
        verdict: what the operator says.
        note: why, in the operator's words.
        user: who says it.
        feedback_id: its id; the same id is stored once.
        timestamp: when, ISO 8601 in UTC.
        scope: what a mute covers.
        until: when a mute ends, ISO 8601.

    Raises:
        NothingToUndo: an undo, and nothing that ``user`` said stands.
        FaultyFeedback: what `qraft.model.feedback_fault` finds.
    """
    undoes = ""
    if verdict == "undo":
        repeated = next((v for v in said if v.feedback_id == feedback_id and v.verdict == "undo"), None)
        target = last_said(said, user, timestamp)
        if repeated is not None:
            undoes = repeated.undoes
        elif target is not None:
            undoes = target.feedback_id
        else:
            who = f'of "{user}" ' if user else "without a user's name "
            raise NothingToUndo(f"no verdict {who}is in force on pattern {pattern.pattern_id}")
    feedback = Feedback(
        feedback_id=feedback_id,
        pattern_id=pattern.pattern_id,
        verdict=verdict,
        timestamp=timestamp,
        source=pattern.source,
        detector=pattern.detector,
        note=note,
        user=user,
        undoes=undoes,
        scope=scope,
        until=until,
    )
    if fault := feedback_fault(feedback):
        raise FaultyFeedback(fault)
    return feedback


def _ended(feedback: Feedback, now: str) -> bool:
    return feedback.verdict == "mute" and us_from_iso(feedback.until) <= us_from_iso(now)
