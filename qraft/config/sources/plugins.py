"""Adapters of other packages, found by entry point.

A package adds an adapter by an entry point of the group ``qraft.adapters`` whose name is the adapter's and which loads an
object (a module or a class will do) with two attributes: ``settings``, a subclass of `SourceSettings` whose ``adapter`` is
``Literal["<name>"]``, and ``make``, which is called as `qraft.ingest.registry.Maker` says.

They are loaded while `qraft.config` is imported. Who imports such a package by itself, in its own tests for example,
therefore imports `qraft.config` before it.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import entry_points
from typing import Any, Final, Literal, Protocol, get_args, get_origin

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
    found: dict[str, Plugin] = {}
    # A module with settings imports this package, so one that is there already is half imported: it is what imports us.
    importing = set(sys.modules)
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist is not None else entry.value
        try:
            if entry.name in taken or entry.name in found:
                raise TypeError("an adapter of this name is there already")
            if entry.module in importing:
                raise ImportError("it was imported before qraft.config; import that first")
            found[entry.name] = _checked(entry.name, entry.load())
        except (Exception, SystemExit) as error:  # another package's fault must not stop this program
            _log.warning(
                "adapter %s of package %s cannot be used: %s", entry.name, package, str(error) or type(error).__name__
            )
    return found


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
