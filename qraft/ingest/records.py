"""What file and WebSocket adapters share: JSON records, paths into them, event time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

MAX_RECORD_BYTES: Final = 512 * 1024
"""Longer records become dead letters: a NATS message holds 1 MiB by default, and a dead letter travels as base64."""
KEPT_BYTES: Final = 64 * 1024
"""So much of a record that is too long is kept in its dead letter."""
MISSING: Final = object()
"""What stands where there is nothing; null is something."""

_LONGEST_TIME: Final = 64
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC throughout, without zone, which isoformat() would spell out

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class RecordError(ValueError):
    """A record that cannot be used; the text says why."""


def decode_json(raw: bytes) -> Any:
    """The JSON value in ``raw``.

    ``NaN`` and ``Infinity``, which some programs write though JSON has no such numbers, become null.

    Raises:
        RecordError: not UTF-8, or not JSON.
    """
    try:
        return _decode(raw)
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from None
    except RecursionError:
        raise RecordError("JSON is nested too deeply") from None
    except msgspec.DecodeError as error:
        strict = error
    try:
        return _decode(_encode(json.loads(raw)))
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from None
    except (ValueError, RecursionError):
        raise RecordError(f"not JSON: {strict}") from None


def decode_text(raw: bytes) -> str:
    """The text in ``raw``.

    Raises:
        RecordError: not UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from None


def _not_utf8(error: UnicodeDecodeError) -> RecordError:
    return RecordError(f"not UTF-8: byte {error.object[error.start]:#04x}")


def lookup(value: Any, path: str) -> Any:
    """What stands at ``path`` in nested objects and arrays, or None: first as one key, then split at its dots.

    A number is a place in an array, a negative one counts from its end.
    """
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for part in path.split("."):
        value = step(value, part)
        if value is MISSING:
            return None
    return value


def step(value: Any, part: str) -> Any:
    """What stands at one step of a path, or `MISSING`."""
    if isinstance(value, Mapping):
        return value.get(part, MISSING)
    if isinstance(value, list):
        try:
            return value[int(part)]
        except (ValueError, IndexError):
            return MISSING
    return MISSING


def event_time(value: Any) -> str:
    """Event time as ISO 8601 UTC from what a source calls time.

    Text may be ISO 8601 ("T" or a space between date and time; UTC where no zone is given), fourteen digits of date and time
    (``20161007123000``) or a number. Numbers, and text that is one, count since 1970 in the unit their magnitude says:
    seconds below 1e11, milliseconds below 1e14, microseconds below 1e17, nanoseconds above.

    Raises:
        RecordError: neither of these, or outside the years 1 to 9999.
    """
    try:
        if isinstance(value, str):
            return _from_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _from_number(value)
    except (ValueError, OverflowError):
        pass
    shown = repr(value)
    raise RecordError(f"not a time: {shown if len(shown) <= 60 else shown[:57] + '…'}")


def _from_text(text: str) -> str:
    text = text.strip()
    if len(text) > _LONGEST_TIME:
        raise ValueError
    try:
        number = int(text)
    except ValueError:
        pass
    else:
        if len(text) == 14 and text.startswith(("19", "20")):
            return _from_moment(datetime.strptime(text + "+0000", "%Y%m%d%H%M%S%z"))
        return _from_number(number)
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return _from_number(float(text))
    return _from_moment(moment)


def _from_moment(moment: datetime) -> str:
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


def _from_number(number: float) -> str:
    seconds, micros = divmod(_us_from_number(number), 1_000_000)
    return f"{_second(seconds)}.{micros:06d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """The second as text; neighbouring rows often share one."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def _us_from_number(number: float) -> int:
    size = abs(number)
    if isinstance(number, int):
        if size < 10**11:
            return number * 1_000_000
        if size < 10**14:
            return number * 1_000
        return number if size < 10**17 else number // 1_000
    if not math.isfinite(number):
        raise ValueError
    scale = 1e6 if size < 1e11 else 1e3 if size < 1e14 else 1.0 if size < 1e17 else 1e-3
    return round(number * scale)
