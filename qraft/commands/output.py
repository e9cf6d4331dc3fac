"""How commands print: JSON for scripts, aligned columns for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def print_json(value: Any) -> None:
    """One value as one line of JSON."""
    import msgspec

    print(msgspec.json.encode(value).decode())


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[str] = frozenset()) -> None:
    """Rows below their headers in aligned columns; the columns named in ``right`` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(headers, row, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())


def plain(text: str) -> str:
    """Text that came from a stream, made safe to show: what a terminal would obey becomes a mark."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def duration(seconds: float) -> str:
    """A length of time as people say it: 0.2 s, 42 s, 3 min 5 s, 2 h 4 min, 3 d 1 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, lesser in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {lesser}"
    return f"{whole} s"
