"""The values of fields: numbers, text, booleans; and what one kind is as another."""

from __future__ import annotations

import math
from typing import Final, Literal

from qraft.preprocess.fields import LARGEST, parse_number
from qraft.preprocess.times import parse_time

Kind = Literal["float", "string", "bool"]
"""What a field holds."""
Target = Literal["float", "string", "bool", "time"]
"""What a field can be read as; "time" is a float, UTC microseconds since 1970."""
Value = float | str | bool
"""One value of a field. A float is finite, at most ``LARGEST``, and never -0.0."""

_TRUTHS: Final = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False, "1": True, "0": False}


def kind_of(target: Target) -> Kind:
    """What a field holds that was read as ``target``."""
    return "float" if target == "time" else target


def natural_kind(value: object) -> Kind | None:
    """What a value of a payload is by itself: numeric text is a number; None for what is no value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "float"
    if not isinstance(value, str) or not value:
        return None
    number = parse_number(value)
    if number is None:
        return "string"
    return "float" if math.isfinite(number) else None


def as_natural(value: object, kind: Kind) -> Value | None:
    """A value of a payload in a field that holds ``kind``; None where it is of another kind."""
    if kind == "float":
        return None if isinstance(value, bool) else as_float(value)
    if kind == "bool":
        return value if isinstance(value, bool) else None
    return value if isinstance(value, str) and value else None


def as_target(value: object, target: Target) -> Value | None:
    """A value read as ``target``; None where it cannot be.

    True and false are 1 and 0; as booleans, numbers are true unless 0, and text such as "true", "no", "on", "0" is read.
    """
    if target == "float":
        return float(value) if isinstance(value, bool) else as_float(value)
    if target == "string":
        return as_text(value) or None
    if target == "bool":
        if isinstance(value, str):
            return _TRUTHS.get(value.strip().lower())
        return bool(value) if isinstance(value, int | float) and abs(value) <= LARGEST else None
    try:
        return float(parse_time(value))
    except (ValueError, OverflowError):
        return None


def as_float(value: object) -> float | None:
    """The number that a value is, or that its text says; None where there is none that can be judged."""
    number = parse_number(value) if isinstance(value, str) else value
    if isinstance(number, int | float) and -LARGEST <= number <= LARGEST:
        return number + 0.0
    return None


def as_text(value: object) -> str:
    """A value as text: a whole number without point, a boolean as JSON has it; empty for what is none that can be judged."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value) if isinstance(value, int | float) and abs(value) <= LARGEST else ""
