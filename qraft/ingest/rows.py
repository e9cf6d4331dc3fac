"""Bytes of a CSV or NDJSON file in, events and dead letters out: incremental, in constant memory.

A row's place is ``fingerprint:offset``: the fingerprint is of the file's first data line (with the header, for CSV), the
offset that of the row in the uncompressed file. Both depend on content alone, so a file keeps its rows' ids when it is
renamed or compressed by a rotation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from qraft.ingest.base import SourceError
from qraft.ingest.file_csv import UNCLOSED, OpenQuote, cells_of, names_of
from qraft.ingest.file_cursor import Cursor, head_of
from qraft.ingest.file_maker import ROW_NUMBER, Block, Format, Row, RowFormat, RowMaker
from qraft.ingest.records import KEPT_BYTES, MAX_RECORD_BYTES, RecordError, decode_json, decode_text

__all__ = ["ROW_NUMBER", "Block", "Cursor", "Format", "Row", "RowFormat", "RowParser"]

_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_JOINED_LINES: Final = 64


class _Line(NamedTuple):
    text: bytes
    length: int


class RowParser(RowMaker):
    """Turns the bytes of one file, fed in pieces of any size, into rows.

    Blank lines are no rows. A quoted CSV field may hold line breaks (up to 64 lines); a line that reads as a whole row by
    itself is never taken for part of one, so that a stray quote costs its own line only.
    """

    def __init__(self, form: RowFormat, generation: int = 0, ident: str = "") -> None:
        super().__init__(form, generation, ident)
        self._header: list[str] = []
        self._header_line: bytes | None = None
        self._rest = b""
        self._skipped = 0
        self._open: list[_Line] = []

    @property
    def pending(self) -> bool:
        """Whether bytes wait for the rest of their line or row."""
        return bool(self._rest or self._open)

    def seek(self, cursor: Cursor) -> None:
        """Goes on at ``cursor``: the next bytes fed are those from its offset."""
        super().seek(cursor)
        self._rest, self._skipped, self._open = b"", 0, []

    def feed(self, data: bytes) -> Block:
        """The rows that ``data`` completes.

        Raises:
            SourceError: the file as a whole cannot be read so.
        """
        if self._skipped:
            end = data.find(b"\n") + 1
            self._skipped += end or len(data)
            if not end:
                return self._take()
            self._end_skip()
            data = data[end:]
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        if end:
            self._lines(data[: end - 1].split(b"\n"))
        if len(self._rest) > MAX_RECORD_BYTES:
            self._skipped, self._rest = len(self._rest), self._rest[:KEPT_BYTES]
        return self._take()

    def finish(self) -> Block:
        """The rows that the end of the file completes: a last line without line break."""
        if self._skipped:
            self._end_skip()
        elif self._rest:
            line, self._rest = self._rest, b""
            self._lines([line], ends=0)
        self._close_quote()
        return self._take()

    def cut_off(self, reason: str) -> Block:
        """Gives up the bytes that wait for the rest of their row: they become one dead letter."""
        kept = b"\n".join([*(line.text for line in self._open), self._rest])
        self._rest, self._skipped, self._open = b"", 0, []
        if kept:
            self._dead(kept, len(kept), reason, None)
        return self._take()

    def _lines(self, lines: Iterable[bytes], ends: int = 1) -> None:
        """Takes whole lines; ``ends`` is the length of their line break."""
        for line in lines:
            length = len(line) + ends
            if self._open:
                self._again([_Line(line, length)])
            elif not line.strip(b" \r"):
                self._offset, self._last = self._offset + length, line
            elif self._fingerprint or self._take_head(line, length):
                self._line(line, length)

    def _line(self, line: bytes, length: int) -> None:
        if length > MAX_RECORD_BYTES:
            self._too_long(line[:KEPT_BYTES], length)
            return
        try:
            self._event(self._decode(line), length, line)
        except OpenQuote:
            self._open = [_Line(line, length)]
        except RecordError as error:
            self._dead(line, length, str(error), line)

    def _again(self, lines: Iterable[_Line]) -> None:
        """Takes lines that come while a quoted field is open, or came then and were no part of it."""
        queue = deque(lines)
        while queue:
            line = queue.popleft()
            if not self._open:
                self._line(*line)
                continue
            both = [*self._open, line]
            joined, length = b"\n".join(part.text for part in both), sum(part.length for part in both)
            payload = None
            try:
                if not self._stands_alone(line.text):
                    payload = self._decode(joined)
            except OpenQuote:
                if len(both) <= _JOINED_LINES and length <= KEPT_BYTES:
                    self._open = both
                    continue
            except RecordError:
                pass
            self._open = []
            if payload is None:
                self._dead(*both[0], UNCLOSED, both[0].text)
                queue.extendleft(reversed(both[1:]))
                continue
            try:
                self._event(payload, length, line.text)
            except RecordError as error:
                self._dead(joined, length, str(error), line.text)

    def _close_quote(self) -> None:
        """Gives up an open quoted field: its first line is broken, the others are read anew."""
        while self._open:
            (first, *others), self._open = self._open, []
            self._dead(*first, UNCLOSED, first.text)
            self._again(others)

    def _stands_alone(self, line: bytes) -> bool:
        """Whether a line reads as a whole row; one that closes a quoted field has an odd number of quotes."""
        try:
            return len(self._header) > 1 and line.count(b'"') % 2 == 0 and bool(self._decode(line))
        except RecordError:
            return False

    def _take_head(self, line: bytes, length: int) -> bool:
        """Learns header and fingerprint from the first lines; True where ``line`` is a row."""
        raw = line
        if not self._offset:
            if line.startswith(_UTF16) and not self._form.encoding:
                raise SourceError(f'{self._form.file}: is UTF-16; set encoding = "utf-16"')
            line = line.removeprefix(_BOM)
        if self._form.kind == "csv" and self._header_line is None:
            if length > MAX_RECORD_BYTES:
                raise SourceError(f"{self._form.file}: its first line, the header, is longer than {MAX_RECORD_BYTES} bytes")
            self._header_line = line.rstrip(b"\r")
            self._header = self._names(self._header_line)
            self._check_time()
            self._row_bytes += sum(len(name) + 6 for name in self._header)
            self._offset, self._last = self._offset + length, raw
            return False
        self._begin(head_of(self._header_line, line))
        return True

    def _names(self, line: bytes) -> list[str]:
        form = self._form
        try:
            return names_of(line.decode(form.encoding or "utf-8", errors="replace"), form.delimiter)
        except RecordError as error:
            raise SourceError(f"{form.file}: its first line, the header, cannot be read: {error}") from None

    def _check_time(self) -> None:
        time, header = self._form.time, self._header
        if time and time not in header and time != ROW_NUMBER:
            listed = ", ".join(header[:20]) + (", …" if len(header) > 20 else "")
            raise SourceError(f'{self._form.file}: has no column "{time}" to take the time from; its columns are {listed}')

    def _decode(self, line: bytes) -> dict[str, Any]:
        if self._form.kind == "csv":
            text = self._text(line.removesuffix(b"\r"))
            cells = cells_of(text, self._form.delimiter) if '"' in text else text.split(self._form.delimiter)
            if len(cells) != len(self._header):
                raise RecordError(f"{_count(len(cells), 'column')} where the header has {len(self._header)}")
            return dict(zip(self._header, cells))  # noqa: B905 - their lengths were compared; strict= costs 5 % of the speed
        line = line.removeprefix(_BOM) if not self._offset else line
        value = decode_json(self._text(line).encode() if self._form.encoding else line)
        if not isinstance(value, dict):
            raise RecordError("not a JSON object")
        return value

    def _text(self, line: bytes) -> str:
        if not self._form.encoding:
            return decode_text(line)
        try:
            return line.decode(self._form.encoding)
        except UnicodeDecodeError as error:
            raise RecordError(f"not {self._form.encoding}: byte {line[error.start]:#04x}") from None

    def _end_skip(self) -> None:
        kept, length, self._rest, self._skipped = self._rest, self._skipped, b"", 0
        self._close_quote()
        if self._fingerprint or self._take_head(kept, length):
            self._too_long(kept, length)

    def _too_long(self, kept: bytes, length: int) -> None:
        self._dead(kept, length, f"longer than {MAX_RECORD_BYTES} bytes; the first {len(kept)} are kept", None)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
