"""What a replay brought: as JSON for scripts, as a table for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from qraft.model import PATTERN_TYPES

_MOST_ROWS = 10
_MOST_LETTERS = 26


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows.

    ``rows`` counts all of them; ``rejected`` those that could not be used, ``late`` and ``duplicates`` those that could but
    were not judged; ``patterns`` what was found, by type.
    """

    rows: int = 0
    rejected: int = 0
    late: int = 0
    duplicates: int = 0
    patterns: dict[str, int] = {}


class InputSummary(Counts, frozen=True, kw_only=True):
    """One input: its file as named in results, its source, its score file, the seconds it took.

    ``error`` is empty, or says why the file could be read only in part.
    """

    file: str
    source: str
    scores: str
    seconds: float
    error: str = ""


class Summary(Counts, frozen=True, kw_only=True):
    """A whole replay: the totals, and each input in order.

    ``labelled`` is empty, or has the figures of the fused anomaly score against the labels (see `qraft.replay.report`).
    """

    seconds: float
    inputs: list[InputSummary]
    labelled: dict[str, Any] = {}

    def json(self) -> bytes:
        """Indented JSON, with a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def table(self) -> Table:
        """For a terminal; of many inputs those with most patterns."""
        shown = sorted(self.inputs, key=lambda i: -sum(i.patterns.values()))[:_MOST_ROWS]
        left = len(self.inputs) - len(shown)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("input")
        for heading in ("rows", "unjudged", *(kind.partition("_")[0] for kind in PATTERN_TYPES), "seconds"):
            table.add_column(heading, justify="right", no_wrap=True)
        for one in shown:
            name = one.file if len(one.file) <= _MOST_LETTERS else f"…{one.file[-_MOST_LETTERS + 1 :]}"
            table.add_row(Text(name), *_cells(one, one.seconds))
        if left:
            table.add_row(f"and {left} more in summary.json", style="dim")
        if len(self.inputs) > 1:
            table.add_row(f"{len(self.inputs)} inputs", *_cells(self, self.seconds), style="bold")
        return table


def summarise(inputs: Iterable[InputSummary], seconds: float, labelled: dict[str, Any] | None = None) -> Summary:
    """The totals over ``inputs``; ``seconds`` is how long the whole took, ``labelled`` the figures against labels."""
    each = list(inputs)
    return Summary(
        rows=sum(i.rows for i in each),
        rejected=sum(i.rejected for i in each),
        late=sum(i.late for i in each),
        duplicates=sum(i.duplicates for i in each),
        patterns={kind: sum(i.patterns.get(kind, 0) for i in each) for kind in PATTERN_TYPES},
        seconds=round(seconds, 3),
        inputs=each,
        labelled=labelled or {},
    )


def _cells(counts: Counts, seconds: float) -> list[str]:
    unjudged = counts.rejected + counts.late + counts.duplicates
    kinds = [counts.patterns.get(kind, 0) for kind in PATTERN_TYPES]
    return [*(f"{n:,}" for n in (counts.rows, unjudged, *kinds)), f"{seconds:.1f}"]
