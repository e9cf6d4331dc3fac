"""A look into a file, to tell whether it is one that was read, under another name, or a copy of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from qraft.ingest.base import SourceError
from qraft.ingest.file_names import Found, is_rotated, siblings, status_of
from qraft.ingest.file_open import BrokenDataError, open_bytes
from qraft.ingest.file_track import Track, hold, identity_of
from qraft.ingest.files import RowFile

_COMPARED_BYTES: Final = 64 * 1024


class Sight:
    """A file that is looked into."""

    def __init__(self, found: Found, file: RowFile) -> None:
        self.found = found
        self.identity = identity_of(found.status)
        self.head = file.head()
        self._file = file

    def alike(self, track: Track) -> bool:
        """Whether it begins as the file of a track."""
        return self.head is not None and track.head == self.head.content

    def holds(self, track: Track) -> bool:
        """Whether it holds what was read of a track."""
        return self.alike(track) and track.cursor is not None and self._file.holds(track.cursor)

    def begins(self, track: Track) -> bool:
        """Whether the file of a track begins as this one, by all of this or its first bytes."""
        try:
            with closing(open_bytes(self.found.path)) as file:
                own = file.read(_COMPARED_BYTES)
            return track.peek(len(own)) == own
        except (SourceError, BrokenDataError, OSError):
            return False

    def shows(self, track: Track, *, finished: bool = False) -> bool:
        """Whether it is the file of a track whose place is not known, or a copy that a rotation made of it.

        Files may begin alike. So a copy has to have a likely name, and of a track that was read to its end nothing more.
        """
        if not self.alike(track) or track.lost == self.identity or not self.holds(track):
            return False
        if self.found.status.st_ino == track.inode:
            return True
        path = self.found.path
        likely = path in (track.path, track.place) or is_rotated(path, track.path) or is_rotated(path, track.place)
        return track.begun and likely and (not finished or self._ends_at(track))

    def _ends_at(self, track: Track) -> bool:
        if track.cursor is None:
            return False
        if not self._file.packed:
            return self.found.status.st_size == track.cursor.offset
        return self._file.position == track.cursor.offset and not self._file.read()


def holds(path: Path, track: Track, inode: int = 0) -> bool:
    """Whether a file, of that inode if one is given, holds what was read of ``track``."""
    if track.cursor is None:
        return True
    file = hold(path, track.form, track.cursor)
    if file is None:
        return False
    with closing(file):
        return not inode or os.fstat(file.fileno()).st_ino == inode


def likely(track: Track) -> Iterator[Found]:
    """Where the file of a track may be: at its path, beside it, or beside its first place; the likeliest first."""
    found = siblings(track.path, rotated=False)
    if track.place != track.path:
        found += siblings(track.place, rotated=False)
    status = status_of(track.path)
    if status is not None:
        found.append(Found(track.path, status))
    yield from sorted(found, key=lambda each: distance(each, track))


def age(found: Found) -> tuple[int, int]:
    """Sorts the files that had a place one after the other: by the last change of their content."""
    return found.status.st_mtime_ns, found.status.st_ctime_ns


def distance(found: Found, track: Track) -> tuple[bool, bool, int, int]:
    """Sorts what may be the file of a track: that very file, then the first that was written no earlier than the track."""
    return found.status.st_ino != track.inode, found.status.st_mtime_ns < track.changed_ns, *age(found)
