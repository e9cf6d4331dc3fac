"""The cause of a dead letter, of letters that the parts of the program really make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from qraft.bus import BusRejected, oversized_letter
from qraft.bus.codec import decode_message
from qraft.config.sources import SourceSettings
from qraft.config.sources.steps import CastStep, DeriveStep
from qraft.engine.causes import CAUSES, cause_of
from qraft.model import DeadLetter, Event
from qraft.preprocess import Cleaner
from qraft.preprocess.preprocessor import Preprocessor

TIME = "2026-11-22T10:00:00Z"


def event(payload: Any, timestamp: str = TIME, name: str = "e") -> Event:
    return Event(event_id=name, source="s", type="row", timestamp=timestamp, payload=payload)


def cleaned(payload: Any, timestamp: str = TIME, **settings: Any) -> DeadLetter:
    made = Cleaner("s", SourceSettings(**settings)).take(event(payload, timestamp))
    assert isinstance(made, DeadLetter)
    return made


@pytest.mark.parametrize(
    ("payload", "settings", "cause"),
    [
        ([1, 2], {}, "payload"),
        ({"a": "text"}, {}, "no_numbers"),
        ({"a": 1}, {"fields": ["b"]}, "no_numbers"),
        ({"a": 1}, {"time": "t"}, "time"),
        ({"a": 1, "t": "noon"}, {"time": "t"}, "time"),
    ],
)
def test_what_the_cleaner_cannot_use(payload: Any, settings: Mapping[str, Any], cause: str) -> None:
    assert cause_of(cleaned(payload, **settings)) == cause


def test_a_stamp_that_is_no_time() -> None:
    assert cause_of(cleaned({"a": 1}, "noon")) == "time"


def test_a_step_that_cannot_work_on_a_row() -> None:
    cast = CastStep(do="cast", fields={"n": "string"})
    derive = DeriveStep.model_validate({"do": "derive", "fields": {"v": "CAST(n AS INT)"}})
    [made] = Preprocessor("s", SourceSettings(steps=[cast, derive])).take([event({"n": "x5", "k": 3})])
    assert isinstance(made, DeadLetter)
    assert cause_of(made) == "step"


def test_a_message_that_is_no_event() -> None:
    [letter] = decode_message("qraft.lane.0.events.s", b"no json", sequence=1, arrived_us=0)
    assert isinstance(letter, DeadLetter)
    assert cause_of(letter) == "unreadable"


def test_an_event_the_bus_refuses() -> None:
    letter = oversized_letter(event({"a": 1}), BusRejected("NATS: message size exceeds maximum allowed (code 10054)"))
    assert cause_of(letter) == "refused"


def test_whatever_else_is_known_by_its_stage() -> None:
    letter = DeadLetter(dead_id="d", source="s", timestamp=TIME, stage="ingest", reason="anything", original=b"")
    assert cause_of(letter) == "unreadable"
    other = DeadLetter(dead_id="d", source="s", timestamp=TIME, stage="preprocess", reason="anything", original=b"")
    assert cause_of(other) == "other"
    fault = DeadLetter(
        dead_id="d", source="s", timestamp=TIME, stage="preprocess", reason="internal fault: X()", original=b""
    )
    assert cause_of(fault) == "fault"
    assert {cause_of(one) for one in (letter, other, fault)} <= set(CAUSES)
