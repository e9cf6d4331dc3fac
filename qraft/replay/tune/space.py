"""What may be changed to tune detectors: single changes of settings, derived from the settings' own model.

A detector is any section of [detect] that has ``enabled``. What else can be tuned is told by the small table `STEPS`: a key
of that name, in whichever section, is tried at those multiples of its value; values outside a key's bounds are left out. So
a detector that comes later needs no code here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from qraft.config.base import Section
from qraft.config.detect import DetectSettings

LINES: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""The alert lines that are tried."""

STEPS: Final[Mapping[str, tuple[float, ...]]] = {
    "min_effect": (1.5, 2.0, 3.0),
    "min_ratio": (1.25, 1.6),
    "sensitivity": (0.5, 2.0),
    "delta": (0.1,),
    "significance": (0.1,),
    "drift_threshold": (1.5,),
    "warmup": (2.0, 4.0),
    "window": (2.0,),
}
"""Multiples of a key's value that are tried."""


@dataclass(frozen=True, slots=True)
class Change:
    """One setting and the value to try.

    Attributes:
        key: its dotted name below [detect].
        value: what to try.
        force: how much it interferes: 0 the alert line, 1 a sensitivity, 2 a detector put in or out of work.
    """

    key: str
    value: Any
    force: int = 0


def changes(detect: DetectSettings, *, switches: bool) -> list[Change]:
    """Every single change that is tried: alert lines, detectors on and off (if ``switches``), sensitivities; in the order
    in which they matter where not all can be tried.
    """
    out = [Change("line", line) for line in LINES if line != detect.line]
    sections = [(name, value) for name in type(detect).model_fields if isinstance(value := getattr(detect, name), Section)]
    if switches:
        out += [
            Change(f"{name}.enabled", not getattr(section, "enabled", False), 2)
            for name, section in sections
            if "enabled" in type(section).model_fields
        ]
    for name, section in sections:
        if getattr(section, "enabled", True):
            out += [Change(f"{name}.{key}", value, 1) for key, value in _steps(section)]
    return [one for one in out if applied(detect, [one]) is not None]


def applied(detect: DetectSettings, several: list[Change]) -> DetectSettings | None:
    """``detect`` with changes; None where that would not be valid, or would leave no detector at work."""
    table = detect.model_dump()
    for change in several:
        *sections, key = change.key.split(".")
        here = table
        for section in sections:
            here = here[section]
        here[key] = change.value
    try:
        made = DetectSettings.model_validate(table)
    except ValidationError:
        return None
    detectors = [getattr(made, name) for name in type(made).model_fields]
    return made if any(getattr(one, "enabled", False) for one in detectors if isinstance(one, Section)) else None


def value_at(detect: DetectSettings, key: str) -> Any:
    """The value of a dotted key."""
    here: Any = detect
    for part in key.split("."):
        here = getattr(here, part)
    return here


def _steps(section: Section) -> Iterator[tuple[str, Any]]:
    for key in type(section).model_fields:
        value = getattr(section, key)
        for factor in STEPS.get(key, ()):
            if isinstance(value, int) and not isinstance(value, bool):
                yield key, round(value * factor)
            elif isinstance(value, float):
                yield key, float(f"{value * factor:.4g}")
