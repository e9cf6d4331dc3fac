"""Detectors of other packages, found by entry point: their sections below [detect].

A package adds a detector by an entry point of the group ``qraft.detectors`` whose name is the detector's and which loads a
`qraft.detect.DetectorPlugin`. They are loaded while `qraft.config` is imported. Who imports such a package by itself, in its
own tests for example, therefore imports `qraft.config` before it.
"""

from __future__ import annotations

import logging
import multiprocessing
import re
from collections.abc import Collection
from typing import Any, Final, Protocol, get_args

from pydantic import ConfigDict, Field

from qraft.config.base import Section
from qraft.config.plugins import Loaded, load_group
from qraft.model import PatternType

GROUP: Final = "qraft.detectors"

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_log = logging.getLogger(__name__)


class Plugin(Protocol):
    """What an entry point of the group loads: see `qraft.detect.DetectorPlugin`."""

    settings: type[Section]
    make: Any
    type: PatternType
    light: bool


class Resting(Section):
    """The section of a detector whose package is installed but cannot be used; its keys mean nothing until it can."""

    model_config = ConfigDict(extra="allow")


def load_plugins(taken: Collection[str]) -> tuple[dict[str, Loaded[Plugin]], list[str]]:
    """The detectors that installed packages bring, by name, and the names of those that cannot be used.

    Each of the latter is told with its package and what to do; a name in ``taken`` is one.
    """
    found, unusable = load_group(GROUP, "a detector or a key of [detect]", taken, _checked)
    if multiprocessing.parent_process() is None:  # workers load them too, and need not say it again
        for name, package, reason in unusable:
            _log.warning(
                "detector %s of package %s cannot be used: %s; the others run; update or uninstall the package",
                name,
                package,
                reason,
            )
    resting = [one.name for one in unusable if one.name not in taken and one.name not in found and _is_name(one.name)]
    return found, resting


def sections(found: dict[str, Loaded[Plugin]], resting: list[str]) -> dict[str, Any]:
    """The fields of [detect] for what `load_plugins` gave, as `pydantic.create_model` takes them."""
    fields: dict[str, Any] = {
        name: (loaded.part.settings, Field(default=loaded.part.settings(), description=f"Detector of {loaded.package}."))
        for name, loaded in found.items()
    }
    return fields | dict.fromkeys(resting, (Resting | None, None))


def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and not hasattr(Section, name)


def _checked(name: str, plugin: Any) -> Plugin:
    if not _is_name(name):
        raise TypeError("its name is not lower-case letters, digits and _ only, or means something else in settings")
    settings = getattr(plugin, "settings", None)
    if not (isinstance(settings, type) and issubclass(settings, Section)):
        raise TypeError("its `settings` is not a subclass of Section")
    settings.model_rebuild()  # names in its types that are not defined show here, not when the whole configuration is built
    if "enabled" not in settings.model_fields or settings.model_fields["enabled"].annotation is not bool:
        raise TypeError("its settings have no `enabled: bool`")
    if required := [key for key, field in settings.model_fields.items() if field.is_required()]:
        raise TypeError(f"its settings have keys without a default: {', '.join(required)}")
    if not callable(getattr(plugin, "make", None)):
        raise TypeError("it has no callable `make`")
    if getattr(plugin, "type", None) not in get_args(PatternType):
        raise TypeError(f"its `type` is none of {', '.join(get_args(PatternType))}")
    if not isinstance(getattr(plugin, "light", None), bool):
        raise TypeError("its `light` is neither true nor false")
    settings()  # defaults that their own validators refuse show here too
    return plugin  # type: ignore[no-any-return]  # checked just above
