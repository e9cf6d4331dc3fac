"""Opens files of rows: which format, plain or gzip, where to resume; and reads one from end to end."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final, Literal, cast

from qraft.ingest.base import Clock, SourceError
from qraft.ingest.rows import Block, Cursor, Format, Row, RowFormat, RowParser

BLOCK_BYTES: Final = 64 * 1024
"""Bytes read at once."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_FORMATS: Final[dict[str, Format]] = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_BROKEN: Final = (EOFError, gzip.BadGzipFile, zlib.error)


def read_rows(
    path: Path,
    source: str,
    *,
    format: Literal["auto", "csv", "ndjson"] = "auto",  # noqa: A002 - the setting's name
    delimiter: str = ",",
    time: str = "",
    start: str | None = None,
    arrival: Clock | None = None,
) -> Iterator[Row]:
    """Every row of a file in order, each as an event or, where it cannot be read, as a dead letter.

    An event's payload holds the columns as they stand in the file, the time column's text among them; CSV values stay text.

    Args:
        path: a CSV or NDJSON file, plain or gzip.
        source: name of the source the events get.
        format: "auto" decides by the file's ending.
        delimiter: character between the columns of a CSV file.
        time: column (NDJSON: field or dotted path) of event time. "row" is the row's number (from 0, rows that cannot be
            read count) in seconds since 1970 where no such column exists. Empty takes the time of arrival.
        start: the ``meta["cursor"]`` of the last event that was taken; reading resumes behind it. A cursor of another file
            reads this one from its first row.
        arrival: tells the time of arrival; None takes the row number in its place, so that nothing depends on a clock.

    Raises:
        SourceError: the file is absent, unreadable or damaged, its format unknown, or the time column missing.
    """
    form = RowFormat(source, str(path), format_of(path, format), delimiter, time, arrival)
    with closing(RowFile(path, form)) as file:
        cursor = Cursor.parse(start) if start else None
        if cursor is not None:
            file.resume(cursor)
        for block in blocks_of(file):
            yield from block.rows


def format_of(path: Path, given: Literal["auto", "csv", "ndjson"]) -> Format:
    """The format of a file's rows; "auto" decides by its ending.

    Raises:
        SourceError: the ending says nothing.
    """
    if given != "auto":
        return given
    suffixes = [suffix.lower() for suffix in path.suffixes]
    ending = (suffixes[:-1] if suffixes[-1:] == [".gz"] else suffixes)[-1:]
    found = _FORMATS.get(ending[0]) if ending else None
    if found is None:
        raise SourceError(f'{path}: its ending does not tell its format; set format = "csv" or format = "ndjson"')
    return found


class MissingFileError(SourceError):
    """There is no file of this name."""


def open_bytes(path: Path) -> BinaryIO:
    """The file's uncompressed bytes.

    Raises:
        MissingFileError: the file is absent.
        SourceError: it may not be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file; check path") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror}") from None
    if file.read(2) == _GZIP_MAGIC:
        file.close()
        return cast(BinaryIO, gzip.open(path, "rb"))
    file.seek(0)
    return file


class RowFile:
    """An open file and the parser of its rows."""

    def __init__(self, path: Path, form: RowFormat) -> None:
        self._path = path
        self._form = form
        self._file = open_bytes(path)
        self._parser = RowParser(form)
        self._skip = 0
        self._position = 0

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    @property
    def compressed(self) -> bool:
        """Whether the file is gzip."""
        return isinstance(self._file, gzip.GzipFile)

    @property
    def position(self) -> int:
        """Bytes read so far, of the uncompressed file."""
        return self._position

    @property
    def cursor(self) -> Cursor | None:
        """The place after the last row that was given; None before the first data line."""
        return self._parser.cursor

    def rewind(self) -> None:
        """Goes to the begin, as if nothing had been read."""
        self._file.seek(0)
        self._parser, self._skip, self._position = RowParser(self._form), 0, 0

    def fingerprint(self) -> str:
        """The fingerprint of the file; empty where it holds no row yet. Goes back to the begin.

        Raises:
            SourceError: the file cannot be read so.
        """
        head = self._head().cursor
        return head.fingerprint if head is not None else ""

    def resume(self, cursor: Cursor) -> bool:
        """Goes on behind the row that ``cursor`` belongs to; False, and at the file's begin, where this is another file.

        Raises:
            SourceError: the file cannot be read so.
        """
        parser = self._head()
        here = parser.cursor is not None and parser.cursor.fingerprint == cursor.fingerprint
        if not here or not (self.compressed or cursor.offset <= os.fstat(self.fileno()).st_size):
            return False
        parser.seek(cursor)
        self._parser = parser
        if self.compressed:
            self._skip = cursor.offset
        else:
            self._position = self._file.seek(cursor.offset)
        return True

    def _head(self) -> RowParser:
        """A parser that knows the file's head; the file stands at its begin then."""
        parser = RowParser(self._form)
        while parser.cursor is None and (data := self.read()):
            parser.feed(data)
        if parser.cursor is None:
            parser.finish()
        self.rewind()
        return parser

    def read(self) -> bytes:
        """The next bytes, for `feed`; empty at the end.

        Raises:
            SourceError: the file breaks off or cannot be read.
        """
        while self._skip:
            skipped = len(self._read(min(self._skip, BLOCK_BYTES)))
            self._skip = self._skip - skipped if skipped else 0
        return self._read(BLOCK_BYTES)

    def feed(self, data: bytes) -> Block:
        """The rows that bytes of this file complete.

        Raises:
            SourceError: the file as a whole cannot be read so.
        """
        return self._parser.feed(data)

    def finish(self) -> Block:
        """The rows that the end of the file completes."""
        return self._parser.finish()

    def cut_off(self, reason: str) -> Block:
        """A line or row of which the rest will not come, as a dead letter."""
        return self._parser.cut_off(reason)

    def _read(self, size: int) -> bytes:
        try:
            data = self._file.read1(size)  # type: ignore[attr-defined]  # BinaryIO lacks it; what open() and gzip give has it
        except _BROKEN as error:
            raise SourceError(
                f"{self._path}: its gzip data break off after {self._position} bytes of text ({error})"
            ) from None
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror or error}") from None
        self._position += len(data)
        return bytes(data)


def blocks_of(file: RowFile) -> Iterator[Block]:
    """The rows from where ``file`` stands to its end, a block of bytes at a time.

    Raises:
        SourceError: the file cannot be read so, or breaks off (after the rows before that place).
    """
    try:
        while data := file.read():
            yield file.feed(data)
    except SourceError:
        yield file.cut_off("the file breaks off here")
        raise
    yield file.finish()
