"""The preprocessing steps of a source: `[[sources.NAME.steps]]`, each a table whose ``do`` names it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from qraft.config.base import Section
from qraft.config.duration import Duration
from qraft.config.expressions import RESERVED, check_condition, check_value
from qraft.config.sources.steps_features import FeaturesStep
from qraft.config.sources.steps_window import WindowStep


def _free(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"this name is taken by the row itself ({', '.join(RESERVED)}); expected another")
    return name


FieldName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_free)]
"""A field; nested ones are joined by dots, as in ``data.price``."""
ValueExpression = Annotated[str, AfterValidator(check_value)]
"""A SQL expression over the fields of one row. ``_time`` is its event time, UTC microseconds; ``_entity`` its entity."""
Condition = Annotated[str, AfterValidator(check_condition)]
"""A SQL expression over the fields of one row that is true or false."""


class SelectStep(Section):
    """Keeps the named fields only."""

    do: Literal["select"]
    fields: Annotated[list[FieldName], Field(min_length=1)]
    """The fields to keep: names, objects that hold them, or patterns such as "cpu.*"."""


class RenameStep(Section):
    """Gives fields other names."""

    do: Literal["rename"]
    fields: Annotated[dict[FieldName, FieldName], Field(min_length=1)]
    """New name = old name."""


class CastStep(Section):
    """Says of what type fields are; what cannot be read as that is null."""

    do: Literal["cast"]
    fields: Annotated[dict[FieldName, Literal["float", "string", "bool", "time"]], Field(min_length=1)]
    """Field = type. "time" reads ISO 8601 or a Unix time and gives UTC microseconds since 1970, as `_time` does."""


class DeriveStep(Section):
    """Makes fields from the others of the row."""

    do: Literal["derive"]
    fields: Annotated[dict[FieldName, ValueExpression], Field(min_length=1)]
    """New field = SQL expression; each may use those above it."""


class FilterStep(Section):
    """Keeps the rows of which a condition holds."""

    do: Literal["filter"]
    expression: Condition
    """SQL expression; the row stays where it is true (not where it is false or null)."""


class EntityStep(Section):
    """Splits the source: each value is judged on its own. Takes the place of `entity`."""

    do: Literal["entity"]
    fields: list[FieldName] = []
    """Fields whose values, joined by "/", name the entity; they are text from the start."""
    expression: ValueExpression | None = None
    """SQL expression that names the entity, in place of `fields`."""

    @model_validator(mode="after")
    def _one(self) -> EntityStep:
        if bool(self.fields) == (self.expression is not None):
            raise ValueError("expected either fields or expression")
        return self


class FillStep(Section):
    """Puts something where a field is missing: its previous value in the same entity, or a constant."""

    do: Literal["fill"]
    fields: Annotated[list[FieldName], Field(min_length=1)]
    """The fields to fill."""
    value: float | bool | str | None = None
    """The constant; without it, the previous value."""
    max_age: Duration | None = None
    """A previous value older than this, by event time, does not count; such as "30s"."""
    max_rows: Annotated[int, Field(ge=1)] | None = None
    """A previous value does not count for more than so many rows of its entity."""
    max_entities: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Entities whose values are kept; the least recently seen gives way."""

    @model_validator(mode="after")
    def _one(self) -> FillStep:
        bounded = self.max_age is not None or self.max_rows is not None
        if (self.value is not None) == bounded:
            raise ValueError("expected either value (a constant), or max_age or max_rows (the previous value)")
        return self


Step = Annotated[
    SelectStep | RenameStep | CastStep | DeriveStep | FilterStep | EntityStep | FillStep | WindowStep | FeaturesStep,
    Field(discriminator="do"),
]
"""Any step."""
