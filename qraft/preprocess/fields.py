"""The numeric fields of a payload: nested names joined by dots, numeric text as numbers, nothing that is not finite."""

from __future__ import annotations

from typing import Any, Final

LARGEST: Final = 1e100
"""Numbers beyond this are dropped: their squares, and sums of those, must stay finite."""

MAX_FIELDS: Final = 256
"""Numeric fields a row may have; the rest is dropped."""

MAX_ITEMS: Final = 16
"""Lists are taken apart up to this length; a longer one is data of another kind, such as an order book."""

_MAX_DEPTH: Final = 8
_NUMBER_STARTS: Final = frozenset("+-.0123456789")
_NOT_FINITE: Final = frozenset({"nan", "inf", "infinity"})
_MAX_DIGITS: Final = 64


class FieldFilter:
    """Which fields are watched: names, or the names of objects that hold them.

    Attributes:
        known: answers given so far.
    """

    def __init__(self, fields: list[str], exclude: list[str], unwatched: tuple[str, ...]) -> None:
        self._fields = tuple(fields)
        self._exclude = (*exclude, *(name for name in unwatched if name))
        self.known: dict[str, bool] = {}

    def __call__(self, name: str) -> bool:
        """Whether a field is watched."""
        known = self.known.get(name)
        if known is None:
            known = (not self._fields or _covers(self._fields, name)) and not _covers(self._exclude, name)
            if len(self.known) < 16 * MAX_FIELDS:
                self.known[name] = known
        return known


def _covers(names: tuple[str, ...], name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in names)


def numeric_fields(payload: dict[str, Any], watched: FieldFilter) -> tuple[dict[str, float], int]:
    """The finite numeric fields that are watched, in the payload's order, and how many watched ones were dropped.

    Dropped are NaN, infinities, numbers beyond ``LARGEST`` and numeric fields past ``MAX_FIELDS``. Booleans, null and
    other text are not numeric and not counted.
    """
    out: dict[str, float] = {}
    dropped = 0
    known = watched.known
    for key, value in payload.items():
        kind = type(value)
        if kind is float or kind is int:
            if known[key] if key in known else watched(key):
                if -LARGEST <= value <= LARGEST and len(out) < MAX_FIELDS:
                    out[key] = value + 0.0  # a float, and never -0.0, which equals 0.0 but prints otherwise
                else:
                    dropped += 1
        elif kind is not bool and value is not None:
            dropped += _add(out, str(key), value, watched, 0)
    return out, dropped


def _add(out: dict[str, float], name: str, value: object, watched: FieldFilter, depth: int) -> int:
    if isinstance(value, bool) or value is None:
        return 0
    if isinstance(value, dict | list):
        if depth == _MAX_DEPTH or len(value) > (MAX_FIELDS if isinstance(value, dict) else MAX_ITEMS):
            return 1
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return sum(_add(out, f"{name}.{key}", item, watched, depth + 1) for key, item in items)
    number = parse_number(value) if isinstance(value, str) else value
    if not isinstance(number, int | float) or not watched(name):
        return 0
    if -LARGEST <= number <= LARGEST and len(out) < MAX_FIELDS:
        out[name] = number + 0.0
        return 0
    return 1


def parse_number(text: str) -> float | None:
    """The number a text holds, NaN and infinities included; None where it holds none."""
    stripped = text.strip()
    if not stripped or len(stripped) > _MAX_DIGITS:
        return None
    if stripped[0] not in _NUMBER_STARTS and stripped.lower() not in _NOT_FINITE:
        return None
    if "_" in stripped:
        return None
    try:
        return float(stripped)
    except ValueError:
        return None


def lookup(payload: dict[str, Any], path: str) -> object:
    """The value at a name, or at a dotted path through nested objects and lists; None where there is none."""
    if path in payload:
        return payload[path]
    here: object = payload
    for part in path.split("."):
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list) and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            return None
    return here
