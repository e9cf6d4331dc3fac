"""One source's events made into rows: repeats and late ones set aside, unusable ones explained."""

from __future__ import annotations

import hashlib
from array import array
from collections import deque
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from qraft.config.sources import SourceSettings
from qraft.model import UNMEASURED, CleanEvent, DeadLetter, Event, derive_id, encode, iso_from_us
from qraft.preprocess.fields import LARGEST, FieldFilter, lookup, numeric_fields
from qraft.preprocess.times import EARLIEST_US, parse_time

REMEMBERED_IDS: Final = 16_384
"""How many of a source's most recent event ids are known, to find repeats."""

ROW_NUMBER: Final = "row"
"""As ``time``, where no such field exists: whoever read the row has put its number into the timestamp."""

_MAX_ENTITY_LENGTH: Final = 256


class Rejected(Enum):
    """Why an event is not judged although nothing is wrong with it."""

    LATE = "late"
    DUPLICATE = "duplicate"
    FILTERED = "filtered"


class Admitted(NamedTuple):
    """What the universal step says of an event that goes on: times in UTC microseconds."""

    time_us: int
    entity: str
    watermark: int


class Cleaner:
    """Takes one source's events in order.

    The watermark is the second largest time seen, so that one event from the future does not make all that follow late.
    Repeats are found by a 64-bit digest of their id.

    Attributes:
        dropped: numeric fields dropped since the start because they were not finite or out of range.
        origins: of which field of the source each feature is; without steps there are none.
        evicted, shortened: what features had to forget; without steps there is nothing.
    """

    origins: Final[Mapping[str, str]] = MappingProxyType({})
    evicted: Final = 0
    shortened: Final = 0

    def __init__(self, source: str, settings: SourceSettings) -> None:
        self._source = source
        self.dropped = 0
        self._largest = EARLIEST_US
        self._watermark = EARLIEST_US
        self._recent: deque[int] = deque()
        self._known: set[int] = set()
        self.configure(settings)

    def configure(self, settings: SourceSettings) -> None:
        """Takes new settings; what was seen stays known."""
        self._time = settings.time
        self._entity = settings.entity
        self._lateness = round(settings.allowed_lateness_seconds * 1_000_000)
        self._fields = list(settings.fields)
        self._watched = FieldFilter(settings.fields, settings.exclude, (settings.time, settings.entity))

    def take(self, event: Event) -> CleanEvent | DeadLetter | Rejected:
        """The event as a row, or why there is none."""
        time_us = self._opened(event)
        if not isinstance(time_us, int):
            return time_us
        payload = event.payload
        fields, dropped = numeric_fields(payload, self._watched)
        if not self._fields and isinstance(unmeasured := event.meta.get(UNMEASURED), list):
            for name in unmeasured:
                if isinstance(name, str):
                    fields.pop(name, None)
        self.dropped += dropped
        if not fields and not dropped and not self.gap(payload):
            return self.dead(event, self.no_numbers())
        if not self._timely(time_us):
            return Rejected.LATE
        return CleanEvent(
            event_id=event.event_id, source=self._source, entity=self._named(payload), time_us=time_us, fields=fields
        )

    def admit(self, event: Event) -> Admitted | DeadLetter | Rejected:
        """Time and entity of an event whose fields others look at, or why it does not go on."""
        time_us = self._opened(event)
        if not isinstance(time_us, int):
            return time_us
        if not self._timely(time_us):
            return Rejected.LATE
        return Admitted(time_us, self._named(event.payload), self._watermark)

    def state(self) -> dict[str, Any]:
        """What was seen, as plain values; the settings are no part of it."""
        return {
            "dropped": self.dropped,
            "largest": self._largest,
            "watermark": self._watermark,
            "recent": array("Q", self._recent).tobytes(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes up what `state` gave."""
        self.dropped = state["dropped"]
        self._largest = state["largest"]
        self._watermark = state["watermark"]
        recent = array("Q")
        recent.frombytes(state["recent"])
        self._recent = deque(recent)
        self._known = set(recent)

    def forget_time(self) -> None:
        """Lets the watermark start again, as when another field holds the time."""
        self._largest = self._watermark = EARLIEST_US

    def _opened(self, event: Event) -> int | DeadLetter | Rejected:
        """The event's time, where it is neither a repeat nor unreadable."""
        if self._repeated(event.event_id):
            return Rejected.DUPLICATE
        payload: object = event.payload
        if not isinstance(payload, dict):
            return self.dead(event, f"the payload is {type(payload).__name__}, not an object")
        try:
            return self._read_time(event.timestamp, payload)
        except ValueError as error:
            return self.dead(event, str(error))

    def _timely(self, time_us: int) -> bool:
        if time_us < self._watermark - self._lateness:
            return False
        if time_us > self._watermark:
            self._watermark, self._largest = min(time_us, self._largest), max(time_us, self._largest)
        return True

    def _named(self, payload: dict[str, Any]) -> str:
        return _entity_name(lookup(payload, self._entity)) if self._entity else ""

    def _repeated(self, event_id: str) -> bool:
        digest = int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest(), "little")
        if digest in self._known:
            return True
        self._known.add(digest)
        self._recent.append(digest)
        if len(self._recent) > REMEMBERED_IDS:
            self._known.discard(self._recent.popleft())
        return False

    def _read_time(self, stamp: str, payload: dict[str, Any]) -> int:
        value = lookup(payload, self._time) if self._time else None
        if not self._time or (value is None and self._time == ROW_NUMBER):
            try:
                return parse_time(stamp)
            except ValueError as error:
                raise ValueError(f"timestamp: {error}") from None
        if value is None:
            raise ValueError(f"the payload has no time field {self._time!r}")
        try:
            return parse_time(value)
        except ValueError as error:
            raise ValueError(f"time field {self._time!r}: {error}") from None

    def gap(self, payload: dict[str, Any]) -> bool:
        """Whether nothing stands where a number could: a reading that is missing, not a message of another kind."""
        return any(value in (None, "") and self._watched(str(key)) for key, value in payload.items())

    def no_numbers(self) -> str:
        """Why an event without a number is not judged."""
        if self._fields:
            return f"the payload has none of the watched fields ({', '.join(self._fields[:8])}) as a number"
        return "the payload has no numeric field"

    def dead(self, event: Event, reason: str) -> DeadLetter:
        """The event as a dead letter."""
        try:
            stamp = iso_from_us(parse_time(event.timestamp))
        except ValueError:
            stamp = iso_from_us(max(self._watermark, 0))
        try:
            original = encode(event)
        except (TypeError, ValueError, OverflowError):
            original = repr(event).encode(errors="replace")
        return DeadLetter(
            dead_id=derive_id("dead", "preprocess", event.source, event.event_id),
            source=event.source,
            timestamp=stamp,
            stage="preprocess",
            reason=reason,
            original=original,
        )


def _entity_name(value: object) -> str:
    if isinstance(value, str):
        return value[:_MAX_ENTITY_LENGTH]
    if isinstance(value, int | float) and abs(value) <= LARGEST:  # beyond some thousand digits Python refuses
        return str(value)
    return ""
