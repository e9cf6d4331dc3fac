"""The zone in which times are shown: UTC, or that of this machine."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Literal

ZoneName = Literal["UTC", "local"]

_zone: list[tzinfo] = [UTC]


def use_zone(name: ZoneName) -> None:
    """Shows times in this zone from now on."""
    _zone[0] = (datetime.now(UTC).astimezone().tzinfo or UTC) if name == "local" else UTC


def zone() -> tzinfo:
    """The zone in use."""
    return _zone[0]


def zone_word() -> str:
    """What to write behind a time: ``UTC``, or the local zone's abbreviation."""
    return "UTC" if _zone[0] is UTC else datetime.now(_zone[0]).strftime("%Z")
