"""The wire contract: keys, ids and times."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from qraft.model import (
    NAMESPACE,
    Contributor,
    DeadLetter,
    Details,
    Event,
    Feedback,
    Pattern,
    Scope,
    Verdict,
    decode_dead,
    decode_event,
    decode_feedback,
    decode_pattern,
    derive_id,
    encode,
    encode_lines,
    event_id,
    feedback_fault,
    iso_from_us,
    pattern_id,
    us_from_iso,
)

EVENT = Event(event_id="e", source="s", type="t", timestamp="2024-01-01T00:00:00Z", payload={"x": 1.5, "y": {"z": None}})
PATTERN = Pattern(
    pattern_id="p",
    type="drift",
    timestamp="2024-01-01T00:00:00Z",
    source="s",
    details=Details(prev_state={"mean": 1.0}, new_state={"mean": 2.0}, metrics={"z": 9.0}, confidence=0.75),
    contributors=[Contributor(field="x", score=1.0, before=1.0, after=2.0)],
)


def test_an_event_has_the_contracts_keys() -> None:
    assert json.loads(encode(EVENT)) == {
        "event_id": "e",
        "source": "s",
        "type": "t",
        "timestamp": "2024-01-01T00:00:00Z",
        "payload": {"x": 1.5, "y": {"z": None}},
        "meta": {"version": "1.0"},
    }


def test_a_pattern_has_the_contracts_keys() -> None:
    said = json.loads(encode(PATTERN))
    assert {"pattern_id", "type", "timestamp", "source", "details", "contributors"} <= set(said)
    assert set(said["details"]) == {"prev_state", "new_state", "metrics", "confidence"}
    assert said["contributors"] == [{"field": "x", "score": 1.0, "before": 1.0, "after": 2.0}]
    assert said["line"] == 0.5


def _feedback(verdict: Verdict, **more: Any) -> Feedback:
    return Feedback(feedback_id="f", pattern_id="p", verdict=verdict, timestamp="2026-05-01T12:00:00Z", source="s", **more)


def test_feedback_of_an_older_qraft_is_read_as_before() -> None:
    line = b'{"feedback_id":"f","pattern_id":"p","verdict":"confirmed","timestamp":"2026-05-01T12:00:00Z","source":"s"}'
    assert decode_feedback(line) == _feedback("confirmed")
    mute = _feedback("mute", scope=Scope(source="s", detector="drift"), until="2026-05-01T13:00:00Z")
    assert decode_feedback(encode(mute)) == mute
    later = encode(mute).replace(b'"scope":{', b'"scope":{"later":1,')
    assert decode_feedback(later) == mute


SCOPE = Scope(source="s")
SIX = "2026-05-01T18:00:00Z"


@pytest.mark.parametrize(
    ("feedback", "fault"),
    [
        *((_feedback(verdict), "") for verdict in ("confirmed", "false_positive", "expected", "new_normal", "undo")),
        (_feedback("note", note="why"), ""),
        (_feedback("note"), "a note needs its text"),
        (_feedback("note", note=" \n"), "a note needs its text"),
        (_feedback("mute", scope=SCOPE, until=SIX), ""),
        (_feedback("mute", scope=Scope(type="drift"), until="2026-05-31T12:00:00Z"), ""),
        (_feedback("mute", scope=SCOPE, until="2026-05-31T12:00:00.000001Z"), "a mute ends after 30 days at the latest"),
        (_feedback("mute", until=SIX), "a mute needs a scope: at least one of source, entity, type and detector"),
        (
            _feedback("mute", scope=Scope(), until=SIX),
            "a mute needs a scope: at least one of source, entity, type and detector",
        ),
        (_feedback("mute", scope=SCOPE), "a mute needs an end"),
        (_feedback("mute", scope=SCOPE, until="2026-05-01T12:00:00Z"), "a mute must end after it begins"),
        (
            _feedback("mute", scope=SCOPE, until="18:00"),
            '"18:00" is no time; expected ISO 8601, such as 2026-05-01T18:00:00Z',
        ),
        (
            _feedback("mute", scope=Scope(type="spike"), until=SIX),
            'a mute of type "spike" covers nothing; expected one of drift, anomaly, cluster_change',
        ),
        (_feedback("note", note="n", until=SIX), '"note" takes neither a scope nor an end; only a mute does'),
        (_feedback("confirmed", scope=SCOPE), '"confirmed" takes neither a scope nor an end; only a mute does'),
    ],
)
def test_what_breaks_the_contract_of_feedback_is_said(feedback: Feedback, fault: str) -> None:
    assert feedback_fault(feedback) == fault


def test_values_come_back_and_later_keys_are_ignored() -> None:
    assert decode_event(encode(EVENT)) == EVENT
    assert decode_pattern(encode(PATTERN)) == PATTERN
    verdict = Feedback(feedback_id="f", pattern_id="p", verdict="undo", timestamp="2024-01-01T00:00:00Z", undoes="g")
    assert decode_feedback(encode(verdict)) == verdict
    dead = DeadLetter(dead_id="d", source="s", timestamp="", stage="bus", reason="r", original=bytes(range(256)))
    assert decode_dead(encode(dead)) == dead
    assert decode_event(encode(EVENT)[:-1] + b',"later":1}') == EVENT
    assert [decode_event(line) for line in encode_lines([EVENT, EVENT]).splitlines()] == [EVENT, EVENT]


@pytest.mark.parametrize(
    "broken", [b"", b"{}", b'{"event_id": 1}', b"\xff", encode(EVENT).replace(b'"payload":{', b'"payload":[{')]
)
def test_what_is_no_event_is_refused(broken: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode_event(broken)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=5))
def test_ids_are_uuid5(parts: list[str]) -> None:
    assert derive_id(*parts) == str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


def test_ids_tell_everything_apart_that_makes_them() -> None:
    ids = {
        event_id("s", "1"),
        event_id("s", "2"),
        event_id("t", "1"),
        pattern_id("s", "1", "drift"),
        pattern_id("s", "1", "anomaly"),
    }
    assert len(ids) == 5
    made = subprocess.run(
        [sys.executable, "-c", "from qraft.model import event_id; print(event_id('s', '1'))"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert made.stdout.strip() == event_id("s", "1")


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_come_back(moment: datetime) -> None:
    micros = us_from_iso(moment.isoformat())
    assert us_from_iso(iso_from_us(micros)) == micros
    assert iso_from_us(micros).endswith("Z")


def test_times_outside_the_calendar_are_refused() -> None:
    for micros in (-62_135_596_800_000_001, 253_402_300_800_000_000, 10**30):
        with pytest.raises(OverflowError):
            iso_from_us(micros)
