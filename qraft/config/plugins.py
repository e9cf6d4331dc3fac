"""Parts of other packages, found by entry point: what is installed is there, and what cannot be used stops nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from importlib.metadata import entry_points
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Loaded(NamedTuple, Generic[T]):
    """A part that can be used: what its entry point loads, and the package that brings it."""

    part: T
    package: str
    version: str
    module: str


class Unusable(NamedTuple):
    """A part that cannot be used."""

    name: str
    package: str
    reason: str


def load_group(
    group: str, noun: str, taken: Collection[str], checked: Callable[[str, Any], T]
) -> tuple[dict[str, Loaded[T]], list[Unusable]]:
    """The parts of a group by name, in the order of their names, and those that cannot be used.

    Args:
        group: the entry points' group.
        noun: what such a part is called, with its article.
        taken: names that cannot be given again.
        checked: gives what an entry point of a name loaded, if it is what the group asks for; else raises.
    """
    found: dict[str, Loaded[T]] = {}
    unusable: list[Unusable] = []
    # A module with settings imports qraft.config, so one that is there already is half imported: it is what imports us.
    importing = set(sys.modules)
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        package = entry.dist.name if entry.dist is not None else entry.value
        try:
            if entry.name in taken or entry.name in found:
                raise TypeError(f"{noun} of this name is there already")
            if entry.module in importing:
                raise ImportError("it was imported before qraft.config; import that first")
            version = entry.dist.version if entry.dist is not None else ""
            found[entry.name] = Loaded(checked(entry.name, entry.load()), package, version, entry.module)
        except (Exception, SystemExit) as error:  # another package's fault must not stop this program
            unusable.append(Unusable(entry.name, package, str(error) or type(error).__name__))
    return found, unusable
