"""Adapters of other packages, found by entry point.

A package adds an adapter by an entry point of the group ``qraft.adapters`` whose name is the adapter's and which loads an
object (a module or a class will do) with two attributes: ``settings``, a subclass of `SourceSettings` whose ``adapter`` is
``Literal["<name>"]``, and ``make``, which is called as `qraft.ingest.registry.Maker` says.

They are loaded while `qraft.config` is imported. Who imports such a package by itself, in its own tests for example,
therefore imports `qraft.config` before it.
"""

from __future__ import annotations

import logging
from typing import Any, Final, Literal, Protocol, get_args, get_origin

from qraft.config.plugins import load_group
from qraft.config.sources.common import SourceSettings

GROUP: Final = "qraft.adapters"

_log = logging.getLogger(__name__)


class Plugin(Protocol):
    """What an entry point of the group loads."""

    settings: type[SourceSettings]
    make: Any


def load_plugins(taken: set[str]) -> dict[str, Plugin]:
    """The adapters that installed packages bring, by name.

    One that cannot be loaded, or whose name is in ``taken``, is left out with a warning that names the package.
    """
    found, unusable = load_group(GROUP, "an adapter", taken, _checked)
    for name, package, reason in unusable:
        _log.warning("adapter %s of package %s cannot be used: %s", name, package, reason)
    return {name: loaded.part for name, loaded in found.items()}


def _checked(name: str, plugin: Any) -> Plugin:
    settings = getattr(plugin, "settings", None)
    if not (isinstance(settings, type) and issubclass(settings, SourceSettings)):
        raise TypeError("its `settings` is not a subclass of SourceSettings")
    tag = settings.model_fields["adapter"].annotation
    if get_origin(tag) is not Literal or get_args(tag) != (name,):
        raise TypeError(f'the field `adapter` of its settings is not Literal["{name}"]')
    if not callable(getattr(plugin, "make", None)):
        raise TypeError("it has no callable `make`")
    settings.model_rebuild()  # names in its types that are not defined show here, not when the whole configuration is built
    return plugin  # type: ignore[no-any-return]  # checked just above
