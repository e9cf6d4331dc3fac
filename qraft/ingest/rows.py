"""Bytes of a CSV or NDJSON file in, events and dead letters out: incremental, in constant memory.

A row's place is ``fingerprint:offset``: the fingerprint is of the file's first data line (with the header, for CSV), the
offset X or compressed by a rotation, and the file that takes its name gives others.
"""

from __future__ import annotations

import csv
import hashlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from qraft.ingest.base import Clock, SourceError
from qraft.ingest.records import KEPT_BYTES, MAX_RECORD_BYTES, RecordError, decode_json, decode_text, event_time, lookup
from qraft.model import META_VERSION, DeadLetter, Event, derive_id, event_id, iso_from_us

Format = Literal["csv", "ndjson"]

ROW_NUMBER: Final = "row"
"""As ``time``, where no such column exists: the row's number, from 0, in seconds since 1970."""

_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES: Final = 4096
_JOINED_LINES: Final = 64
_EVENT_BYTES: Final = 250
_UNCLOSED: Final = "a quoted field is never closed"


class Cursor(NamedTuple):
    """A place in a file: reading resumes at byte ``offset`` with row number ``row``."""

    fingerprint: str
    offset: int
    row: int

    def __str__(self) -> str:
        return f"{self.fingerprint}:{self.offset}:{self.row}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor that ``str`` wrote, or None where ``text`` is not one."""
        parts = text.split(":")
        if len(parts) != 3 or not parts[1].isdecimal() or not parts[2].isdecimal():
            return None
        return cls(parts[0], int(parts[1]), int(parts[2]))


@dataclass(frozen=True, slots=True)
class RowFormat:
    """How the rows of a file are read.

    Attributes:
        source: name of the source.
        file: name of the file, for messages.
        kind: csv or ndjson.
        delimiter: character between the columns of a CSV file.
        time: column of event time; empty takes ``arrival``; "row" the row number where no such column exists.
        arrival: tells the time of arrival; None takes the row number, so that nothing depends on a clock.
    """

    source: str
    file: str
    kind: Format
    delimiter: str = ","
    time: str = ""
    arrival: Clock | None = None


Row = Event | DeadLetter
"""One row of the file, usable or not."""


class Block(NamedTuple):
    """Rows that came together; ``row_bytes`` is about what one of them takes on the wire."""

    rows: list[Row]
    row_bytes: int


class _Line(NamedTuple):
    text: bytes
    length: int


class _OpenQuote(RecordError):
    """A quoted field that does not end on its line."""


class RowParser:
    """Turns the bytes of one file, fed in pieces of any size, into rows.

    Blank lines are no rows. A quoted CSV field may hold line breaks (up to 64 lines); a line that reads as a whole row by
    itself is never taken for part of one, so that a stray quote costs its own line only.
    """

    def __init__(self, form: RowFormat) -> None:
        self._form = form
        self._header: list[str] = []
        self._header_line: bytes | None = None
        self._fingerprint = ""
        self._offset = 0
        self._row = 0
        self._rest = b""
        self._skipped = 0
        self._open: list[_Line] = []
        self._rows: list[Row] = []
        self._taken = 0
        self._row_bytes = _EVENT_BYTES

    @property
    def cursor(self) -> Cursor | None:
        """The place after the last row that was given; None before the first data line."""
        return Cursor(self._fingerprint, self._offset, self._row) if self._fingerprint else None

    @property
    def pending(self) -> bool:
        """Whether bytes wait for the rest of their line or row."""
        return bool(self._rest or self._open)

    def seek(self, cursor: Cursor) -> None:
        """Goes on at ``cursor``: the next bytes fed are those from its offset."""
        self._offset = self._taken = cursor.offset
        self._row = cursor.row
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
            self._dead(kept, len(kept), reason)
        return self._take()

    def _take(self) -> Block:
        rows, length = self._rows, self._offset - self._taken
        self._rows, self._taken = [], self._offset
        return Block(rows, length // max(1, len(rows)) + self._row_bytes)

    def _lines(self, lines: Iterable[bytes], ends: int = 1) -> None:
        """Takes whole lines; ``ends`` is the length of their line break."""
        for line in lines:
            length = len(line) + ends
            if self._open:
                self._again([_Line(line, length)])
            elif not line.strip(b" \r"):
                self._offset += length
            elif self._fingerprint or self._take_head(line, length):
                self._line(line, length)

    def _line(self, line: bytes, length: int) -> None:
        if length > MAX_RECORD_BYTES:
            self._too_long(line[:KEPT_BYTES], length)
            return
        try:
            self._event(self._decode(line), length)
        except _OpenQuote:
            self._open = [_Line(line, length)]
        except RecordError as error:
            self._dead(line, length, str(error))

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
            except _OpenQuote:
                if len(both) <= _JOINED_LINES and length <= KEPT_BYTES:
                    self._open = both
                    continue
            except RecordError:
                pass
            self._open = []
            if payload is None:
                self._dead(*both[0], _UNCLOSED)
                queue.extendleft(reversed(both[1:]))
                continue
            try:
                self._event(payload, length)
            except RecordError as error:
                self._dead(joined, length, str(error))

    def _close_quote(self) -> None:
        """Gives up an open quoted field: its first line is broken, the others are read anew."""
        while self._open:
            (first, *others), self._open = self._open, []
            self._dead(*first, _UNCLOSED)
            self._again(others)

    def _stands_alone(self, line: bytes) -> bool:
        """Whether a line reads as a whole row; one that closes a quoted field has an odd number of quotes."""
        try:
            return len(self._header) > 1 and line.count(b'"') % 2 == 0 and bool(self._decode(line))
        except RecordError:
            return False

    def _take_head(self, line: bytes, length: int) -> bool:
        """Learns header and fingerprint from the first lines; True where ``line`` is a row."""
        if not self._offset:
            if line.startswith(_UTF16):
                raise SourceError(f"{self._form.file}: is UTF-16; save it as UTF-8")
            line = line.removeprefix(_BOM)
        if self._form.kind == "csv" and self._header_line is None:
            if length > MAX_RECORD_BYTES:
                raise SourceError(f"{self._form.file}: its first line, the header, is longer than {MAX_RECORD_BYTES} bytes")
            self._header_line = line.rstrip(b"\r")
            self._header = _names(self._header_line, self._form)
            self._check_time()
            self._row_bytes += sum(len(name) + 6 for name in self._header)
            self._offset += length
            return False
        head = (self._header_line or b"")[:_HEAD_BYTES] + b"\n" + line.rstrip(b"\r")[:_HEAD_BYTES]
        self._fingerprint = hashlib.sha256(head).hexdigest()[:16]
        return True

    def _check_time(self) -> None:
        time, header = self._form.time, self._header
        if time and time not in header and time != ROW_NUMBER:
            listed = ", ".join(header[:20]) + (", …" if len(header) > 20 else "")
            raise SourceError(f'{self._form.file}: has no column "{time}" to take the time from; its columns are {listed}')

    def _decode(self, line: bytes) -> dict[str, Any]:
        if self._form.kind == "csv":
            text = decode_text(line.removesuffix(b"\r"))
            cells = _split_quoted(text, self._form.delimiter) if '"' in text else text.split(self._form.delimiter)
            if len(cells) != len(self._header):
                raise RecordError(f"{_count(len(cells), 'column')} where the header has {len(self._header)}")
            return dict(zip(self._header, cells))  # noqa: B905 - their lengths were compared; strict= costs 5 % of the speed
        value = decode_json(line.removeprefix(_BOM) if not self._offset else line)
        if not isinstance(value, dict):
            raise RecordError("not a JSON object")
        return value

    def _event(self, payload: dict[str, Any], length: int) -> None:
        form, start = self._form, self._offset
        stamp = self._time(payload) if form.time else self._now()
        self._offset, self._row = start + length, self._row + 1
        fingerprint = self._fingerprint
        event = Event(
            event_id=event_id(form.source, f"{fingerprint}:{start}"),
            source=form.source,
            type="row",
            timestamp=stamp,
            payload=payload,
            meta={"version": META_VERSION, "cursor": f"{fingerprint}:{self._offset}:{self._row}"},
        )
        self._rows.append(event)

    def _time(self, payload: dict[str, Any]) -> str:
        form = self._form
        value = payload.get(form.time) if form.kind == "csv" else lookup(payload, form.time)
        if value is not None:
            return event_time(value)
        if form.time == ROW_NUMBER:
            return iso_from_us(self._row * 1_000_000)
        raise RecordError(f'has no "{form.time}" to take the time from')

    def _dead(self, line: bytes, length: int, reason: str) -> None:
        form, start = self._form, self._offset
        letter = DeadLetter(
            dead_id=derive_id("dead", form.source, f"{self._fingerprint}:{start}"),
            source=form.source,
            timestamp=self._now(),
            stage="ingest",
            reason=f"{form.file}, byte {start}: {reason}",
            original=line,
        )
        self._offset, self._row = start + length, self._row + 1
        self._rows.append(letter)

    def _end_skip(self) -> None:
        kept, length, self._rest, self._skipped = self._rest, self._skipped, b"", 0
        self._close_quote()
        if self._fingerprint or self._take_head(kept, length):
            self._too_long(kept, length)

    def _too_long(self, kept: bytes, length: int) -> None:
        self._dead(kept, length, f"longer than {MAX_RECORD_BYTES} bytes; the first {len(kept)} are kept")

    def _now(self) -> str:
        arrival = self._form.arrival
        return iso_from_us(arrival() if arrival is not None else self._row * 1_000_000)


def _names(line: bytes, form: RowFormat) -> list[str]:
    """Column names, made unique and non-empty, since they become the keys of an object."""
    text = line.decode(errors="replace")
    try:
        cells = _split_quoted(text, form.delimiter) if '"' in text else text.split(form.delimiter)
    except RecordError as error:
        raise SourceError(f"{form.file}: its first line, the header, cannot be read: {error}") from None
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = cell.strip() or f"column_{number}"
        names.append(name if name not in names else f"{name}_{number}")
    return names


def _split_quoted(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        if str(error) == "unexpected end of data":
            raise _OpenQuote(_UNCLOSED) from None
        raise RecordError(f"bad quoting: {error}") from None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
