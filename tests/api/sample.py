"""What the tests of the REST interface store, and how they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from qraft.model import (
    PATTERN_TYPES,
    CleanEvent,
    Contributor,
    Details,
    Event,
    Pattern,
    event_id,
    iso_from_us,
    pattern_id,
)
from qraft.store import RawRow

START_US = 1_795_000_000_000_000
NOW = "2026-11-22T12:00:00.000000Z"
Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def make_pattern(n: int) -> Pattern:
    """The n-th pattern, n minutes after the start: types in turn; even ones of host, odd ones of market, entity BTC."""
    kind = PATTERN_TYPES[n % 3]
    source = "host" if n % 2 == 0 else "market"
    cause = event_id(source, str(n))
    return Pattern(
        pattern_id=pattern_id(cause, "test", kind),
        type=kind,
        timestamp=iso_from_us(START_US + n * 60_000_000),
        source=source,
        details=Details(
            prev_state={"mean": 1.0},
            new_state={"mean": 2.0, "μ": "größer"},
            metrics={"effect": 3.0},
            confidence=0.5 + n / 100,
        ),
        contributors=[Contributor(field="x", score=0.75, before=1.0, after=2.0), Contributor(field="y", score=0.25)],
        detector="test",
        event_id=cause,
        entity="" if source == "host" else "BTC",
        summary=f"x: mean 2.0, was 1.0 ({n})",
    )


def make_events() -> list[CleanEvent]:
    """200 events of host, one a second from the start on."""
    return [
        CleanEvent(
            event_id=event_id("host", f"e{n}"),
            source="host",
            entity="",
            time_us=START_US + n * 1_000_000,
            fields={"x": n / 2},
        )
        for n in range(200)
    ]


def raw(event: CleanEvent, n: int) -> RawRow:
    """The raw row behind a clean event."""
    whole = Event(
        event_id=event.event_id,
        source=event.source,
        type="row",
        timestamp=iso_from_us(event.time_us),
        payload=dict(event.fields),
    )
    return RawRow(whole, 0, n + 1, START_US)


async def until_well(connected: httpx.AsyncClient) -> None:
    """Waits until the server reached both of its servers; there need be no engine."""
    for _ in range(200):
        if {away["field"] for away in (await connected.get("/readyz")).json().get("errors", [])} <= {"engine"}:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the server did not get well")


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    for _ in range(400):
        if holds():
            return
        await asyncio.sleep(0.025)
    pytest.fail("did not come to hold")
