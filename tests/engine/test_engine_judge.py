"""A fault inside the pipeline ends neither the engine nor the stream."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from qraft.config import Settings
from qraft.engine.judge import Judge
from qraft.engine.meters import Meters
from qraft.ingest.base import wall_clock
from qraft.model import Event, Feedback, decode_event, event_id, iso_from_us
from qraft.pipeline import Pipeline, Result


def events(count: int) -> list[Event]:
    return [
        Event(
            event_id=event_id("s", str(n)),
            source="s",
            type="row",
            timestamp=iso_from_us(1_700_000_000_000_000 + n * 1_000_000),
            payload={"x": float(n % 5)},
        )
        for n in range(count)
    ]


@pytest.fixture
def judge() -> Judge:
    meters = Meters("test", monotonic=time.monotonic, now_us=wall_clock)
    return Judge("lane 0", Settings(), meters, time.monotonic)


def fail_on(monkeypatch: pytest.MonkeyPatch, poison: set[str], times: int) -> None:
    """Makes the real pipeline fail on the events named, so often."""
    real, left = Pipeline.step, [times]

    def step(self: Pipeline, batch: Sequence[Event | Feedback], **options: Any) -> Result:
        if left[0] and any(isinstance(item, Event) and item.event_id in poison for item in batch):
            left[0] -= 1
            raise AttributeError("a fault of this program")
        return real(self, batch, **options)

    monkeypatch.setattr(Pipeline, "step", step)


def test_a_passing_fault_costs_the_detectors_state_only(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = events(50)
    fail_on(monkeypatch, {batch[20].event_id}, times=1)
    result = judge.step(batch)
    assert [clean.event_id for clean in result.clean] == [event.event_id for event in batch]
    assert result.dead == []


def test_what_always_fails_is_a_dead_letter_and_the_rest_goes_on(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = events(50)
    bad = batch[20]
    fail_on(monkeypatch, {bad.event_id}, times=99)
    result = judge.step(batch)
    assert [clean.event_id for clean in result.clean] == [event.event_id for event in batch if event is not bad]
    [letter] = result.dead
    assert "a fault of this program" in letter.reason
    assert decode_event(letter.original) == bad
    assert len(result.scores) == len(batch)
    assert result.scores[20] is None


@pytest.mark.parametrize("state", [b"", b"garbage" * 20, Pipeline(Settings()).snapshot()[:-3]])
def test_a_state_that_cannot_be_read_starts_fresh(judge: Judge, state: bytes) -> None:
    judge.restore(state)
    assert len(judge.step(events(3)).clean) == 3
