"""A change of the configuration file: shown, asked for, written."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from qraft.commands.common import DEFAULT_FILE, UserError, config_file

if TYPE_CHECKING:
    from qraft.config.detect import DetectSettings


def file_to_edit(config: Path | None) -> Path:
    """The configuration file to write to.

    Raises:
        UserError: there is none.
    """
    path = config_file(config)
    if path is None or not path.is_file():
        raise UserError(f"there is no {path or DEFAULT_FILE} in {Path.cwd()}; name a file with --config")
    return path


def write_detectors(path: Path, source: str, detect: DetectSettings, *, yes: bool) -> bool:
    """Shows what ``detect`` changes in a configuration file, asks, and writes; whether it was written or was so already.

    Args:
        path: the configuration file.
        source: whose detectors: [sources.NAME.detect]; empty for [detect].
        detect: what shall be in force there.
        yes: writes without asking.

    Raises:
        ConfigError: the file cannot be read or written.
        UserError: nobody is there to ask.
    """
    from qraft.config.detect import DetectSettings
    from qraft.config.edit import with_section, write

    keys: Sequence[str] = ("sources", source, "detect") if source else ("detect",)
    values: Mapping[str, Any] = detect.model_dump(mode="json", exclude_none=True)
    before, after = with_section(path, keys, values, DetectSettings().model_dump(mode="json", exclude_none=True))
    if before == after:
        print(f"{path}: says so already; nothing to change")
        return True
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), str(path), f"{path} (new)", "", "", 1, ""):
        print(line)
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("nothing was written: there is no terminal to ask at; --yes writes without asking")
        if not typer.confirm(f"write this to {path}?"):
            print("nothing was written")
            return False
    write(path, after)
    print(f"{path}: written; a running engine takes it up by itself")
    return True
