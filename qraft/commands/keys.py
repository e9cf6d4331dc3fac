"""`qraft keys`: every action of the terminal with its keys, as the configuration leaves them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qraft.commands.common import ConfigOption, JsonOption, UserError, config_file, load_settings
from qraft.commands.output import print_json

if TYPE_CHECKING:
    from qraft.config import Settings
    from tui.keymap import Keymap


def keys(
    config: ConfigOption = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a page of Markdown, as docs/keys.md is.")] = False,
    lang: Annotated[str, typer.Option("--lang", help="en or zh; without it tui.language, else the locale.")] = "",
    as_json: JsonOption = False,
) -> int:
    """Lists the keys of the terminal.

    Every action with the keys in force, its name after ":", the screens it works on and what it does. [tui.keys] of the
    configuration gives actions other keys.
    """
    from qraft.commands.keys_lines import lines, markdown as page, rows
    from tui.language import LANGUAGES, chosen

    if markdown and as_json:
        raise UserError("--markdown and --json exclude each other")
    if lang and lang not in LANGUAGES:
        raise UserError(f'--lang: no language "{lang}"; there are {", ".join(LANGUAGES)}')
    settings = load_settings(config)
    language = chosen(lang or settings.tui.language, os.environ)
    listed = rows(keymap_of(settings, config_file(config)), language)
    if as_json:
        print_json(listed)
        return 0
    for line in (page if markdown else lines)(listed, language):
        print(line)
    return 0


def keymap_of(settings: Settings, file: Path | None) -> Keymap:
    """The keys in force.

    Args:
        settings: the configuration in force.
        file: where it was read; None for the built-in defaults.

    Raises:
        ConfigError: ``[tui.keys]`` names an unknown action or key, or one key twice; says where.
    """
    from qraft.config import ConfigError, Problem
    from tui.keymap import KeymapError, resolve

    try:
        return resolve(settings.tui.keys)
    except KeymapError as error:
        key, _, said = str(error).partition(": ")
        raise ConfigError([Problem(str(file or ""), _line(file, key), key, said)]) from None


def _line(file: Path | None, key: str) -> int:
    """The line of a key in a file that was read as TOML just now; 0 where it cannot be told."""
    from qraft.config.places import key_lines

    if file is None:
        return 0
    return key_lines(file.read_text(encoding="utf-8-sig")).get(tuple(key.split(".")), 0)
