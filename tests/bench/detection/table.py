"""What a detection benchmark prints: aligned columns for people, one JSON line for scripts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
        name: the benchmark's name.
        columns: the headings; the first column is text, the others are figures.
        rows: one cell a heading; None where there is nothing to say.
        notes: sentences printed below.
        extra: what goes into JSON alone.
    """

    name: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    notes: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """For a terminal."""
        cells = [self.columns, *([_text(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[at]) for row in cells) for at in range(len(self.columns))]
        lines = [
            "  ".join(
                cell.ljust(w) if at == 0 else cell.rjust(w) for at, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in cells
        ]
        return "\n".join([f"== {self.name}", *lines, *(f"  {note}" for note in self.notes)])

    def json(self) -> str:
        """One line: the name, and the rows as objects."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return json.dumps({"bench": self.name, "rows": rows, "notes": self.notes, **self.extra})


def skipped(name: str, why: str) -> Table:
    """The table of a benchmark that cannot be run here."""
    return Table(name, ("skipped",), [(why,)])


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
