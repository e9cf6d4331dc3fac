"""Small files that a program rewrites: read again as a whole at each change, by rename-and-replace or in place."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Final

from qraft.ingest.base import SourceError
from qraft.ingest.file_census import FormOf
from qraft.ingest.file_cursor import Cursor
from qraft.ingest.file_maker import Block, Row
from qraft.ingest.file_names import Files, natural_key, status_of
from qraft.ingest.file_standing import Place, Standing
from qraft.ingest.files import MissingFileError, open_rows
from qraft.ingest.records import KEPT_BYTES
from qraft.ingest.tail import Followed
from qraft.model import DeadLetter, Event, derive_id, iso_from_us

LARGEST_BYTES: Final = 64 * 1024 * 1024
"""A file above this is not one to be read again and again."""
SETTLE_SECONDS: Final = 0.15
"""A file that changed is read once it has been left alone for so long."""
PATIENCE_SECONDS: Final = 2.0
"""One that never is left alone for that long is read so long after its first change."""
AGAIN_SECONDS: Final = 0.5
"""A state that cannot be read is looked at once more after so long: its writer may not be done."""


class _File:
    """One file, and what is known of its state.

    Attributes:
        given: the fingerprint of the state that was given last, and how many of its rows.
        look: what the system said of the file when it was looked at last.
        read: what it said of the state that was read last.
        first: when the change was seen that has not been read yet.
        since: when it was seen as it is now.
        faults: how often this state could not be read.
    """

    def __init__(self, given: Cursor | None) -> None:
        self.given = given
        self.look: tuple[int, ...] = ()
        self.read: tuple[int, ...] = ()
        self.first = self.since = 0.0
        self.faults = 0


class Watcher:
    """The states of all files that a pattern means. Synchronous: each `poll` gives one state of one file.

    A state that cannot be read as a whole, or whose last line has no end, is looked at twice: it may be half written.

    A state has the time of its last change and a digest of its content for a fingerprint, so that the same state gives the
    same ids after a restart, and one that was given before is not given again.
    """

    def __init__(self, files: Files, form_of: FormOf, start: Standing | None = None) -> None:
        self._files = files
        self._form_of = form_of
        self._known: dict[Path, _File] = {}
        self._places = dict(start.places) if start else {}
        self._given = {files.path_of(place.path): Cursor.parse(place.cursor) for place in self._places.values()}

    def complaints(self) -> list[str]:
        """What an operator should know of single files: nothing that the dead letters do not say."""
        return []

    def close(self) -> None:
        """Nothing is held open."""

    def poll(self) -> Followed | None:
        """The rows of a state that is new; None where there is none now."""
        found = sorted(self._files.find(), key=lambda found: natural_key(str(found.path)))
        for each in found:
            file = self._known.setdefault(each.path, _File(self._given.get(each.path)))
            if self._is_due(file, each.status):
                followed = self._take(each.path, file)
                if followed is not None:
                    return followed
        if len(self._known) > 2 * len(found) + 100:
            there = {each.path for each in found}
            self._known = {path: file for path, file in self._known.items() if path in there}
        return None

    def _is_due(self, file: _File, status: os.stat_result) -> bool:
        """Whether a change has settled, or goes on for too long."""
        look, now = _look(status), time.monotonic()
        if look == file.read:
            return False
        if look != file.look:
            if not file.first:
                file.first = now
            file.look, file.since, file.faults = look, now, 0
        wait = AGAIN_SECONDS if file.faults else SETTLE_SECONDS
        return bool(status.st_size) and (
            now - file.since >= wait or (not file.faults and now - file.first >= PATIENCE_SECONDS)
        )

    def _take(self, path: Path, file: _File) -> Followed | None:
        look = file.look
        try:
            rows, ended = self._state(path, file)
        except MissingFileError:
            return None
        except SourceError as error:
            rows, ended = self._unreadable(path, file, str(error)), False
        status = status_of(path)
        if status is None or _look(status) != look:
            return None  # written while it was read
        doubtful = not ended or any(isinstance(row, DeadLetter) for row in rows)
        if doubtful and not file.faults:
            file.faults, file.since = 1, time.monotonic()
            return None
        file.read, file.first, file.faults = look, 0.0, 0
        return self._give(path, file, rows)

    def _give(self, path: Path, file: _File, rows: list[Row]) -> Followed | None:
        """What of a state's rows was not given yet."""
        cursors = [Cursor.parse(row.meta["cursor"]) if isinstance(row, Event) else None for row in rows]
        last = next((cursor for cursor in reversed(cursors) if cursor is not None), None)
        begin = 0
        if file.given is not None and last is not None and file.given.fingerprint == last.fingerprint:
            begin = 1 + max(
                (n for n, c in enumerate(cursors) if c is not None and c.offset <= file.given.offset), default=-1
            )
        stale = file.given.fingerprint if file.given is not None and last is not None else ""
        before = Standing({key: place for key, place in self._places.items() if key != stale})
        place = Place(self._files.below(path), 0, str(last or ""))
        if last is not None:
            self._places = {**before.places, last.fingerprint: place}
            file.given = last
        if not rows[begin:]:
            return None
        size = file.look[2] // len(rows) + 300
        return Followed(Block(rows[begin:], size), place, before)

    def _state(self, path: Path, file: _File) -> tuple[list[Row], bool]:
        """The rows of the state that is there now, and whether its text ends as one that was written to its end."""
        if file.look[2] > LARGEST_BYTES:
            raise SourceError(f"{path}: larger than {LARGEST_BYTES} bytes, too large to read anew at each change; see mode")
        form = self._form_of(path, self._files.name(path))
        raw = _bytes(path)
        digest = hashlib.sha256(f"{file.look[3]}:{form.name}:".encode() + raw).hexdigest()[:16]
        rows_of = open_rows(path, form, ident=f"w{digest}")
        try:
            rows = [row for block in rows_of.blocks() for row in block.rows]
        finally:
            rows_of.close()
        return rows, form.kind not in ("csv", "ndjson") or raw.rstrip(b"\0").endswith(b"\n")

    def _unreadable(self, path: Path, file: _File, reason: str) -> list[Row]:
        """A state that cannot be read as a whole is one dead letter."""
        form = self._form_of(path, self._files.name(path))
        arrived = form.arrival() if form.arrival is not None else 0
        try:
            with path.open("rb") as raw:
                original = raw.read(KEPT_BYTES)
        except OSError:
            original = b""
        identity = derive_id("dead", form.source, f"{form.name}:{file.look}")
        return [
            DeadLetter(
                dead_id=identity,
                source=form.source,
                timestamp=iso_from_us(arrived),
                stage="ingest",
                reason=reason,
                original=original,
            )
        ]


def _look(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
