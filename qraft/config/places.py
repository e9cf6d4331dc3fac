"""Where in a TOML text each key stands: tomllib keeps no places, and a message without a line is half a message."""

from __future__ import annotations

import re
import tomllib
from typing import Any

KeyPath = tuple[str, ...]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?!")'  # strings first, so that nothing within them counts
    r"|'''.*?'''(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}=\n]"
    r"|[^\"'#\[\]{}=\n]+",
    re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of each table's first header and of each key; keys of inline tables have none.

    The tables of an array ``[[a]]`` are ``("a", "0")``, ``("a", "1")`` and so on. ``text`` is valid TOML.
    """
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    statement, in_value, depth, line = "", False, 0, 1
    for token in _TOKEN.findall(text + "\n"):
        if token == "\n" and depth == 0:
            if (header := statement.strip()) and not in_value:
                table = _table(header, counts)
                _note(lines, table, line)
            statement, in_value = "", False
        elif in_value:
            depth += (token in "[{") - (token in "]}")
        elif token == "=":
            _note(lines, table + _parts(statement), line)
            in_value = True
        elif not token.startswith("#"):
            statement += token
        line += token.count("\n")
    return lines


def _table(header: str, counts: dict[KeyPath, int]) -> KeyPath:
    """The path of a header's table: below an array of tables, it belongs to the last of them so far."""
    path: KeyPath = ()
    parts = _parts(header.strip("[]"))
    for at, part in enumerate(parts, 1):
        path += (part,)
        if at == len(parts) and header.startswith("[["):
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path += (str(counts[path] - 1),)
    return path


def _note(lines: dict[KeyPath, int], path: KeyPath, line: int) -> None:
    for depth in range(1, len(path) + 1):
        lines.setdefault(path[:depth], line)


def _parts(key: str) -> KeyPath:
    node: Any = tomllib.loads(f"{key} = 0")
    parts: list[str] = []
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        parts.append(name)
    return tuple(parts)
