"""Opens files of rows: which format, plain or packed, where to resume; and reads one from end to end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from qraft.config.sources.file import ENDINGS, FileFormat, ending_of
from qraft.ingest.base import Clock, SourceError
from qraft.ingest.file_cursor import CHECKED_BYTES, Cursor, ends_with
from qraft.ingest.file_json import JsonParser
from qraft.ingest.file_open import (
    BrokenDataError,
    ByteSource,
    MissingFileError,
    Transcoded,
    kind_of,
    line_encoding,
    open_bytes,
)
from qraft.ingest.file_parquet import ParquetRows
from qraft.ingest.rows import Block, Format, Row, RowFormat, RowParser

__all__ = ["MissingFileError", "RowFile", "format_of", "open_bytes", "open_rows", "read_rows"]

BLOCK_BYTES: Final = 64 * 1024
"""Bytes read at once."""

_HEAD_PIECE: Final = 2048
_BREAKS_OFF: Final = "the file breaks off here"


def read_rows(
    path: Path,
    source: str,
    *,
    format: FileFormat = "auto",  # noqa: A002 - the setting's name
    delimiter: str = "",
    time: str = "",
    start: str | None = None,
    arrival: Clock | None = None,
    record: str = "",
    encoding: str = "utf-8",
) -> Iterator[Row]:
    """Every row of a file in order, each as an event or, where it cannot be read, as a dead letter.

    An event's payload holds the columns as they stand in the file, the time column's text among them; CSV values stay text.

    Args:
        path: a CSV, NDJSON, JSON or Parquet file; text may be plain, gzip or zstd.
        source: name of the source the events get.
        format: "auto" decides by the file's ending.
        delimiter: character between the columns of a CSV file; empty takes a comma, or a tab where the ending is .tsv.
        time: column (JSON: field or dotted path) of event time. "row" is the row's number (from 0, rows that cannot be
            read count) in seconds since 1970 where no such column exists. Empty takes the time of arrival.
        start: the ``meta["cursor"]`` of the last event that was taken; reading resumes behind it. A cursor of another file
            reads this one from its first row.
        arrival: tells the time of arrival; None takes the row number in its place, so that nothing depends on a clock.
        record: path of the array of rows within a JSON file; empty takes the whole.
        encoding: of the text.

    Raises:
        SourceError: the file is absent, unreadable or damaged, its format unknown, or the time column missing.
    """
    kind = format_of(path, format)
    form = RowFormat(source, str(path), kind, delimiter_of(path, delimiter), time, arrival, record=record, encoding=encoding)
    with closing(open_rows(path, form)) as file:
        cursor = Cursor.parse(start) if start else None
        if cursor is not None:
            file.resume(cursor)
        for block in file.blocks():
            yield from block.rows


def format_of(path: Path, given: FileFormat) -> Format:
    """The format of a file's rows; "auto" decides by its ending.

    Raises:
        SourceError: the ending says nothing.
    """
    found = ENDINGS.get(ending_of(path.name), "auto") if given == "auto" else given
    if found == "auto":
        raise SourceError(f'{path}: its ending does not tell its format; set format = "csv" or format = "ndjson"')
    return found


def delimiter_of(path: Path, given: str) -> str:
    """The character between the columns: ``given``, else a tab where the file's ending is .tsv, else a comma."""
    return given or ("\t" if ending_of(path.name) == ".tsv" else ",")


def open_rows(path: Path, form: RowFormat, ident: str = "") -> RowFile | ParquetRows:
    """An open file of any format; ``ident`` stands for its fingerprint where its begin does not decide that.

    Raises:
        MissingFileError: the file is absent.
        SourceError: it cannot be read so.
    """
    return ParquetRows(path, form, ident=ident) if form.kind == "parquet" else RowFile(path, form, ident=ident)


class RowFile:
    """An open file of text and the parser of its rows."""

    def __init__(self, path: Path, form: RowFormat, generation: int = 0, ident: str = "") -> None:
        """Opens the file; the other arguments are those of `RowMaker`.

        Raises:
            MissingFileError: the file is absent.
            SourceError: it may not be read.
        """
        self.path = path
        self._form, source = _decoded(form, open_bytes(path))
        self._file: ByteSource = source
        self._generation, self._ident = generation, ident
        self._parser = self._new_parser()
        self._position = 0

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    @property
    def packed(self) -> str:
        """What has to be undone from the begin of the file: "gzip", "zstd" or "encoding"; empty for plain text."""
        return kind_of(self._file)

    @property
    def compressed(self) -> bool:
        """Whether it is compressed, so that it does not grow by lines."""
        return self.packed in ("gzip", "zstd")

    @property
    def position(self) -> int:
        """Bytes read so far, of the uncompressed file as UTF-8."""
        return self._position

    @property
    def raw_position(self) -> int:
        """Bytes read so far, of the file as it stands on the disk; of a compressed one those of its text."""
        return self._file.tell() if isinstance(self._file, Transcoded) else self._position

    @property
    def cursor(self) -> Cursor | None:
        """The place after the last row that was given; None before the first data line."""
        return self._parser.cursor

    def rewind(self, generation: int = 0) -> None:
        """Goes to the begin, as if nothing had been read; ``generation`` files of this name came before."""
        self._file.seek(0)
        self._generation = generation
        self._parser, self._position = self._new_parser(), 0

    def head(self) -> Cursor | None:
        """The place before the first row; None where the file holds no row yet. Goes back to the begin.

        Raises:
            SourceError: the file cannot be read so.
        """
        return self._head(whole=False).first

    def resume(self, cursor: Cursor) -> bool:
        """Goes on behind the row that ``cursor`` belongs to; False, and at the file's begin, where this is another file.

        Raises:
            SourceError: the file cannot be read so.
        """
        parser = self._head()
        head = parser.cursor
        if head is None or not (head.content == cursor.content or head.fingerprint == cursor.fingerprint):
            return False
        if not self.holds(cursor):
            self.rewind(self._generation)
            return False
        if not self.packed:
            self._position = self._file.seek(cursor.offset)
        parser.seek(cursor)
        self._parser = parser
        return True

    def holds(self, cursor: Cursor) -> bool:
        """Whether the line that ends at the cursor's offset is the cursor's, in a plain file; any other is read up to there.

        Raises:
            SourceError: the file cannot be read.
        """
        kept = CHECKED_BYTES + 2
        if not self.packed:
            if cursor.offset > os.fstat(self.fileno()).st_size:
                return False
            return ends_with(os.pread(self.fileno(), min(kept, cursor.offset), max(0, cursor.offset - kept)), cursor.check)
        self.rewind(self._generation)
        before = b""
        while (left := cursor.offset - self._position) and (data := self._read(min(left, BLOCK_BYTES))):
            before = (before + data)[-kept:]
        return not left and ends_with(before, cursor.check)

    def _head(self, *, whole: bool = True) -> RowParser | JsonParser:
        """A parser that knows the file's head; the file stands at its begin then.

        Args:
            whole: whether a last line without line break counts.
        """
        parser = self._new_parser()
        while parser.cursor is None and (data := self._read(_HEAD_PIECE)):
            parser.feed(data)
        if parser.cursor is None and whole:
            parser.finish()
        self.rewind(self._generation)
        return parser

    def _new_parser(self) -> RowParser | JsonParser:
        kind = JsonParser if self._form.kind == "json" else RowParser
        return kind(self._form, self._generation, self._ident)

    def read(self) -> bytes:
        """The next bytes, for `feed`; empty at the end.

        Raises:
            SourceError: the file breaks off or cannot be read.
        """
        return self._read(BLOCK_BYTES)

    def feed(self, data: bytes) -> Block:
        """The rows that bytes of this file complete.

        Raises:
            SourceError: the file as a whole cannot be read so.
        """
        return self._parser.feed(data)

    def finish(self) -> Block:
        """The rows that the end of the file completes."""
        first = self._parser.feed(rest) if isinstance(self._file, Transcoded) and (rest := self._file.flush()) else None
        last = self._parser.finish()
        return Block([*first.rows, *last.rows], last.row_bytes) if first is not None else last

    def cut_off(self, reason: str) -> Block:
        """A line or row of which the rest will not come, as a dead letter."""
        return self._parser.cut_off(reason)

    def blocks(self) -> Iterator[Block]:
        """The rows from where it stands to its end, a block of bytes at a time.

        Raises:
            SourceError: the file cannot be read so, or breaks off (after the rows before that place).
        """
        while True:
            try:
                data = self.read()
            except SourceError:
                yield self.cut_off(_BREAKS_OFF)
                raise
            if not data:
                break
            yield self.feed(data)
        yield self.finish()

    def _read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except BrokenDataError as error:
            raise SourceError(
                f"{self.path}: its {self.packed} data break off after {self._position} bytes of text ({error})"
            ) from None
        except OSError as error:
            raise SourceError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        self._position += len(data)
        return data


def _decoded(form: RowFormat, source: ByteSource) -> tuple[RowFormat, ByteSource]:
    """The bytes as the parser takes them, and the encoding that is left for it to undo, line by line."""
    encoding = line_encoding(form.encoding or "utf-8")
    if encoding is None or (encoding and form.kind == "json"):
        return replace(form, encoding=""), Transcoded(source, form.encoding)
    return replace(form, encoding=encoding), source
