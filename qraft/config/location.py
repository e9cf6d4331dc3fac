"""Where a mistake is that pydantic found: the keys as they stand in the file, and the model that rules there."""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

Path = tuple[str | int, ...]
"""Keys, and numbers from 0 of the elements of a list."""


def locate(model: type[BaseModel], loc: Sequence[str | int]) -> tuple[Path, Any]:
    """The keys that pydantic's ``loc`` passes below ``model``, and the type of what stands there; None where it has none.

    Pydantic also puts the tags of unions into ``loc``, which stand in no file.
    """
    here: Any = model
    path: list[str | int] = []
    for part in loc:
        if part == "[key]":
            continue
        here, is_key = _below(here, part)
        if is_key:
            path.append(part)
    return tuple(path), here


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The first model in a type."""
    return next((one for one in _members(annotation) if _is_model(one)), None)


def tags(annotation: Any, discriminator: str) -> list[str]:
    """The names that tell the members of a union apart."""
    found = [one.model_fields[discriminator].annotation for one in _members(annotation) if _is_model(one)]
    return [str(tag) for literal in found for tag in typing.get_args(literal)]


def written(path: Path) -> str:
    """A path as one text: ``sources.trades.steps[2].expression``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part, ensure_ascii=False)
            text += f".{name}" if text else name
    return text


def _below(annotation: Any, part: str | int) -> tuple[Any, bool]:
    """The type at ``part`` of a type, and whether ``part`` is a key."""
    members = _members(annotation)
    if len(members) > 1:
        return next((one for one in members if _is_called(one, str(part))), None), False
    here = members[0] if members else None
    if _is_model(here):
        assert here is not None
        field = here.model_fields.get(part)
        return (field.annotation if field is not None else None), True
    inner = typing.get_args(here)
    if typing.get_origin(here) is dict:
        return inner[1], True
    if typing.get_origin(here) in (list, tuple):
        return inner[0], True
    return None, True


def _members(annotation: Any) -> list[Any]:
    """What a type may be, None left out."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [one for part in typing.get_args(annotation) for one in _members(part)]
    return [] if annotation is None or annotation is type(None) else [annotation]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_called(annotation: Any, label: str) -> bool:
    if not _is_model(annotation):
        return False
    literals = (field.annotation for field in annotation.model_fields.values())
    return annotation.__name__ == label or any(
        label in typing.get_args(one) for one in literals if typing.get_origin(one) is typing.Literal
    )
