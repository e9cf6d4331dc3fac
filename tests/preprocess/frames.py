"""Rows of one source as operators get them, cut at any places, and what any cut must give."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import polars as pl
from hypothesis import strategies as st

from qraft.preprocess.operators.base import ENTITY, INDEX, ROW_ID, TIME, WATERMARK, Operator

SECOND = 1_000_000
START = 1_700_000_040 * SECOND


@dataclass(frozen=True)
class Row:
    """One row: seconds since START in steps of a quarter, the entity, two fields."""

    at: float
    entity: str = ""
    price: float | None = None
    size: float | None = None

    @property
    def time(self) -> int:
        return START + round(self.at * SECOND)


def watermarks(rows: Sequence[Row], jumps: Sequence[int] = ()) -> list[int]:
    """The second largest time so far, as the cleaner has it, plus what steps before took out (a jump of so many seconds)."""
    largest = mark = START - 10**9
    out = []
    for n, row in enumerate(rows):
        if row.time > mark:
            mark, largest = min(row.time, largest), max(row.time, largest)
        ahead = jumps[n] if n < len(jumps) else 0
        mark = max(mark, mark + ahead * SECOND)
        largest = max(mark, largest)
        out.append(mark)
    return out


def whole(rows: Sequence[Row], marks: Sequence[int] | None = None) -> pl.DataFrame:
    """All rows as one frame."""
    return pl.DataFrame(
        {
            INDEX: pl.Series(range(len(rows)), dtype=pl.UInt32),
            TIME: pl.Series([row.time for row in rows], dtype=pl.Int64),
            ENTITY: pl.Series([row.entity for row in rows], dtype=pl.String),
            WATERMARK: pl.Series(watermarks(rows) if marks is None else marks, dtype=pl.Int64),
            ROW_ID: pl.Series([f"id-{n}" for n in range(len(rows))], dtype=pl.String),
            "price": pl.Series([row.price for row in rows], dtype=pl.Float64),
            "size": pl.Series([row.size for row in rows], dtype=pl.Float64),
            "note": pl.Series(["text"] * len(rows), dtype=pl.String),
        }
    )


def bits(frame: pl.DataFrame) -> list[tuple[str, ...]]:
    """Every value such that two are equal only if they are the same bit for bit."""
    return [tuple(value.hex() if isinstance(value, float) else repr(value) for value in row) for row in frame.rows()]


def in_pieces(
    make: Callable[[], Operator], frame: pl.DataFrame, cuts: Iterable[int], restores: Iterable[int]
) -> tuple[pl.DataFrame, list[int], Operator]:
    """What an operator gives for a frame cut at some places, and taken up by another from a snapshot at some of them.

    Each piece numbers its rows from 0, as micro-batches do, and lacks the fields that are null throughout. In what comes
    back rows have their numbers in the whole frame again; so have the late ones, which come second; third the operator.
    """
    places = sorted({0, frame.height, *(cut % (frame.height + 1) for cut in cuts)})
    again = {restore % len(places) for restore in restores}
    operator, made, late = make(), [], []
    for number, (begin, end) in enumerate(zip([0, *places], [*places, frame.height], strict=True)):
        piece = frame[begin:end].with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(INDEX))
        gone = [name for name in ("price", "size", "note") if piece[name].null_count() == piece.height]
        out = operator.take(piece.drop(gone))
        made.append(out.with_columns((pl.col(INDEX) + begin).cast(pl.UInt32)))
        late += [begin + index for index in getattr(operator, "late", [])]
        if number in again:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(operator.state()))
            operator = make()
            operator.load(state)
    return pl.concat(made, how="diagonal"), late, operator


_numbers = st.one_of(
    st.none(),
    st.just(math.nan),
    st.floats(90, 110).map(lambda value: round(value, 2)),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, -0.0, 1e-300, 1e99, -1e99, 0.1]),
)
_row = st.builds(
    Row,
    at=st.integers(0, 240).map(lambda quarter: quarter / 4),
    entity=st.sampled_from(["", "a", "b", "c"]),
    price=_numbers,
    size=_numbers,
)
_row_of_one = st.builds(Row, at=st.integers(0, 40).map(float), price=_numbers, size=_numbers)
rows_of_any_kind = st.one_of(
    st.lists(_row, min_size=1, max_size=50),
    st.lists(_row_of_one, min_size=15, max_size=40),
)
"""Rows in any order of time, of several entities, with nulls and NaN, of the same time, with any numbers."""

places = st.lists(st.integers(0, 10**6), max_size=12)
"""Where to cut, or to restore."""


def walk(count: int, seed: int, *, disorder: float = 0.0, entities: str = "abc", nulls: float = 0.1) -> list[Row]:
    """A price that wanders around 100, with sizes: about four rows a second, out of order by up to ``disorder`` seconds."""
    rng = random.Random(seed)
    price = dict.fromkeys(entities, 100.0)
    rows = []
    for n in range(count):
        entity = rng.choice(entities)
        price[entity] = round(price[entity] * math.exp(rng.gauss(0, 0.001)), 4)
        at = n / 4 - (rng.random() * disorder if rng.random() < 0.3 else 0.0)
        size = None if rng.random() < nulls else round(rng.expovariate(1.0), 3) + 0.001
        rows.append(Row(max(at, 0.0), entity, None if rng.random() < nulls else price[entity], size))
    return rows


def close(ours: float | None, theirs: float | None, *, relative: float = 1e-12, absolute: float = 0.0) -> bool:
    """Whether two results are the same, or both absent."""
    if ours is None or theirs is None:
        return ours is theirs
    return math.isclose(ours, theirs, rel_tol=relative, abs_tol=absolute)
