"""Patterns, verdicts and sessions for the tests of the terminal interface."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from qraft.model import Contributor, Details, Feedback, Pattern, iso_from_us, us_from_iso
from tui.state.inbox import Batch
from tui.state.session import Session
from tui.state.store import Store
from tui.state.undo import Judge

NOW_US = us_from_iso("2026-11-22T14:00:00Z")

MakePattern = Callable[..., Pattern]


@pytest.fixture
def now_us() -> int:
    """A moment."""
    return NOW_US


@pytest.fixture
def make_pattern() -> MakePattern:
    """Makes patterns, each with an id of its own; ``at`` is seconds after ``now_us``."""
    numbers = count()

    def make(at: float = 0.0, *, confidence: float = 0.8, **changes: Any) -> Pattern:
        values: dict[str, Any] = {
            "pattern_id": f"pattern-{next(numbers)}",
            "type": "drift",
            "timestamp": iso_from_us(NOW_US + round(at * 1_000_000)),
            "source": "host",
            "details": Details(prev_state={"mean": 1.0}, new_state={"mean": 2.0}, metrics={"z": 4.2}, confidence=confidence),
            "contributors": [
                Contributor(field="cpu_percent", score=0.9, before=1.0, after=2.0),
                Contributor(field="load1", score=0.1, before=3.0, after=3.1),
            ],
            "detector": "drift",
            "event_id": "event",
            "summary": "cpu_percent moved for good",
        }
        return Pattern(**{**values, **changes})

    return make


@pytest.fixture
def given() -> list[Feedback]:
    """The verdicts a session hands out."""
    return []


@pytest.fixture
def session(given: list[Feedback]) -> Session:
    """A session of the user ``me`` whose verdicts land in ``given``."""
    numbers = count()
    return Session(Store(), Judge("me", lambda: f"verdict-{next(numbers)}"), given.append)


@pytest.fixture
def feed(session: Session) -> Callable[..., None]:
    """Folds patterns into the session and computes its next frame."""

    def fold(*patterns: Pattern, at_us: int = NOW_US) -> None:
        session.fold(Batch(patterns=list(patterns)), at_us)
        session.frame(at_us)

    return fold
