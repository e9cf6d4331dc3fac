"""The columns of an input: what they are, and whether those that the user named are among them."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from qraft.ingest.base import SourceError
from qraft.ingest.files import format_of, read_rows
from qraft.ingest.records import RecordError, decode_json, lookup
from qraft.ingest.rows import ROW_NUMBER
from qraft.model import Event
from qraft.replay.errors import ReplayError
from qraft.replay.inputs import Input
from qraft.replay.wire import unwrapped

_PEEKED_ROWS = 100
_SHOWN = 30
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one file, as its first rows show them.

    Attributes:
        names: in the file's order; of NDJSON also the dotted paths of what lies in objects.
        csv: whether it is a CSV file, in which every row has all of them.
        events: whether its lines are events; the columns are those of their payloads then.
    """

    names: tuple[str, ...]
    csv: bool
    events: bool = False

    def holds(self, name: str) -> bool:
        """Whether there is a column, or an object, of that name."""
        return name in self.names

    def time_in(self, row: bytes, time: str, delimiter: str) -> Any:
        """The time in a row that could not be read as a whole; None where it cannot be told."""
        try:
            if not time:
                return None
            if not self.csv:
                return lookup(decode_json(row), time)
            cells = next(csv.reader([row.decode(errors="replace")], delimiter=delimiter), [])
        except (RecordError, csv.Error):
            return None
        place = self.names.index(time) if time in self.names else len(cells)
        return cells[place] if place < len(cells) else None


def read_columns(file: Input, delimiter: str) -> Columns:
    """The columns that the first rows of a file have; none where no row can be read.

    Raises:
        ReplayError: the file cannot be read.
    """
    names: dict[str, None] = {}
    whole = events = 0
    try:
        with closing(read_rows(file.path, file.source, delimiter=delimiter)) as rows:  # type: ignore[type-var]  # a generator
            for row in islice(rows, _PEEKED_ROWS):
                if isinstance(row, Event):
                    event = unwrapped(row)
                    whole, events = whole + 1, events + (event is not row)
                    names.update(dict.fromkeys(_paths(event.payload)))
        return Columns(names=tuple(names), csv=format_of(file.path, "auto") == "csv", events=0 < events == whole)
    except SourceError as error:
        raise ReplayError(str(error)) from None


def check_columns(file: Input, columns: Columns, time: str, fields: Sequence[str], labels: str = "") -> None:
    """Holds that the columns the user named are there; ``labels`` is the one that holds labels, if any.

    Raises:
        ReplayError: one is not; the message lists those that are and names the nearest.
    """
    if not columns.names:
        return
    if not time and not columns.events:
        raise ReplayError(f"{file.path}: holds rows, not events; name the column of event time with --time, or --time row")
    named = [*([("--time", time)] if time else []), *(("--fields", field) for field in fields)]
    for option, name in [*named, ("--labels-column", labels)] if labels else named:
        if not columns.holds(name) and (option, name) != ("--time", ROW_NUMBER):
            raise ReplayError(f'{file.path}: no column "{name}" for {option}; {_remedy(columns.names, name, option)}')


def _remedy(names: Sequence[str], name: str, option: str) -> str:
    if len(names) == 1 and name in re.split(f"[{re.escape(_DELIMITERS)}]", names[0]):
        delimiter = names[0].partition(name)[2][:1] or names[0].partition(name)[0][-1:]
        return f"its columns are not split by this delimiter; did you mean --delimiter {delimiter!r}?"
    listed = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    close = difflib.get_close_matches(name, names, 1, 0.5)
    nearest = f'; did you mean "{close[0]}"?' if close else ""
    row = f"; --time {ROW_NUMBER} takes the row number" if option == "--time" and not close else ""
    return f"its columns are {listed}{nearest}{row}"


def _paths(payload: dict[str, Any], above: str = "") -> list[str]:
    found: list[str] = []
    for key, value in payload.items():
        found.append(f"{above}{key}")
        if isinstance(value, dict):
            found += _paths(value, f"{above}{key}.")
    return found
