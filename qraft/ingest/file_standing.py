"""How far each of several files was read, as one cursor: what a restart needs to go on with all of them."""

from __future__ import annotations

import base64
import json
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import msgspec

from qraft.config.sources import WhenFull
from qraft.ingest.base import Sink
from qraft.ingest.file_cursor import Cursor
from qraft.model import DeadLetter, Event

_MARK: Final = "all:"


class Place(NamedTuple):
    """How far one file was read.

    Attributes:
        path: below the source's folder.
        inode: 0 where that is not known.
        cursor: the place in it.
        changed_ms: when its content had changed last as it was looked at, in ms since 1970; -1 where that is not known.
    """

    path: str
    inode: int
    cursor: str
    changed_ms: int = -1


@dataclass(frozen=True, slots=True)
class Standing:
    """The place in each file of a source.

    Attributes:
        places: by fingerprint.
        folded_ns: files not listed whose status last changed at or before this time (ns since 1970) were read to their end.
    """

    places: Mapping[str, Place] = field(default_factory=dict)
    folded_ns: int = 0

    def __str__(self) -> str:
        raw = json.dumps([self.folded_ns, *self.places.values()], separators=(",", ":"))
        return _MARK + base64.urlsafe_b64encode(zlib.compress(raw.encode(), 1)).decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """What ``str`` wrote, or of the cursor of one file; nothing is known where ``text`` is neither."""
        if not text.startswith(_MARK):
            cursor = Cursor.parse(text)
            return cls({cursor.fingerprint: Place(cursor.name, 0, text)} if cursor else {})
        try:
            folded, *places = json.loads(zlib.decompress(base64.urlsafe_b64decode(text[len(_MARK) :])))
            found = [Place(str(path), int(inode), str(cursor), *map(int, rest)) for path, inode, cursor, *rest in places]
            return cls({place.cursor.partition(":")[0]: place for place in found if Cursor.parse(place.cursor)}, int(folded))
        except (ValueError, TypeError, zlib.error):
            return cls()

    def moved(self, place: Place) -> Standing:
        """The same with one file further on."""
        return Standing({**self.places, place.cursor.partition(":")[0]: place}, self.folded_ns)


class StandingSink:
    """A sink that lets the last event of each batch carry the place in every file.

    The others carry the place in their own file alone: a batch is stored as a whole, and a restart asks for its last event.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.when_full: WhenFull = sink.when_full
        self._blocks: deque[tuple[int, Standing, Place]] = deque()

    def expect(self, events: int, standing: Standing, place: Place) -> None:
        """So many of the next events are of the file of ``place``; ``standing`` is what held before the first of them."""
        if events:
            self._blocks.append((events, standing, place))

    @property
    def pressed(self) -> bool:
        """As the sink below says."""
        return self._sink.pressed

    def ready(self) -> None:
        """Hands it on."""
        self._sink.ready()

    async def send(self, events: Sequence[Event]) -> None:
        """Hands the events on, the last of them with the place in every file."""
        left = len(events)
        while self._blocks[0][0] < left:
            left -= self._blocks.popleft()[0]
        count, standing, place = self._blocks[0]
        if count == left:
            self._blocks.popleft()
        else:
            self._blocks[0] = (count - left, standing, place)
        last = events[-1]
        cursor = str(standing.moved(place._replace(cursor=last.meta["cursor"])))
        await self._sink.send([*events[:-1], msgspec.structs.replace(last, meta={**last.meta, "cursor": cursor})])

    async def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Hands the dead letters on."""
        await self._sink.dead(letters)

    def dropped(self, reason: str, count: int = 1) -> None:
        """Hands the count on."""
        self._sink.dropped(reason, count)

    def missing(self, count: int) -> None:
        """Hands the count on."""
        self._sink.missing(count)

    def notice(self, kind: str, text: str) -> None:
        """Hands the notice on."""
        self._sink.notice(kind, text)
