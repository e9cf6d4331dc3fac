"""What is sent to be ingested: events of the wire contract or bare payloads, in JSON or NDJSON. Bytes in, values out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec

from qraft.api.views_ingest import Rejected
from qraft.ingest.records import MAX_RECORD_BYTES, RecordError, decode_json, event_time, lookup
from qraft.model import Event, encode, event_id, event_meta, iso_from_us

Form = Literal["json", "ndjson"]

FORMS: Final[dict[str, Form]] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
}
"""The content types that are taken."""
MOST_EVENTS: Final = 50_000
"""Events that one request may hold."""
SHOWN: Final = 100
"""Rejections that are told one by one."""

_BOM: Final = b"\xef\xbb\xbf"
_OWN: Final = "qraft."
_CURSOR: Final = "cursor"


class NotRecords(ValueError):
    """The body as a whole is not what its content type says; the text says why."""


class _Sent(msgspec.Struct, frozen=True):
    """An event as it may be sent: all but the payload may be absent."""

    payload: dict[str, Any]
    event_id: Annotated[str, msgspec.Meta(max_length=200)] = ""
    source: str = ""
    type: Annotated[str, msgspec.Meta(max_length=100)] = ""
    timestamp: str | int | float | None = None
    meta: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """How records become events.

    Attributes:
        source: the source they get.
        key: tells this request from every other; ids are made of it and of the line.
        arrival_us: when it came, UTC microseconds: event time of the last of those that have none, and a microsecond less
            for each line before it, so that they keep their order.
        time: field of the payload with event time; empty for none.
        id: field of the payload whose value makes the id; empty for none.
    """

    source: str
    key: str
    arrival_us: int
    time: str = ""
    id: str = ""


@dataclass(slots=True)
class Records:
    """The events of a body, in its order, and what of it cannot be used."""

    events: list[Event] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    rejected_total: int = 0

    def reject(self, line: int, reason: str) -> None:
        """Notes a record that cannot be used."""
        self.rejected_total += 1
        if self.rejected_total <= SHOWN:
            self.rejected.append(Rejected(line=line, reason=reason))


def read_records(body: bytes, form: Form, settings: RecordSettings) -> Records:
    """The events of a body.

    Raises:
        NotRecords: it is not JSON, no object or array, or holds too many events.
    """
    found = Records()
    records = _lines(body) if form == "ndjson" else _values(body)
    last = records[-1][0] if records else 0
    for line, record in records:
        try:
            found.events.append(_event(record, line, settings, settings.arrival_us - (last - line)))
        except RecordError as error:
            found.reject(line, str(error))
    return found


def _lines(body: bytes) -> list[tuple[int, Any]]:
    lines = body.removeprefix(_BOM).split(b"\n")
    return _bounded([(number, line) for number, line in enumerate(lines, 1) if line.strip()])


def _values(body: bytes) -> list[tuple[int, Any]]:
    try:
        value = decode_json(body.removeprefix(_BOM))
    except RecordError as error:
        raise NotRecords(str(error)) from None
    if not isinstance(value, dict | list):
        raise NotRecords("expected an object or an array of objects")
    return _bounded(list(enumerate(value if isinstance(value, list) else [value], 1)))


def _bounded(records: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    if len(records) > MOST_EVENTS:
        raise NotRecords(f"holds more than {MOST_EVENTS} events; send it in parts")
    return records


def _event(record: Any, line: int, settings: RecordSettings, arrival_us: int) -> Event:
    """An event of a record: a line of NDJSON as bytes, or a value of JSON."""
    if isinstance(record, bytes):
        _check_size(len(record))
        record = decode_json(record)
    if not isinstance(record, dict):
        raise RecordError("not a JSON object")
    sent = _whole(record, settings.source) if "payload" in record else _Sent(record)
    event = Event(
        event_id=sent.event_id or event_id(settings.source, _place(sent.payload, line, settings)),
        source=settings.source,
        type=sent.type or "event",
        timestamp=_time(sent, settings.time, arrival_us),
        payload=sent.payload,
        meta=event_meta(settings.time, settings.id) | {k: v for k, v in (sent.meta or {}).items() if k != _CURSOR},
    )
    try:
        _check_size(len(encode(event)))
    except (ValueError, OverflowError, RecursionError) as error:
        raise RecordError(str(error)) from None
    return event


def _whole(record: dict[str, Any], source: str) -> _Sent:
    try:
        sent = msgspec.convert(record, _Sent)
    except msgspec.ValidationError as error:
        raise RecordError(f"no event: {error}") from None
    if sent.source not in ("", source):
        raise RecordError(f'its source is "{_shown(sent.source)}", that of the request "{source}"')
    if sent.type.startswith(_OWN):
        raise RecordError(f'its type is "{sent.type}", and types that begin with {_OWN} are Qraft\'s own')
    if not sent.event_id.isprintable():
        raise RecordError("its event_id holds what cannot be printed")
    return sent


def _place(payload: dict[str, Any], line: int, settings: RecordSettings) -> str:
    """What the id is made of."""
    if not settings.id:
        return f"{settings.key}:{line}"
    value = lookup(payload, settings.id)
    if value is None or isinstance(value, dict | list):
        raise RecordError(f'has no "{settings.id}" to take the id from')
    return f"id:{value}"


def _time(sent: _Sent, field_of_time: str, arrival_us: int) -> str:
    if sent.timestamp is not None:
        return event_time(sent.timestamp)
    if not field_of_time:
        return iso_from_us(arrival_us)
    value = lookup(sent.payload, field_of_time)
    if value is None:
        raise RecordError(f'has no "{field_of_time}" to take the time from')
    return event_time(value)


def _check_size(size: int) -> None:
    if size > MAX_RECORD_BYTES:
        raise RecordError(f"longer than {MAX_RECORD_BYTES} bytes")


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
