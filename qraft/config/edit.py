"""Edits config.toml as a person would: a table added, changed or taken out, everything else, comments too, as it was."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError
from tomlkit.items import Item, Table

from qraft.config.load import ConfigError, Problem, parse


def value_of(text: str) -> Any:
    """What a value given on the command line means: TOML where it is that (5, true, ["a"]), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def add_source(path: Path, name: str, keys: Mapping[str, Any]) -> None:
    """Adds ``[sources.NAME]`` with ``keys`` at the end of the file, which is made where there is none.

    Raises:
        ConfigError: a source of this name is there, or the configuration would have a mistake; the file is then as it was.
    """
    text = _read(path)
    document = tomlkit.parse(text)
    if name in document.get("sources", {}):
        raise ConfigError([Problem(str(path), 0, f"sources.{name}", "is there already; remove it first, or edit the file")])
    table = tomlkit.document()
    table["sources"] = tomlkit.table(is_super_table=True)
    table["sources"][name] = dict(keys)
    joint = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    write(path, text + joint + tomlkit.dumps(table))


def remove_source(path: Path, name: str) -> None:
    """Takes ``[sources.NAME]`` and what is below it out of the file.

    Raises:
        ConfigError: there is no such source, or the file cannot be read.
    """
    document = tomlkit.parse(_read(path))
    sources: Any = document.get("sources", {})
    if name not in sources:
        known = ", ".join(sources) or "none"
        raise ConfigError([Problem(str(path), 0, f"sources.{name}", f"there is no such source; there are: {known}")])
    del sources[name]
    write(path, tomlkit.dumps(document))


def with_section(path: Path, keys: Sequence[str], values: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[str, str]:
    """The file's text, and the text that it would have if the table at ``keys`` said ``values``. Nothing is written.

    A key that stands in the file gets its value and keeps its comment; one that does not is added only where it is not
    what ``defaults`` says. Tables within are dealt with alike.

    Raises:
        ConfigError: the file cannot be read.
    """
    text = _read(path)
    document: Any = tomlkit.parse(text)
    table = document
    for key in keys:
        if key not in table:
            table[key] = tomlkit.table(is_super_table=True)
        table = table[key]
    if any(
        key not in table and not isinstance(value, Mapping) and value != defaults.get(key) for key, value in values.items()
    ):
        _make_plain(table)
    _set(table, values, defaults)
    return text, tomlkit.dumps(document)


def _set(table: Any, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    for key, value in values.items():
        default = defaults.get(key)
        if isinstance(value, Mapping):
            below = default if isinstance(default, Mapping) else {}
            if key not in table:
                if dict(value) == dict(below):
                    continue
                table[key] = tomlkit.table()
            _set(table[key], value, below)
        elif key in table:
            if table[key] != value or isinstance(table[key], bool) != isinstance(value, bool):
                table[key] = _beside(table, key, value)
        elif value != default:
            table[key] = value


def _make_plain(table: Any) -> None:
    """Gives a table that stood only in the names of others a header of its own, for keys to stand under."""
    if isinstance(table, Table) and table.is_super_table():
        table._is_super_table = False  # tomlkit has no public way to say so


def _beside(table: Any, key: str, value: Any) -> Any:
    """The value as an item whose comment, if the old one has any, begins in the same column."""
    new = tomlkit.item(value)
    if isinstance(table, Table):
        old = table.value.item(key)
        if isinstance(old, Item) and old.trivia.comment:
            room = len(old.trivia.comment_ws) + len(old.as_string()) - len(new.as_string())
            new.trivia.comment_ws = " " * max(room, 1)
    return new


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
        tomlkit.parse(text)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {error}")]) from None
    except ParseError as error:
        parse(path.read_text(encoding="utf-8-sig"), str(path))  # says it in the words of every other mistake
        raise ConfigError([Problem(str(path), error.line, "", f"not valid TOML: {error}")]) from None
    return text


def write(path: Path, text: str) -> None:
    """Checks the text, then puts it in place at once; where ``path`` is a symlink, the file it points to.

    Raises:
        ConfigError: the configuration would have a mistake, or the file cannot be written; it is then as it was.
    """
    parse(text, str(path))
    target = path.resolve()
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, prefix=".qraft-", delete=False) as draft:
            draft.write(text)
        if target.exists():
            Path(draft.name).chmod(target.stat().st_mode & 0o7777)
        else:
            Path(draft.name).chmod(0o644 & ~_umask())
        Path(draft.name).replace(target)
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, "", f"cannot be written: {error.strerror or error}")]) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
