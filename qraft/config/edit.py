"""Edits config.toml as a person would: one table added or taken out, everything else, comments too, as it was."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

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
    _write(path, text + joint + tomlkit.dumps(table))


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
    _write(path, tomlkit.dumps(document))


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


def _write(path: Path, text: str) -> None:
    """Checks the text, then puts it in place at once; where ``path`` is a symlink, the file it points to."""
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
