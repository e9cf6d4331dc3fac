"""What an edit of the configuration changes: which sources are touched, and what only the next start can take up. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from qraft.config.settings import Settings

AT_START: Final = ("nats", "clickhouse", "api", "metrics", "engine.name", "engine.data_dir", "engine.partitions")
"""Sections and keys that are read once, when the engine starts."""

_PIPELINE_KEYS: Final = {"fields", "exclude", "allowed_lateness_seconds", "steps", "detect"}
"""Keys of a source that its adapter never sees: a change of them does not restart it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two configurations.

    Attributes:
        added: sources that are new.
        removed: sources that are gone.
        restarted: sources whose adapter's own settings changed.
        adjusted: sources of which something else changed; their adapter goes on.
        keys: changed keys outside of the sources, as "section.key".
        at_start: those of ``keys`` that take effect at the next start only.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    restarted: tuple[str, ...]
    adjusted: tuple[str, ...]
    keys: tuple[str, ...]
    at_start: tuple[str, ...]

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.restarted, self.adjusted, self.keys))

    def __str__(self) -> str:
        parts = [
            f"{verb} {', '.join(names)}"
            for verb, names in (
                ("added", self.added),
                ("removed", self.removed),
                ("restarted", self.restarted),
                ("adjusted", self.adjusted),
                ("changed", tuple(key for key in self.keys if key not in self.at_start)),
                ("at the next start only:", self.at_start),
            )
            if names
        ]
        return "; ".join(parts) or "nothing changed"


def changes(before: Settings, after: Settings) -> Changes:
    """What ``after`` changes of ``before``."""
    old, new = before.sources, after.sources
    kept = [name for name in new if name in old and new[name] != old[name]]
    restarted = tuple(name for name in kept if _adapters_part(old[name]) != _adapters_part(new[name]))
    keys = tuple(_keys(before, after))
    return Changes(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        restarted=restarted,
        adjusted=tuple(name for name in kept if name not in restarted),
        keys=keys,
        at_start=tuple(key for key in keys if key in AT_START or key.split(".", 1)[0] in AT_START),
    )


def _adapters_part(source: BaseModel) -> dict[str, object]:
    return source.model_dump(exclude=_PIPELINE_KEYS)


def _keys(before: BaseModel, after: BaseModel, prefix: str = "") -> Iterator[str]:
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old == new or (not prefix and name in ("sources", "tui")):
            continue
        if isinstance(old, BaseModel) and isinstance(new, BaseModel):
            yield from _keys(old, new, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
