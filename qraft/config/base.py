"""What every section of the configuration is made of: the base model, and the kinds of values."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

SOURCE_NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""A source is one token of a NATS subject, so it holds no dots, spaces or wildcards."""

_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}


def parse_size(value: object) -> object:
    """Bytes from ``"512 MiB"`` and the like; anything that is not text passes through.

    Raises:
        ValueError: text that is not a size.
    """
    if not isinstance(value, str):
        return value
    digits = value.strip().rstrip("BKMGIbkmgi ")
    unit = value.strip()[len(digits) :].strip().upper()
    try:
        return int(float(digits) * _UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        raise ValueError('expected a size such as "512 MiB" or "1 GiB"') from None


_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?(([KMGkmg][Ii]?)?[Bb])?$"},
    ]
}
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0), WithJsonSchema(_SIZE_SCHEMA)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """Base of every section: immutable, no unknown keys, no silent conversion from text to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


SourceName = Annotated[str, Field(pattern=SOURCE_NAME)]
