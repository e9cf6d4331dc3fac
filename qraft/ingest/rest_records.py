"""Records of a REST source as events: their identity, their time, their order, and where asking goes on after a restart."""

from __future__ import annotations

import hashlib
import math
from itertools import zip_longest
from typing import Any, Final, Literal, NamedTuple

import msgspec

from qraft.config.sources import RestSource
from qraft.ingest.records import KEPT_BYTES, MAX_RECORD_BYTES, RecordError, event_time
from qraft.ingest.rest_formats import ABSENT, at
from qraft.model import DeadLetter, Event, derive_id, event_id, event_meta, iso_from_us, us_from_iso

REMEMBERED: Final = 10_000
"""Ids remembered, at least; a poll with more records than half of it doubles what it brought."""

_encode = msgspec.json.Encoder(order="deterministic").encode

Order = tuple[int, Any]
"""Sorts numbers before times before text, each by its value."""


End = Literal["whole", "cut", "failed"]
"""How a poll ended: with its last page, at max_pages, or with an answer that could not be had or read."""


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where asking goes on: the highest value of ``since``, or what makes a request conditional on ``of`` having changed."""

    since: str | int | float | None = None
    etag: str = ""
    modified: str = ""
    of: str = ""

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode() if self != Position() else ""

    @classmethod
    def parse(cls, text: str | None) -> Position:
        """The position that ``str`` wrote; the beginning where ``text`` is not one."""
        try:
            return msgspec.json.decode(text or "{}", type=cls)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return cls()


class Found(NamedTuple):
    """A record, and the whole answer it came in (None where that is no JSON)."""

    record: dict[str, Any]
    document: Any


class Taken(NamedTuple):
    """What a poll gives; ``skipped`` says that records older than the ones read were passed over."""

    events: list[Event]
    letters: list[DeadLetter]
    skipped: bool


class _Read(NamedTuple):
    """A record that can be used."""

    event: Event
    order: Order
    since: Any


class Known:
    """The ids met lately, the latest last: as many as one poll brings, twice, and `REMEMBERED` at least."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def add(self, key: str) -> bool:
        """Whether an id is met for the first time; it is the latest now."""
        new = key not in self._ids
        self._ids.pop(key, None)
        self._ids[key] = None
        return new

    def trim(self, room: int) -> None:
        """Forgets the oldest beyond ``room``."""
        while len(self._ids) > max(REMEMBERED, room):
            del self._ids[next(iter(self._ids))]


class Recorder:
    """Makes events of the records of one source, poll by poll.

    Who a record is: what stands at ``id``; without that, where the record has a time of its own or ``since`` is used, the
    whole of it; it is then taken once, and has the same event id after a restart. A record with neither is a reading of the
    moment it came: the same answer again is a new event.

    Attributes:
        position: where asking goes on.
    """

    def __init__(self, name: str, settings: RestSource, position: Position) -> None:
        self._name = name
        self._settings = settings
        self._known = Known()
        self._identified = bool(settings.id or settings.time or settings.since)
        self.position = position

    def asks_from(self) -> str | int | float | None:
        """The value of ``since`` to send; None before the first record, unless the settings name a start."""
        form = self._settings.since
        if form is None:
            return None
        value = self.position.since
        if value is None:
            return form.start or None
        if form.send == "as_is":
            return value
        try:
            moment = event_time(value)
        except RecordError:  # noted before the settings asked for times
            return form.start or None
        if form.send == "iso":
            return moment
        return us_from_iso(moment) // (1_000_000 if form.send == "seconds" else 1_000)

    def take(self, found: list[Found], arrival_us: int, end: End, after: Position) -> Taken:
        """The events and dead letters of one poll; `position` moves on behind them.

        With ``since`` they are ordered by that, else by their time. An event's cursor never passes a record that comes after
        it, nor one of the same value: nothing is missed, whether the server gives values from the one sent on or above it.

        Args:
            found: what the poll brought, in the server's order.
            arrival_us: when (UTC microseconds since 1970).
            end: how it ended. After a failure `position` passes only records in rising order: what is missing comes after.
            after: what makes the next request conditional.
        """
        read: list[_Read] = []
        letters: list[DeadLetter] = []
        for number, (record, document) in enumerate(found):
            place = f"{arrival_us}:{number}"
            try:
                read.append(self._read(record, document, place, arrival_us))
            except RecordError as error:
                letters += self._letter(record, str(error), place, arrival_us)
        orders = [one.order for one in read]
        rising = orders == sorted(orders) and orders[:1] != orders[-1:]
        if self._settings.since is not None or self._settings.time:
            read.sort(key=lambda one: one.order)
        cursors = [self.position] * len(read)
        if self._settings.since is not None and (rising or end != "failed"):
            cursors = self._cursors(read, closed=end == "whole" or not rising)
        events = [_placed(one.event, at) for one, at in zip(read, cursors, strict=True) if self._is_new(one.event.event_id)]
        self.position = msgspec.structs.replace(after, since=(cursors or [self.position])[-1].since)
        if events:
            events[-1] = _placed(events[-1], self.position)
        self._known.trim(2 * len(found))
        return Taken(events, letters, skipped=end == "cut" and self._settings.since is not None and not rising)

    def _cursors(self, read: list[_Read], *, closed: bool) -> list[Position]:
        """The position after each record: its own value if it is the last of that value, else that of the one before.

        ``closed`` says whether the last record is the last of its value.
        """
        out: list[Position] = []
        position = Position(since=self.position.since)
        for one, following in zip_longest(read, read[1:]):
            if closed if following is None else following.order > one.order:
                highest = position.since is None or one.order > _order(position.since)
                position = Position(since=one.since) if highest else position
            out.append(position)
        return out

    def _read(self, record: dict[str, Any], document: Any, place: str, arrival_us: int) -> _Read:
        settings = self._settings
        raw = _encode(record)
        if len(raw) > MAX_RECORD_BYTES:
            raise RecordError(f"a record longer than {MAX_RECORD_BYTES} bytes; the first {KEPT_BYTES} are kept")
        timestamp = self._time(record, document) if settings.time else iso_from_us(arrival_us)
        since: Any = None
        order: Order = (1, timestamp) if settings.time else (0, 0)
        if settings.since is not None:
            since = at(record, settings.since.path)
            if since is ABSENT or not isinstance(since, str | int | float) or isinstance(since, bool):
                raise RecordError(f'has no "{settings.since.path}" to ask on from')
            if settings.since.send != "as_is":
                event_time(since)
            order = _order(since)
        key = place
        if settings.id:
            values = [at(record, path) for path in settings.id]
            missing = [path for path, value in zip(settings.id, values, strict=True) if value is ABSENT or value is None]
            if missing:
                raise RecordError(f'has no "{missing[0]}" to tell it by')
            key = "id:" + _encode(values).decode()
        elif self._identified:
            key = f"{hashlib.sha256(raw).hexdigest()[:32]}:{timestamp if settings.time else ''}"
        event = Event(
            event_id=event_id(self._name, key),
            source=self._name,
            type="record",
            timestamp=timestamp,
            payload=record,
            meta=event_meta(*settings.id) if len(settings.id) == 1 else event_meta(),  # several may hold measurements
        )
        return _Read(event, order, since)

    def _time(self, record: dict[str, Any], document: Any) -> str:
        """Event time stands in the record or, as some servers have it, in the answer around it."""
        path = self._settings.time
        value = at(record, path)
        if value is ABSENT or value is None:
            value = at(document, path)
        if value is ABSENT or value is None:
            raise RecordError(f'has no "{path}" to take the time from')
        return event_time(value)

    def _letter(self, record: dict[str, Any], reason: str, place: str, arrival_us: int) -> list[DeadLetter]:
        """A record that cannot be used; the same one is told of once, unless each poll is a reading of its own."""
        raw = _encode(record)
        key = derive_id("dead", self._name, hashlib.sha256(raw).hexdigest() if self._identified else place)
        if not self._is_new(key):
            return []
        original = raw if len(raw) <= MAX_RECORD_BYTES else raw[:KEPT_BYTES]
        stamp = iso_from_us(arrival_us)
        return [
            DeadLetter(dead_id=key, source=self._name, timestamp=stamp, stage="ingest", reason=reason, original=original)
        ]

    def _is_new(self, key: str) -> bool:
        return not self._identified or self._known.add(key)


def _placed(event: Event, cursor: Position) -> Event:
    text = str(cursor)
    return msgspec.structs.replace(event, meta={**event.meta, "cursor": text}) if text else event


def _order(value: Any) -> Order:
    """How values of ``since`` are compared: as numbers, else as times, else as text."""
    if isinstance(value, int | float):
        return (0, value)
    for convert in (int, float):
        try:
            number = convert(value)
        except ValueError:
            continue
        return (0, number) if math.isfinite(number) else (2, value)
    try:
        return (1, event_time(value))
    except RecordError:
        return (2, value)
