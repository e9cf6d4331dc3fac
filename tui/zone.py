"""The zone in which times are shown: UTC, or that of this machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ZoneName = Literal["UTC", "local"]

LOCALTIME: Final = Path("/etc/localtime")

_zone: list[tzinfo] = [UTC]


def use_zone(name: ZoneName) -> None:
    """Shows times in this zone from now on."""
    _zone[0] = local_zone() if name == "local" else UTC


def local_zone() -> tzinfo:
    """The machine's zone with its summer times; where that cannot be found out, today's offset."""
    named = os.environ.get("TZ", "").lstrip(":")
    try:
        if named:
            return ZoneInfo(named)
        with LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return datetime.now(UTC).astimezone().tzinfo or UTC


def zone() -> tzinfo:
    """The zone in use."""
    return _zone[0]


def zone_word() -> str:
    """What to write behind a time: ``UTC``, or the local zone's abbreviation."""
    return "UTC" if _zone[0] is UTC else datetime.now(_zone[0]).strftime("%Z")
