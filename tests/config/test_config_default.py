"""The config.toml at top level documents every key with its default, and stands as it is."""

from __future__ import annotations

import re
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from qraft.config import Settings, load, parse
from qraft.config.base import parse_size
from qraft.config.sources import BUILT_IN, HostSource, SourceSettings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "config.toml").read_text(encoding="utf-8")
EXAMPLES = re.sub(r"^#(?=[^ ])", "", TEXT, flags=re.MULTILINE)
"""The file with its examples in force: a line that starts with # and no space is one."""

SHOWN_BY_EXAMPLE = {
    "websocket": {"preset", "symbols", "channels", "url", "ping", "routes", "sequence"},
    "rest": {"auth", "body", "id", "since", "pages", "prometheus"},
}
"""Keys whose default says nothing (none, or what a preset fills in); the examples show them at work."""


def keys(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every key below a section, with the default of its model."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from keys(type(field.default), (*path, name))
        else:
            yield (*path, name), field.default


def at(table: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        table = table[part]
    return table


COMMON = [(path, default) for path, default in keys(Settings) if path != ("sources",)]


def test_the_file_as_it_stands_is_the_defaults_and_one_live_source() -> None:
    settings = load(ROOT / "config.toml")
    assert settings == Settings(sources={"host": HostSource(adapter="host")})


@pytest.mark.parametrize(("path", "default"), COMMON, ids=[".".join(path) for path, _ in COMMON])
def test_each_key_is_written_with_its_default(path: tuple[str, ...], default: object) -> None:
    written = at(tomllib.loads(TEXT), path)
    assert (parse_size(written) if isinstance(default, int) and not isinstance(default, bool) else written) == default


@pytest.mark.parametrize("adapter", BUILT_IN)
def test_each_key_of_each_source_is_written_with_its_default(adapter: str) -> None:
    tables = [table for table in tomllib.loads(EXAMPLES)["sources"].values() if table["adapter"] == adapter]
    for name, field in BUILT_IN[adapter].model_fields.items():
        if name in SourceSettings.model_fields and adapter != "host":
            continue  # written once, for the host
        if name == "detect" or (name == "body" and adapter == "rest"):
            continue  # shown by the example below; a body is the server's own affair
        written = [table[name] for table in tables if name in table]
        assert written, name
        if not field.is_required() and name not in SHOWN_BY_EXAMPLE.get(adapter, ()):
            default = field.default
            first = parse_size(written[0]) if isinstance(default, int) else written[0]
            assert first == default, name


def test_the_examples_are_valid_when_put_in_force() -> None:
    settings = parse(EXAMPLES)
    assert {source.adapter for source in settings.sources.values()} == set(BUILT_IN)
    assert settings.detect_for("ticks").forest.window == 250


def test_each_key_and_section_has_a_comment() -> None:
    bare = [
        line
        for line in TEXT.splitlines()
        if re.match(r"#?(\[|[a-z_]+ =)", line) and not re.search(r"# \S", line) and "sources." not in line
    ]
    tail = EXAMPLES[EXAMPLES.index("# Detector settings of one source alone") :].splitlines()
    assert [line for line in bare if line.removeprefix("#") not in tail and "adapter" not in line] == []


def test_every_pattern_of_the_settings_is_told_in_words() -> None:
    from qraft.config.load import _PATTERNS

    asked = {p for model in (Settings, *BUILT_IN.values()) for p in patterns(model)}
    assert asked
    assert asked <= set(_PATTERNS)


def patterns(annotation: Any) -> Iterator[str]:
    """Every regular expression below a model's or a key's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for field in annotation.model_fields.values():
            yield from (m.pattern for m in field.metadata if getattr(m, "pattern", None))
            yield from patterns(field.annotation)
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated, dict, list):
        for part in typing.get_args(annotation):
            yield from ([part.pattern] if getattr(part, "pattern", None) else patterns(part))
            yield from (m.pattern for m in getattr(part, "metadata", ()) if getattr(m, "pattern", None))
