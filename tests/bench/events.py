"""Generated events: the same whenever they are made."""

import random

import msgspec

from qraft.model import Event, event_id, iso_from_us

FIELDS = ("a", "b", "c")
START_US = 1_700_000_000_000_000


def make_events(count: int, source: str = "bench", seed: int = 7) -> list[Event]:
    """Three noisy fields, one event a second, with a shift of the first field every 2,000 events."""
    draw = random.Random(seed)
    return [
        Event(
            event_id=event_id(source, str(n)),
            source=source,
            type="row",
            timestamp=iso_from_us(START_US + n * 1_000_000),
            payload={f: draw.gauss(3.0 * (n // 2_000 % 2) if f == "a" else 0.0, 1.0) for f in FIELDS},
            meta={"version": "1.0", "cursor": str(n)},
        )
        for n in range(count)
    ]


def shifting_events(source: str, rows: int, seed: int) -> list[Event]:
    """Noise whose level rises by ten spreads every 400 rows, to where it never was: about two patterns a step."""
    return [
        msgspec.structs.replace(event, payload={f: value + 10.0 * (n // 400) for f, value in event.payload.items()})
        for n, event in enumerate(make_events(rows, source, seed))
    ]
