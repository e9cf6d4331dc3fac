"""What the two ways of preprocessing share, with steps and without: this module needs no polars."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from qraft.config.sources.steps import Step
from qraft.model import CleanEvent, DeadLetter
from qraft.preprocess.cleaner import Rejected

Outcome = list[CleanEvent] | DeadLetter | Rejected
"""What became of an event: the rows it caused (none, while it waits in a window), or why it is not judged."""


def steps_digest(steps: Sequence[Step]) -> str:
    """What tells one list of steps from another; empty where there is none."""
    text = "\n".join(step.model_dump_json() for step in steps)
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def cleaner_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a `Cleaner`'s or a `Preprocessor`'s state that both have."""
    own: dict[str, Any] = state["cleaner"] if "cleaner" in state else dict(state)
    return own
