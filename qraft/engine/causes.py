"""Why input could not be used, in a few words: the bounded vocabulary behind the free text of dead letters. Pure."""

from __future__ import annotations

from typing import Final

from qraft.model import DeadLetter

_BEGINNINGS: Final = (
    ("the payload is ", "payload"),
    ("the payload has no time field ", "time"),
    ("timestamp: ", "time"),
    ("time field ", "time"),
    ("the payload has no", "no_numbers"),
    ("steps[", "step"),
    ("internal fault", "fault"),
)

CAUSES: Final = ("unreadable", "refused", "payload", "time", "no_numbers", "step", "fault", "other")
"""Every cause.

``unreadable``: a line or message that is none; ``refused``: too large for the bus; ``payload``: no JSON object; ``time``: no
readable time; ``no_numbers``: no watched field is a number; ``step``: a step cannot work on it; ``fault``: a fault of the
program.
"""


def cause_of(letter: DeadLetter) -> str:
    """The cause of a dead letter, one of `CAUSES`."""
    if letter.stage == "ingest":
        return "unreadable"
    if letter.stage == "bus":
        return "refused" if letter.reason.startswith("NATS: ") else "unreadable"
    return next((cause for beginning, cause in _BEGINNINGS if letter.reason.startswith(beginning)), "other")
