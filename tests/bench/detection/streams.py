"""Generated streams, the same whenever they are made, and the way they go through a Pipeline."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from qraft.model import TICK, Event, Pattern, iso_from_us
from qraft.pipeline import Pipeline, Scores

Rows = npt.NDArray[np.float64]
"""One row an instant, one column a field."""

STEP_US: Final = 60_000_000
"""Time from row to row: a minute, so that a day has 1,440 rows."""
START_US: Final = 1_700_000_000_000_000
DAY: Final = 1440
SOURCE: Final = "bench"
_BATCH: Final = 500


def white(rows: int, fields: int, draw: np.random.Generator) -> Rows:
    """Independent N(0, 1)."""
    return draw.standard_normal((rows, fields))


def walk(rows: int, fields: int, draw: np.random.Generator) -> Rows:
    """A random walk with steps N(0, 1)."""
    return np.cumsum(draw.standard_normal((rows, fields)), axis=0)


def autoregressive(rows: int, fields: int, draw: np.random.Generator, phi: float = 0.7) -> Rows:
    """AR(1) with unit variance."""
    noise = draw.standard_normal((rows, fields)) * np.sqrt(1 - phi * phi)
    out = np.empty((rows, fields))
    last = draw.standard_normal(fields)
    for n in range(rows):
        last = phi * last + noise[n]
        out[n] = last
    return out


def sine(rows: int, fields: int, draw: np.random.Generator, period: int = DAY, amplitude: float = 3.0) -> Rows:
    """A sine of random phase in each field, plus N(0, 1)."""
    phase = draw.uniform(0, 2 * np.pi, fields)
    angle = 2 * np.pi * np.arange(rows)[:, None] / period + phase
    return amplitude * np.sin(angle) + draw.standard_normal((rows, fields))


def names(fields: int) -> list[str]:
    """The names of a stream's fields."""
    return [f"f{n}" for n in range(fields)]


def events(rows: Rows, *, first: int = 0, late_us: int = 0) -> list[Event]:
    """Rows as events one step apart, from row number ``first``; a value that is not a number is absent.

    ``late_us`` moves all of them on in time: a gap before the first.
    """
    keys = names(rows.shape[1])
    return [
        Event(
            event_id=f"e{n}",
            source=SOURCE,
            type="row",
            timestamp=iso_from_us(START_US + n * STEP_US + late_us),
            payload={key: value for key, value in zip(keys, row, strict=True) if not math.isnan(value)},
        )
        for n, row in enumerate(rows.tolist(), first)
    ]


def ticks(count: int, *, first: int) -> list[Event]:
    """Time that passes without rows: a tick a step, from where row ``first`` would be."""
    return [
        Event(event_id=f"t{n}", source=SOURCE, type=TICK, timestamp=iso_from_us(START_US + n * STEP_US), payload={})
        for n in range(first, first + count)
    ]


def stepped(pipeline: Pipeline, stream: Sequence[Event]) -> Iterator[tuple[list[Pattern], list[Scores | None]]]:
    """What the pipeline says of a stream, batch by batch."""
    for at in range(0, len(stream), _BATCH):
        result = pipeline.step(stream[at : at + _BATCH])
        yield result.patterns, result.scores
