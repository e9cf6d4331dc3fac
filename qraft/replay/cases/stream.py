"""Makes the rows of a generated stream, faults included. Deterministic: the same settings make the same events."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Final

from qraft.model import Event, event_id, iso_from_us
from qraft.replay.cases.model import Fault, Stream

START_US: Final = 1_767_225_600_000_000
"""Time of row 0: 2026-01-01."""


def generate(stream: Stream, source: str) -> Iterator[tuple[int, Event]]:
    """Each row's number and event; a row that falls into a gap is passed over, and its number with it."""
    fields = [_Field(stream, name, place) for place, name in enumerate(stream.names)]
    gaps = [fault for fault in stream.fault if fault.kind == "gap"]
    for row in range(stream.rows):
        payload = {field.name: value for field in fields if (value := field.at(row)) is not None}
        if any(_holds(gap, row) for gap in gaps):
            continue
        yield (
            row,
            Event(
                event_id=event_id(source, str(row)),
                source=source,
                type="row",
                timestamp=iso_from_us(START_US + round(row * stream.interval_seconds * 1e6)),
                payload=payload,
            ),
        )


class _Field:
    """One field's values, row by row. Each has random numbers of its own, so that another field changes none of them."""

    def __init__(self, stream: Stream, name: str, place: int) -> None:
        self.name = name
        self._stream = stream
        self._faults = [fault for fault in stream.fault if fault.field in ("", name) and fault.kind != "gap"]
        self._random = Random(f"{stream.seed}/{place}")
        self._walk = 0.0
        self._phase = 0.13 * place
        self._last: float | None = None

    def at(self, row: int) -> float | None:
        """The value of the next row; None where it is missing."""
        stream = self._stream
        here = [fault for fault in self._faults if _holds(fault, row)]
        noise = self._random.gauss(0.0, 1.0) * math.prod(fault.size for fault in here if fault.kind == "spread")
        if stream.kind == "walk":
            self._walk += noise
            noise = self._walk
        elif stream.kind == "sine":
            noise += stream.height * math.sin(2.0 * math.pi * self._phase)
            self._phase += 1.0 / (stream.period * math.prod(fault.size for fault in here if fault.kind == "period"))
        moved = sum(fault.size for fault in here if fault.kind in ("shift", "spike"))
        value = stream.level + stream.spread * (noise + moved)
        kinds = {fault.kind for fault in here}
        if "freeze" in kinds and self._last is not None:
            value = self._last
        self._last = value
        return None if "dropout" in kinds else value


def _holds(fault: Fault, row: int) -> bool:
    length = fault.rows or (1 if fault.kind == "spike" else 0)
    return row >= fault.row and (not length or row < fault.row + length)
