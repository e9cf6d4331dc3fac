"""The names of fields in steps."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from qraft.config.expressions import RESERVED


def _free(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"this name is taken by the row itself ({', '.join(RESERVED)}); expected another")
    return name


FieldName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_free)]
"""A field; nested ones are joined by dots, as in ``data.price``."""
