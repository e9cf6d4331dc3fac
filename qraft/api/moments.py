"""Times in requests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator


def _read(value: object) -> object:
    """Reads ISO 8601 only: of itself the library takes numbers too, in a unit that it guesses."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, datetime) or value is None:
        return value
    raise ValueError("is no time; expected ISO 8601, such as 2026-05-01T18:00:00Z")


Moment = Annotated[datetime, BeforeValidator(_read)]
"""A time; without a zone it is UTC."""
