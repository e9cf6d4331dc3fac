"""Lines that are piped in: which format they have, and the rows in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

import msgspec

from qraft.ingest.base import Clock, SourceError
from qraft.ingest.records import KEPT_BYTES, RecordError, decode_text, lookup
from qraft.ingest.rows import Block, Row, RowFormat, RowParser
from qraft.model import DeadLetter, Event, derive_id, event_id, event_meta, iso_from_us

LineFormat = Literal["ndjson", "csv", "text"]
VALUE_FIELD: Final = "value"
"""The field of a line that is one number."""

_BOM: Final = b"\xef\xbb\xbf"
_SHOWN: Final = 60
_LONGEST_NUMBER: Final = 64


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How lines are read.

    Attributes:
        source: name of the source the events get.
        run: tells this run from every other; ids are made of it and of the row's number.
        arrival: tells the time of arrival.
        format: "auto" decides by the first line of each input.
        delimiter: character between the columns of CSV.
        time: field of event time; empty takes the time of arrival.
        id: field whose value makes an event's id; empty takes run and row number.
    """

    source: str
    run: str
    arrival: Clock
    format: Literal["auto", "ndjson", "csv", "text"] = "auto"
    delimiter: str = ","
    time: str = ""
    id: str = ""


class Lines:
    """Turns the bytes of several inputs, one after the other and fed in pieces of any size, into rows."""

    def __init__(self, settings: LineSettings) -> None:
        self._settings = settings
        self._file = ""
        self._parser: _Parser | None = None
        self._head = b""
        self._row = 0

    def begin(self, file: str) -> None:
        """What is fed from now on is another input's; ``file`` names it in messages."""
        self._file, self._parser, self._head = file, None, b""

    def feed(self, data: bytes) -> list[Row]:
        """The rows that ``data`` completes.

        Raises:
            SourceError: the input as a whole cannot be read so.
        """
        if self._parser is None:
            data = (self._head + data).removeprefix(_BOM).lstrip(b"\r\n \t")
            if b"\n" not in data and len(data) < KEPT_BYTES:
                self._head = data
                return []
            self._parser = self._parser_for(data)
        return self._rows(self._parser.feed(data))

    def finish(self) -> list[Row]:
        """The rows that the end of the input completes: a last line without line break."""
        if self._parser is None:
            if not self._head:
                return []
            head, self._head = self._head, b""
            self._parser = self._parser_for(head)
            return self._rows(self._parser.feed(head)) + self._rows(self._parser.finish())
        return self._rows(self._parser.finish())

    def cut_off(self, reason: str) -> list[Row]:
        """Gives up a line that has not come to its end; it becomes a dead letter."""
        if self._parser is None:
            return [self._numbered(_letter(self._settings, self._file, self._head, reason))] if self._head else []
        return self._rows(self._parser.cut_off(reason))

    def _parser_for(self, data: bytes) -> _Parser:
        form = self._settings.format
        kind = _format_of(data.split(b"\n", 1)[0], self._settings.delimiter, self._file) if form == "auto" else form
        if kind == "text":
            return _Numbers(self._settings, self._file)
        return RowParser(
            RowFormat(
                source=self._settings.source,
                file=self._file,
                kind=kind,
                delimiter=self._settings.delimiter,
                time=self._settings.time,
                arrival=self._settings.arrival,
            )
        )

    def _rows(self, block: Block) -> list[Row]:
        return [self._numbered(row) for row in block.rows]

    def _numbered(self, row: Row) -> Row:
        """A row with an id of this run's, since what is piped in has no position to be read from again."""
        settings = self._settings
        self._row += 1
        place = f"{settings.run}:{self._row}"
        if isinstance(row, DeadLetter):
            return msgspec.structs.replace(row, dead_id=derive_id("dead", settings.source, place))
        if settings.id:
            value = lookup(row.payload, settings.id)
            if value is None or isinstance(value, dict | list):
                raw, reason = msgspec.json.encode(row.payload), f'has no "{settings.id}" to take the id from'
                letter = _letter(settings, self._file, raw, reason)
                return msgspec.structs.replace(letter, dead_id=derive_id("dead", settings.source, place))
            place = f"id:{value}"
        return Event(
            event_id=event_id(settings.source, place),
            source=row.source,
            type=row.type,
            timestamp=row.timestamp,
            payload=row.payload,
            meta=event_meta(settings.time, settings.id),
        )


class _Parser(Protocol):
    def feed(self, data: bytes) -> Block: ...
    def finish(self) -> Block: ...
    def cut_off(self, reason: str) -> Block: ...


class _Numbers:
    """Lines of one number each."""

    def __init__(self, settings: LineSettings, file: str) -> None:
        self._settings = settings
        self._file = file
        self._rest = b""

    def feed(self, data: bytes) -> Block:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > KEPT_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return Block([row for line in lines if (row := self._row(line)) is not None], 0)

    def finish(self) -> Block:
        rest, self._rest = self._rest, b""
        row = self._row(rest)
        return Block([row] if row is not None else [], 0)

    def cut_off(self, reason: str) -> Block:
        rest, self._rest = self._rest.strip(), b""
        return Block([_letter(self._settings, self._file, rest, reason)] if rest else [], 0)

    def _row(self, line: bytes) -> Row | None:
        try:
            text = decode_text(line).strip()
            if not text:
                return None
            if not _is_number(text):
                raise RecordError("not a number")
        except RecordError as error:
            return _letter(self._settings, self._file, line, str(error))
        stamp = iso_from_us(self._settings.arrival())
        return Event(event_id="", source=self._settings.source, type="row", timestamp=stamp, payload={VALUE_FIELD: text})


def _letter(settings: LineSettings, file: str, raw: bytes, reason: str) -> DeadLetter:
    """A dead letter that has no id yet."""
    return DeadLetter(
        dead_id="",
        source=settings.source,
        timestamp=iso_from_us(settings.arrival()),
        stage="ingest",
        reason=f"{file}: {reason}",
        original=raw[:KEPT_BYTES],
    )


def _format_of(line: bytes, delimiter: str, file: str) -> LineFormat:
    """The format that a first line says: an object, one number, or the names of columns."""
    text = line.decode(errors="replace").strip()
    if text.startswith("{"):
        return "ndjson"
    if _is_number(text):
        return "text"
    if all(map(_is_number, text.split(delimiter))):
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
        raise SourceError(f'{file}: the first line, "{shown}", holds no column names; put a line with names before it')
    if text.startswith("["):
        raise SourceError(f"{file}: begins with [; one JSON object a line is read, as `jq -c '.[]'` makes them of an array")
    return "csv"


def _is_number(text: str) -> bool:
    if len(text) > _LONGEST_NUMBER:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
