"""A look into a file, to tell whether it is one that was read, under another name, or a copy of it."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from qraft.ingest.base import SourceError
from qraft.ingest.file_names import Found, is_rotated
from qraft.ingest.file_open import BrokenDataError, open_bytes
from qraft.ingest.file_track import Track, identity_of
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
