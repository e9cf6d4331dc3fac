"""What every reader of rows shares: makes the events and the dead letters of one file, and knows how far it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple
from zlib import crc32

from qraft.ingest.base import Clock
from qraft.ingest.file_cursor import CHECKED_BYTES, Cursor, check_of, fingerprint_of
from qraft.ingest.records import RecordError, event_time, lookup
from qraft.model import META_VERSION, NAMESPACE, DeadLetter, Event, derive_id, iso_from_us

Format = Literal["csv", "ndjson", "json", "parquet"]

ROW_NUMBER: Final = "row"
"""As ``time``, where no such column exists: the row's number, from 0, in seconds since 1970."""

_VARIANT: Final = {digit: f"{int(digit, 16) & 0x3 | 0x8:x}" for digit in "0123456789abcdef"}
"""The digit of a UUID that tells its layout (RFC 9562), from that of the digest."""

EVENT_BYTES: Final = 260
"""What an event takes on the wire besides its payload."""


@dataclass(frozen=True, slots=True)
class RowFormat:
    """How the rows of a file are read.

    Attributes:
        source: name of the source.
        file: name of the file, for messages.
        kind: csv, ndjson, json or parquet.
        delimiter: character between the columns of a CSV file.
        time: column of event time; empty takes ``arrival``; "row" the row number where no such column exists.
        arrival: tells the time of arrival; None takes the row number, so that nothing depends on a clock.
        record: path of the array of rows within a JSON file; empty takes the whole.
        encoding: of the text, where that is not UTF-8.
        name: the file's name where the source reads several; part of its fingerprint and its cursors.
        file_field: field that gets ``called``; empty adds none.
        called: what ``file_field`` says.
    """

    source: str
    file: str
    kind: Format
    delimiter: str = ","
    time: str = ""
    arrival: Clock | None = None
    record: str = ""
    encoding: str = ""
    name: str = ""
    file_field: str = ""
    called: str = ""


Row = Event | DeadLetter
"""One row of the file, usable or not."""


class Block(NamedTuple):
    """Rows that came together; ``row_bytes`` is about what one of them takes on the wire."""

    rows: list[Row]
    row_bytes: int


class RowMaker:
    """Makes rows of one file, in its order. Who derives from this finds the records and calls `_event` and `_dead`.

    Attributes:
        first: the place before the first row; None while there is no row.
    """

    def __init__(self, form: RowFormat, generation: int = 0, ident: str = "") -> None:
        """Nothing is read yet.

        Args:
            form: how rows are read.
            generation: how many files of this name came before.
            ident: the fingerprint, where it is not the file's begin that decides it.
        """
        self.first: Cursor | None = None
        self._form = form
        self._generation = generation
        self._ident = ident
        self._suffix = f":{form.name}" if form.name else ""
        self._unit = "byte"
        self._fingerprint = ""
        self._offset = 0
        self._row = 0
        self._last: bytes | None = b""
        self._sought: Cursor | None = None
        self._rows: list[Row] = []
        self._taken = 0
        self._row_bytes = EVENT_BYTES

    @property
    def cursor(self) -> Cursor | None:
        """The place after the last row that was given; None before the first data line."""
        if not self._fingerprint:
            return None
        if self._sought is not None and self._sought.offset == self._offset:
            return self._sought
        return Cursor(self._fingerprint, self._offset, self._row, check_of(self._last), self._form.name)

    def seek(self, cursor: Cursor) -> None:
        """Goes on at ``cursor``: what comes next stands at its offset."""
        self._sought = cursor
        self._name_ids(cursor.fingerprint)
        self._offset = self._taken = cursor.offset
        self._row = cursor.row

    def _begin(self, head: bytes) -> None:
        """Learns the fingerprint."""
        self._name_ids(self._ident or fingerprint_of(head, self._form.name, self._generation))
        self.first = self.cursor

    def _name_ids(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        start = "\x1f".join(("event", self._form.source, f"{fingerprint}:"))
        self._digest = hashlib.sha1(NAMESPACE.bytes + start.encode(errors="surrogateescape"), usedforsecurity=False)

    def _event_id(self) -> str:
        """`qraft.model.event_id` of the source and ``fingerprint:offset``: what all rows share is digested once."""
        digest = self._digest.copy()
        digest.update(b"%d" % self._offset)
        h = digest.hexdigest()
        return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"

    def _take(self) -> Block:
        rows, length = self._rows, self._offset - self._taken
        self._rows, self._taken = [], self._offset
        return Block(rows, length // max(1, len(rows)) + self._row_bytes)

    def _event(self, payload: dict[str, Any], length: int, line: bytes | None) -> None:
        """One event of ``length`` bytes, which end in ``line``; None where that is not known."""
        form = self._form
        stamp = self._time(payload) if form.time else self._now()
        if form.file_field:
            payload[form.file_field] = form.called
        identity = self._event_id()
        offset = self._offset = self._offset + length
        row = self._row = self._row + 1
        self._last = line
        check = "" if line is None else f"{crc32(line if len(line) <= CHECKED_BYTES else line[-CHECKED_BYTES:]):x}"
        event = Event(
            event_id=identity,
            source=form.source,
            type="row",
            timestamp=stamp,
            payload=payload,
            meta={"version": META_VERSION, "cursor": f"{self._fingerprint}:{offset}:{row}:{check}{self._suffix}"},
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

    def _dead(self, kept: bytes, length: int, reason: str, line: bytes | None) -> None:
        """One dead letter of ``length`` bytes, which end in ``line``."""
        form, start = self._form, self._offset
        letter = DeadLetter(
            dead_id=derive_id("dead", form.source, f"{self._fingerprint}:{start}"),
            source=form.source,
            timestamp=self._now(),
            stage="ingest",
            reason=f"{form.file}, {self._unit} {start}: {reason}",
            original=kept,
        )
        self._offset, self._row, self._last = start + length, self._row + 1, line
        self._rows.append(letter)

    def _now(self) -> str:
        arrival = self._form.arrival
        return iso_from_us(arrival() if arrival is not None else self._row * 1_000_000)
