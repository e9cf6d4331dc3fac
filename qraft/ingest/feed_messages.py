"""Messages of a feed, as bytes, taken apart into events and dead letters."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from qraft.config.sources import WebSocketSource
from qraft.config.sources.routes import Route, SequenceRule
from qraft.ingest.base import Clock, Sink
from qraft.ingest.feed_gaps import Gaps, Quiet
from qraft.ingest.feed_routes import Captures, Found, Getter, Matcher, Plan, getter, text_of
from qraft.ingest.records import (
    KEPT_BYTES,
    MAX_RECORD_BYTES,
    MISSING,
    RecordError,
    decode_json,
    decode_text,
    event_time,
    lookup,
)
from qraft.model import DeadLetter, Event, derive_id, event_id, iso_from_us

_GZIP: Final = b"\x1f\x8b"
_ZLIB: Final = 0x78
_SHOWN: Final = 300

Items = list[Event | DeadLetter]


class Messages:
    """Makes events of the messages of one connection.

    An event's id comes from what its route calls its identity, else from the start of the connection and a running number,
    since a message has no id of its own that every server would give.

    Attributes:
        ignored: messages that were no data, and ``sample``, the last of them, for the one who wonders why nothing comes.
    """

    def __init__(
        self, name: str, settings: WebSocketSource, sink: Sink, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._name, self._settings, self._clock = name, settings, clock
        self._started, self._number = clock(), 0
        self._quiet = Quiet(sink.notice, monotonic)
        # Without routes a message that is not as expected is a dead letter; with routes it may be one of another kind.
        whole = Route(record=settings.record or None)
        routes = settings.routes or [whole]
        self._matcher = Matcher([route.match for route in routes])
        self._plans = [Plan.of(route, name, settings.time) for route in routes]
        self._whole = Plan.of(whole, name, settings.time)
        self._errors = Matcher(settings.errors)
        self._sequence = _Sequence.of(_of_messages(settings.sequence), sink, self._quiet, monotonic)
        self._sequences = [_Sequence.of(route.sequence, sink, self._quiet, monotonic) for route in routes]
        self._pong = settings.ping.answer.encode() if settings.ping is not None and settings.ping.answer else None
        self.ignored = 0
        self.sample = b""

    def items(self, raw: bytes) -> Items:
        """One message as events, and what of it cannot be used as dead letters; empty where it is no data."""
        if raw == self._pong:
            return []
        try:
            raw = self._unpacked(raw)
            message = decode_json(raw)
        except RecordError as error:
            return [self._dead(self._name, str(error), raw)]
        if self._sequence is not None:
            self._sequence.take(Found(message, message, message, {}))
        matched = self._matcher.of(message)
        if not matched:
            return self._unmatched(message, raw)
        return self._matched(message, raw, matched)

    def flush(self, *, all_of_it: bool = False) -> None:
        """Tells of the gaps and complaints that are due; with ``all_of_it``, as at the end, of all."""
        for sequence in (self._sequence, *self._sequences):
            if sequence is not None:
                sequence.gaps.flush(all_of_it=all_of_it)
        self._quiet.flush(all_of_it=all_of_it)

    def too_long(self, reason: str) -> DeadLetter:
        """The dead letter of a message that was not read."""
        return self._dead(self._name, reason, b"")

    def _unpacked(self, raw: bytes) -> bytes:
        """Binary frames may be packed: gzip and zlib are known by their first bytes, with which no JSON begins."""
        if not (raw[:2] == _GZIP or (raw[:1] == b"\x78" and len(raw) > 2 and (_ZLIB << 8 | raw[1]) % 31 == 0)):
            return raw
        limit = self._settings.max_message_bytes
        inflate = zlib.decompressobj(wbits=47)
        try:
            out = inflate.decompress(raw, limit)
        except zlib.error as error:
            raise RecordError(f"packed, but cannot be unpacked: {error}") from None
        if inflate.unconsumed_tail:
            raise RecordError(f"longer than {limit} bytes when unpacked; raise max_message_bytes to take it")
        return out

    def _matched(self, message: Any, raw: bytes, matched: list[tuple[int, Captures]]) -> Items:
        items: Items = []
        placed = False
        for number, captures in matched:
            plan, sequence = self._plans[number], self._sequences[number]
            found = plan.records(message, captures)
            if sequence is not None and sequence.whole:
                sequence.take(Found(message, message, message, captures))
            if found is None:
                continue
            placed = True
            objects = [one for one in found if isinstance(one.value, dict)]
            alone = raw if len(found) == 1 and len(matched) == 1 else None
            if len(objects) < len(found):
                reason = (
                    "not a JSON object"
                    if alone
                    else f"{len(found) - len(objects)} of {len(found)} elements are no JSON objects"
                )
                items.append(self._dead(plan.source, reason, raw))
            for one in objects:
                if sequence is not None and not sequence.whole:
                    sequence.take(one)
                if (item := self._item(plan, one, alone)) is not None:
                    items.append(item)
        if not placed:
            paths = " or ".join(dict.fromkeys(f'"{self._plans[number].path}"' for number, _ in matched))
            items.append(self._dead(self._plans[matched[0][0]].source, f"has no {paths}", raw))
        return items

    def _unmatched(self, message: Any, raw: bytes) -> Items:
        if self._errors.of(message):
            self._quiet("refused", f"the server says: {decode_text(raw)[:_SHOWN]}")
        self.ignored += 1
        self.sample = raw[:_SHOWN]
        if self._settings.unmatched == "keep":
            item = self._item(self._whole, Found(message, message, message, {}), raw)
            return [item] if item is not None else []
        if self._settings.unmatched == "dead":
            return [self._dead(self._name, "no route matches", raw)]
        return []

    def _item(self, plan: Plan, found: Found, raw: bytes | None) -> Event | DeadLetter | None:
        """One record, None where there is nothing in it; ``raw`` is the message where it holds this record alone."""
        record = found.value
        try:
            if not isinstance(record, dict):
                raise RecordError("not a JSON object")
            if raw is None or len(raw) > MAX_RECORD_BYTES:
                _check_size(record)
            payload = plan.payload(found)
            if payload is None:
                return None
            if not plan.time:
                stamp = iso_from_us(self._clock())
            else:
                value = next(
                    (value for get in plan.time if (value := get(found)) is not MISSING and value is not None), None
                )
                if value is None:
                    raise RecordError(f'has no "{plan.time_path}" to take the time from')
                stamp = event_time(value)
                if plan.time_in_payload and lookup(payload, plan.time_in_payload) is None:
                    payload = payload | {plan.time_in_payload: value}
        except RecordError as error:
            return self._dead(plan.source, str(error), raw if raw is not None else msgspec.json.encode(record))
        return Event(
            event_id=event_id(plan.source, self._position(plan.id, found)),
            source=plan.source,
            type="message",
            timestamp=stamp,
            payload=payload,
        )

    def _position(self, identity: tuple[Getter, ...], found: Found) -> str:
        """What tells an event from the others of its source."""
        self._number += 1
        values = [text_of(get(found)) for get in identity]
        if not values or None in values:
            return f"{self._started}:{self._number}"
        return "\x1e".join(value for value in values if value is not None)

    def _dead(self, source: str, reason: str, raw: bytes) -> DeadLetter:
        self._number += 1
        return DeadLetter(
            dead_id=derive_id("dead", source, f"{self._started}:{self._number}"),
            source=source,
            timestamp=iso_from_us(self._clock()),
            stage="ingest",
            reason=f"message: {reason}",
            original=raw if len(raw) <= MAX_RECORD_BYTES else raw[:KEPT_BYTES],
        )


def _check_size(record: dict[str, Any]) -> None:
    if len(msgspec.json.encode(record)) > MAX_RECORD_BYTES:
        raise RecordError(f"longer than {MAX_RECORD_BYTES} bytes; the first {KEPT_BYTES} are kept")


class _Sequence:
    """A rule made ready.

    Attributes:
        whole: whether it numbers messages, not their records.
    """

    def __init__(self, rule: SequenceRule, gaps: Gaps) -> None:
        self.gaps = gaps
        paths = [path for path in (rule.path, rule.first, rule.previous, rule.per) if path is not None]
        self.whole = all(path[:1] in "$*=" for path in paths)
        self._last, self._per = getter(rule.path), getter(rule.per) if rule.per is not None else None
        self._first = getter(rule.first) if rule.first is not None else None
        self._previous = getter(rule.previous) if rule.previous is not None else None

    @classmethod
    def of(cls, rule: SequenceRule | None, sink: Sink, quiet: Quiet, monotonic: Callable[[], float]) -> _Sequence | None:
        """The rule made ready, if there is one."""
        return None if rule is None else cls(rule, Gaps(sink, quiet, monotonic, ranges=rule.first is not None))

    def take(self, found: Found) -> None:
        """Takes note of a record or, where it numbers these, of a message; one without the number is passed over."""
        if not self.whole and not isinstance(found.value, dict):
            return
        last = _integer(self._last(found))
        if last is None:
            return
        key = "" if self._per is None else text_of(self._per(found)) or ""
        if self._previous is not None:
            previous = _integer(self._previous(found))
            if previous is not None:
                self.gaps.take_linked(key, previous, last)
            return
        first = last if self._first is None else _integer(self._first(found))
        self.gaps.take(key, last if first is None else first, last)


def _of_messages(rule: SequenceRule | None) -> SequenceRule | None:
    """A rule whose paths start at the message, with the marker that says so."""
    if rule is None:
        return None
    paths = {name: path for name in ("path", "first", "previous", "per") if (path := getattr(rule, name)) is not None}
    return rule.model_copy(update={name: path if path[:1] in "$*=" else f"$.{path}" for name, path in paths.items()})


def _integer(value: Any) -> int | None:
    """A whole number, which may stand in text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(value) if isinstance(value, str) else None
    except ValueError:
        return None
