"""Filters saved under a name, in one small TOML file that one may also edit by hand."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import tomli_w

from tui.language import t

FILE = "filters.toml"


class SavedError(Exception):
    """The file cannot be read or written; the text names it."""


class SavedFilters:
    """The file of saved filters in a folder; made with the first of them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def load(self) -> dict[str, str]:
        """Filters by name.

        Raises:
            SavedError: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                known = tomllib.load(file)
        except FileNotFoundError:
            return {}
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SavedError(f"{self.path}: {error}") from error
        return {name: text for name, text in known.items() if isinstance(text, str)}

    def names(self) -> list[str]:
        """The names; none where the file cannot be read."""
        try:
            return sorted(self.load())
        except SavedError:
            return []

    def keep(self, name: str, text: str) -> None:
        """Saves a filter; an empty one removes the name.

        Raises:
            SavedError: no name was given, or the file cannot be written.
        """
        if not name:
            raise SavedError(t("a saved filter needs a name"))
        known = self.load()
        if text:
            known[name] = text
        else:
            known.pop(name, None)
        draft = self.path.with_suffix(f".{os.getpid()}.draft")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(tomli_w.dumps(known), encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            raise SavedError(f"{self.path}: {error.strerror or error}") from error
