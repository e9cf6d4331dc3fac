"""Takes NATS messages apart into events: JSON objects, NDJSON, arrays, plain values, events of Qraft itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from qraft.config.sources import NatsSource
from qraft.ingest.base import Clock
from qraft.ingest.records import KEPT_BYTES, MAX_RECORD_BYTES, RecordError, decode_json, decode_text, event_time, lookup
from qraft.model import META_VERSION, DeadLetter, Event, derive_id, event_id, iso_from_us

VALUE_FIELD: Final = "value"
"""The field of a message that is a plain number or text."""
RELAYED: Final = "relayed"
"""Key in ``meta`` of an event that came as a Qraft event over NATS; such a one is not taken again, so that none circles."""

_EVENT_KEYS: Final = frozenset({"event_id", "source", "timestamp", "payload"})
_lines = msgspec.json.Decoder().decode_lines


class Position(NamedTuple):
    """A place in a stream: the next message read is ``sequence``, of which ``taken`` records were taken already."""

    stream: str
    sequence: int
    taken: int

    @classmethod
    def parse(cls, cursor: str | None) -> Position | None:
        """The position that an event's cursor says, or None where it says none."""
        parts = (cursor or "").split(":")
        if len(parts) != 3 or not parts[1].isdecimal() or not parts[2].isdecimal():
            return None
        return cls(parts[0], int(parts[1]), int(parts[2]))


class Message(NamedTuple):
    """One message.

    Attributes:
        place: unique among the source's messages, the same whenever this one is read again.
        cursor: its position where the source has positions; an event's cursor is this and how many records were taken.
    """

    subject: str
    data: bytes
    headers: Mapping[str, str]
    place: str
    arrived_us: int
    cursor: str = ""


Item = Event | DeadLetter


class MessageReader:
    """Makes events and dead letters of the messages of one source.

    A Qraft event gives its payload, its type, its time (unless `time` names a field) and its id, from which the id here is
    derived. Other ids come from the message's place and the number of the record in it.
    """

    def __init__(self, name: str, settings: NatsSource, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock

    def items(self, message: Message) -> list[Item]:
        """What one message holds, in order; nothing of an empty one."""
        found: list[Item] = []
        for number, value in enumerate(self._values(message.data)):
            try:
                if isinstance(value, _Broken):
                    raise RecordError(value.reason)
                found.append(self._event(value, message, number))
            except RecordError as error:
                raw = value.raw if isinstance(value, _Broken) else _encoded(value)
                found.append(self._dead(raw, str(error), message, number))
        return found

    def _values(self, data: bytes) -> Iterator[Any]:
        """The records of a message; `_Broken` stands for what is none."""
        data = data.strip()
        if not data:
            return
        if self._settings.format == "value":
            yield from map(_value, data.splitlines())
            return
        if b"\n" not in data:
            yield from self._records(data)
            return
        try:
            values = _lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            try:
                yield from self._found(decode_json(data), data)
            except RecordError:
                for line in data.splitlines():
                    if line.strip():
                        yield from self._records(line)
            return
        for value in values:
            yield from self._found(value, None)

    def _records(self, data: bytes) -> Iterator[Any]:
        try:
            value = decode_json(data)
        except RecordError as error:
            yield _Broken(data, str(error))
        else:
            yield from self._found(value, data)

    def _found(self, value: Any, raw: bytes | None) -> Iterator[Any]:
        """The records within one JSON value."""
        for whole in value if isinstance(value, list) else (value,):
            if not isinstance(whole, dict):
                hint = '; format = "value" takes plain numbers and texts' if isinstance(whole, int | float | str) else ""
                yield _Broken(raw or _encoded(whole), f"not a JSON object{hint}")
            elif _is_event(whole):
                if not (isinstance(whole.get("meta"), dict) and RELAYED in whole["meta"]):
                    yield whole
            elif not self._settings.record:
                yield whole
            else:
                yield from self._at_path(whole)

    def _at_path(self, whole: dict[str, Any]) -> Iterator[Any]:
        path, time = self._settings.record, self._settings.time
        found = lookup(whole, path)
        if found is None:
            yield _Broken(_encoded(whole), f'has no "{path}"')
            return
        around = lookup(whole, time) if time else None
        for record in found if isinstance(found, list) else (found,):
            if not isinstance(record, dict):
                yield _Broken(_encoded(record), f'"{path}" is not a JSON object')
            elif around is not None and lookup(record, time) is None:
                yield record | {time: around}  # event time often stands in the message around the record
            else:
                yield record

    def _event(self, record: dict[str, Any], message: Message, number: int) -> Event:
        if len(message.data) > MAX_RECORD_BYTES and len(_encoded(record)) > MAX_RECORD_BYTES:
            raise RecordError(f"longer than {MAX_RECORD_BYTES} bytes; the first {KEPT_BYTES} are kept")
        place, kind, stamp = f"{message.place}:{number}", "message", None
        meta: dict[str, Any] = {"version": META_VERSION}
        if message.cursor:
            meta["cursor"] = f"{message.cursor}:{number + 1}"
        if _is_event(record):
            place = f"event:{record['event_id']}"
            kind, stamp = str(record.get("type") or kind), record["timestamp"]
            meta[RELAYED] = record["source"]
            record = record["payload"]
        payload = record | self._of_subject(message.subject) if self._settings.subject_fields else record
        return Event(
            event_id=event_id(self._name, place),
            source=self._name,
            type=kind,
            timestamp=self._time(payload, stamp, message),
            payload=payload,
            meta=meta,
        )

    def _of_subject(self, subject: str) -> dict[str, Any]:
        tokens = subject.split(".")
        wanted = self._settings.subject_fields
        return {field: tokens[n - 1] if n else subject for field, n in wanted.items() if n <= len(tokens)}

    def _time(self, payload: dict[str, Any], stamp: Any, message: Message) -> str:
        path, header = self._settings.time, self._settings.time_header
        if path:
            value = lookup(payload, path)
            if value is None:
                raise RecordError(f'has no "{path}" to take the time from')
            return event_time(value)
        if stamp is not None:
            return event_time(stamp)
        if header and header in message.headers:
            return event_time(message.headers[header])
        return iso_from_us(message.arrived_us)

    def _dead(self, raw: bytes, reason: str, message: Message, number: int) -> DeadLetter:
        return DeadLetter(
            dead_id=derive_id("dead", self._name, f"{message.place}:{number}"),
            source=self._name,
            timestamp=iso_from_us(self._clock()),
            stage="ingest",
            reason=f"message on {message.subject}: {reason}",
            original=raw if len(raw) <= MAX_RECORD_BYTES else raw[:KEPT_BYTES],
        )


class _Broken(NamedTuple):
    """A part of a message that is no record."""

    raw: bytes
    reason: str


def _is_event(value: dict[str, Any]) -> bool:
    """Whether an object is an event in Qraft's own form."""
    return value.keys() >= _EVENT_KEYS and isinstance(value["payload"], dict) and isinstance(value["event_id"], str)


def _value(line: bytes) -> dict[str, str] | _Broken:
    try:
        text = decode_text(line).strip()
    except RecordError as error:
        return _Broken(line, str(error))
    return {VALUE_FIELD: text} if text else _Broken(line, "an empty line")


def _encoded(value: Any) -> bytes:
    return value if isinstance(value, bytes) else msgspec.json.encode(value)
