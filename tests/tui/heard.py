"""Chinese words that remember what was asked for in vain, and what a line holds cell by cell."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.cells import cell_len

from tui.language import catalogue
from tui.views.text import Line, plain, width_of


class Heard(dict[str, str]):
    """Chinese words; remembers what was asked for in vain."""

    def __init__(self) -> None:
        super().__init__(catalogue("zh"))
        self.missed: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # dict's has overloads
        if key not in self:
            self.missed.add(key)
        return super().get(key, default)


def cells(line: Line) -> list[str]:
    """The characters by cell; a wide one stands in its first."""
    out: list[str] = []
    for char in plain(line):
        out += [char, *[""] * (cell_len(char) - 1)]
    return out


def starts(line: Line) -> set[int]:
    """The cells in which the spans of a line begin."""
    at, out = 0, set()
    for span in line:
        out.add(at)
        at += width_of((span,))
    return out


def latin(text: str) -> set[str]:
    """The words of three letters or more that are not Chinese; of one that is cut off nothing is known."""
    return set(re.findall(r"(?<![A-Za-z…])[A-Za-z]{3,}(?![A-Za-z…])", text))


def stray(texts: Iterable[str], known: Iterable[str]) -> set[str]:
    """Latin words that are not known."""
    return set().union(*map(latin, texts)) - set(known)
