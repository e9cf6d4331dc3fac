"""Episodes as a table in a file: CSV for spreadsheets, Parquet for programs, by the suffix of the file's name.

Texts stand in a CSV as they are. One that begins like a formula (``=``, ``+``, ``-``, ``@``) is not changed, because a
program that reads the file would then read another text; open such a file in a spreadsheet with its text import.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from qraft.model import Feedback, Pattern, iso_from_us
from qraft.store.episodes import StoredEpisode

SUFFIXES: Final = (".csv", ".parquet")
COLUMNS: Final = {
    "first": "string",
    "last": "string",
    "source": "string",
    "entity": "string",
    "type": "string",
    "kind": "string",
    "detector": "string",
    "n": "int64",
    "confidence": "float64",
    "summary": "string",
    "verdict": "string",
    "verdict_user": "string",
    "verdict_note": "string",
    "field": "string",
    "before": "float64",
    "after": "float64",
    "pattern_id": "string",
}
"""The columns with their Arrow types. Times are ISO 8601; ``field`` is the one of greatest share."""

Row = Sequence[str | int | float | None]


class ExportError(Exception):
    """A table that cannot be written; the text says why and what would help."""


def episode_row(peak: Pattern, n: int, first_us: int, last_us: int, feedback: Feedback | None) -> Row:
    """The values of `COLUMNS` of one episode; times in UTC microseconds."""
    top = max(peak.contributors, key=lambda one: one.score, default=None)
    return (
        iso_from_us(first_us),
        iso_from_us(last_us),
        peak.source,
        peak.entity,
        peak.type,
        peak.kind,
        peak.detector,
        n,
        peak.details.confidence,
        peak.summary,
        feedback.verdict if feedback else "",
        feedback.user if feedback else "",
        feedback.note if feedback else "",
        top.field if top else "",
        top.before if top else None,
        top.after if top else None,
        peak.pattern_id,
    )


def stored_row(episode: StoredEpisode) -> Row:
    """The values of `COLUMNS` of an episode of the store."""
    return episode_row(episode.peak, episode.n, episode.first_us, episode.last_us, episode.feedback)


def write_table(path: Path, rows: Iterable[Row]) -> int:
    """Writes rows of `COLUMNS` into a new file, in place of one of that name. Until all is written, the old file stands.

    Returns:
        How many rows were written.

    Raises:
        ExportError: the suffix is unknown or the file cannot be written.
    """
    with _Table(path) as table:
        table.add(list(rows))
        return table.finish()


async def write_pages(path: Path, pages: AsyncIterable[Sequence[Row]], progress: Callable[[int], None]) -> int:
    """Like `write_table`, page by page as they come, so that memory holds one page.

    Args:
        path: the file.
        pages: rows of `COLUMNS`.
        progress: called after each page with the rows so far.
    """
    with _Table(path) as table:
        async for page in pages:
            progress(table.add(page))
        return table.finish()


class _Table:
    """A file beside the one meant, which takes its place in the end; it goes where the writing does not come to its end."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ExportError(f"{path} does not end with {' or '.join(SUFFIXES)}; the suffix says what is written")
        self._path = path
        self._rows = 0
        self._temporary: Path | None = None

    def __enter__(self) -> _Table:
        import pyarrow as pa  # type: ignore[import-untyped]  # has no annotations

        self._schema = pa.schema(list(COLUMNS.items()))
        try:
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".part")
            os.close(handle)
            self._temporary = Path(name)
            self._writer = self._open(self._temporary)
        except OSError as error:
            self._discard()
            raise self._fault(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._discard()

    def add(self, rows: Sequence[Row]) -> int:
        """Writes rows; how many there are by now."""
        import pyarrow as pa

        if rows:
            columns = zip(*rows, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
            try:
                self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            except OSError as error:
                raise self._fault(error) from None
            self._rows += len(rows)
        return self._rows

    def finish(self) -> int:
        """Puts the file in its place; how many rows it has."""
        assert self._temporary is not None
        try:
            self._writer.close()
            self._temporary.chmod(0o666 & ~_umask())
            self._temporary.replace(self._path)
        except OSError as error:
            raise self._fault(error) from None
        self._temporary = None
        return self._rows

    def _open(self, file: Path) -> Any:
        if self._path.suffix.lower() == ".csv":
            from pyarrow import csv

            return csv.CSVWriter(file, self._schema)
        from pyarrow import parquet

        return parquet.ParquetWriter(file, self._schema, compression="zstd")

    def _discard(self) -> None:
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def _fault(self, error: OSError) -> ExportError:
        return ExportError(f"{self._path} cannot be written: {error.strerror or error}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
