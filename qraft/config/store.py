"""Settings of what is stored: how long it stays."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from qraft.config.base import Probability, Section


class StoreSettings(Section):
    """How long what is stored stays."""

    retention_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """Days until events and ordinary patterns are deleted."""
    important_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days until important patterns are deleted."""
    important_confidence: Probability = 0.9
    """A pattern is important from this confidence on, or once an operator confirms it."""

    @model_validator(mode="after")
    def _order(self) -> StoreSettings:
        if self.important_days < self.retention_days:
            raise ValueError("important_days must not be below retention_days")
        return self
