"""Lines of CSV text (RFC 4180) as cells."""

from __future__ import annotations

import csv
from typing import Final

from qraft.ingest.records import RecordError

UNCLOSED: Final = "a quoted field is never closed"


class OpenQuote(RecordError):
    """A quoted field that does not end on its line."""


def cells_of(text: str, delimiter: str) -> list[str]:
    """The cells of one row.

    Raises:
        OpenQuote: a quoted cell does not end.
        RecordError: bad quoting.
    """
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        if str(error) == "unexpected end of data":
            raise OpenQuote(UNCLOSED) from None
        raise RecordError(f"bad quoting: {error}") from None


def names_of(header: str, delimiter: str) -> list[str]:
    """Column names, made unique and non-empty, since they become the keys of an object.

    Raises:
        RecordError: bad quoting.
    """
    names: list[str] = []
    for number, cell in enumerate(cells_of(header, delimiter), 1):
        name = cell.strip() or f"column_{number}"
        names.append(name if name not in names else f"{name}_{number}")
    return names
