"""What an operator is: the interface, and the columns that every frame has.

A frame is a piece of one source's rows, in the order of the events that caused them. Besides the fields it has the columns
below; an operator passes them on, and rows leave it in order of ``INDEX``.

The law of cuts: an operator gives the same rows with the same values, bit for bit, however the rows before it were cut
into frames. So nothing may depend on where a frame begins or ends: no running sum that starts with the frame, no type
inferred from it, no function over a whole column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import polars as pl

INDEX: Final = "_index"
"""UInt32: which event of the micro-batch caused the row."""
TIME: Final = "_time"
"""Int64: event time, UTC microseconds."""
ENTITY: Final = "_entity"
"""String: the entity; empty where the source has none."""
WATERMARK: Final = "_watermark"
"""Int64: the source's watermark after the event that caused the row, UTC microseconds: the time up to which rows are
thought to have come. Never falls."""
ROW_ID: Final = "_id"
"""String: the event's id, or, for a row made of several (a window), a UUID derived from what the row is."""

OWN: Final = (INDEX, TIME, ENTITY, WATERMARK, ROW_ID)
"""The columns every frame has; all others are fields: Float64, String or Boolean, null where a row has no such field."""


class Operator(Protocol):
    """One step of one source."""

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that these rows cause. Where it raises, the state is as before: the rows are then tried one by one.

        Args:
            frame: the next rows; it may be empty, and its field columns may differ from those of the frame before.
        """
        ...

    def origins(self, before: Mapping[str, str]) -> Mapping[str, str]:
        """Of which field of the source each made field is: ``{"price.log_return": "price"}``.

        Args:
            before: the same for what comes in (fields not in it are the source's own).
        """
        ...

    def state(self) -> Any:
        """What was seen, as plain values (numbers, text, bytes, lists, dicts) for a snapshot."""
        ...

    def load(self, state: Any) -> None:
        """Takes up what `state` gave."""
        ...
