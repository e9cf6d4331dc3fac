"""Which of the files that are there now is which of those that were read: by name, by inode, in the end by content.

A file turns up under another name because a rotation renames it, or copies and then truncates it, because somebody moves
it, or because it has two names. It must be read once. So a file at a new place is looked into: it is one that is missing
elsewhere if it holds the line that was read of that last, at the same byte.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from qraft.ingest.base import SourceError
from qraft.ingest.file_cursor import Cursor
from qraft.ingest.file_names import Files, Found, is_rotated, natural_key, siblings, status_of
from qraft.ingest.file_sight import Sight, age, distance, holds, likely
from qraft.ingest.file_standing import Place
from qraft.ingest.file_track import Track, hold, identity_of
from qraft.ingest.files import MissingFileError, RowFile
from qraft.ingest.rows import RowFormat

MOST_GONE: Final = 100
"""Files that are gone whose place is remembered, in case they come back or a copy of them turns up."""

_log = logging.getLogger(__name__)

FormOf = Callable[[Path, str], RowFormat]
"""How the rows of a file are read: its path, and its name within the source."""


class Census:
    """The files that are followed.

    Attributes:
        tracks: in the order in which they are to be read first.
        gone: files that are no more, oldest first.
        complaints: what an operator should know of single files; who reads this takes it away.
    """

    def __init__(self, files: Files, form_of: FormOf, folded_ns: int = 0) -> None:
        """Nothing is followed yet.

        Args:
            files: what is to be followed.
            form_of: how rows are read.
            folded_ns: a file that was not read here and whose status changed last at or before this time was read whole.
        """
        self.tracks: list[Track] = []
        self.gone: deque[Track] = deque(maxlen=MOST_GONE)
        self.complaints: list[str] = []
        self._files = files
        self._form_of = form_of
        self._folded_ns = folded_ns
        self._latest: dict[str, Track] = {}
        self._passed: dict[Path, tuple[int, ...]] = {}
        self._told: dict[Path, None] = {}

    def known(self, place: Place) -> Track | None:
        """A file that a run before had read so far, to be found by `scan`."""
        cursor = Cursor.parse(place.cursor)
        if cursor is None:
            return None
        path = self._files.path_of(place.path)
        form = self._form_of(self._files.path_of(cursor.name), cursor.name)
        track = Track(path, replace(form, file=str(path)), cursor)
        track.place = self._files.path_of(cursor.name)
        track.inode = place.inode
        if place.changed_ms >= 0:
            track.look = (-1, place.changed_ms * 1_000_000, -1)
        return self._numbered(track)

    def scan(self, moved: list[Track]) -> None:
        """Looks at all files.

        Args:
            moved: files that are not where they were, or that a run before had read.

        Raises:
            SourceError: the one file there should be cannot be read.
        """
        places = {track.path: track for track in self.tracks if not track.leaving}
        rest: list[Found] = []
        for found in self._files.find():
            track = places.get(found.path)
            if track is not None and track.same(found.status):
                track.saw(found.status)
                del places[found.path]
            else:
                rest.append(found)
        moved = [*moved, *places.values()]
        if moved:
            self._passed.clear()
        self._by_inode(rest, moved)
        before = {track.path: track for track in moved}
        rest.sort(key=lambda found: (found.path not in before, found.status.st_mtime_ns, natural_key(str(found.path))))
        for found in rest:
            if self._passed.get(found.path) != _key(found.status):
                self._meet(found, moved, before.get(found.path))
        for track in sorted(moved, key=lambda track: (track.changed_ns, track.generation)):
            self._search(track)

    def _by_inode(self, rest: list[Found], moved: list[Track]) -> None:
        """Finds the files that were renamed, and takes them out of both lists."""
        there = {found.status.st_ino: found for found in rest}
        for track in list(moved):
            found = there.get(track.inode)
            if found is not None and track.lost != identity_of(found.status):
                if track.is_open or holds(found.path, track, track.inode):
                    moved.remove(track)
                    rest.remove(found)
                    del there[track.inode]
                    self._settle(track, found)
            elif not track.is_open and track.inode and self._open_sibling(track, copies=False):
                moved.remove(track)
                self._leave(track)

    def drop(self, track: Track) -> None:
        """Follows a file no longer."""
        track.close()
        if track in self.tracks:
            self.tracks.remove(track)

    def retire(self, track: Track) -> None:
        """A file that was read to its end and is over."""
        self.drop(track)
        self._remember(track)

    def refuse(self, track: Track, error: SourceError) -> None:
        """A file that cannot be read: the only one there is ends the source, one of several waits until it changes.

        Raises:
            SourceError: it is the only one.
        """
        self.drop(track)
        status = status_of(track.path)
        if status is not None and not track.leaving:
            self._complain(Found(track.path, status), error)
        else:
            self.complaints.append(str(error))

    def _meet(self, found: Found, moved: list[Track], last: Track | None) -> None:
        """Takes in a file that is new at its place.

        Args:
            found: the file.
            moved: files that are no longer where they were; the one that is found here is taken out.
            last: the one of them that was at this place.
        """
        identity = identity_of(found.status)
        if any(track.identity == identity for track in self.tracks if track not in moved):
            self._passed[found.path] = _key(found.status)  # another name of a file that is followed
            return
        try:
            form = self._form_of(found.path, self._files.name(found.path))
            with closing(RowFile(found.path, form)) as file:
                if file.compressed:
                    raise SourceError(f'{found.path}: a {file.packed} file does not grow by lines; set mode = "replay"')
                now = Found(found.path, os.fstat(file.fileno()))  # a rotation may have come between the two looks
                self._recognise(Sight(now, file), form, moved, last)
        except MissingFileError:
            return
        except SourceError as error:
            self._complain(found, error)

    def _recognise(self, sight: Sight, form: RowFormat, moved: list[Track], last: Track | None) -> None:
        """Tells whether a file is one of those that are missing, a copy of one that is not, or new."""
        missing = [track for track in moved if not track.is_open]
        if last in missing:
            missing.sort(key=lambda track: track is not last)
        for track in (*missing, *self.gone):
            if sight.shows(track, finished=track in self.gone) and not self._earlier_copy(sight.found, track):
                (moved if track in moved else self.gone).remove(track)
                self._settle(track, sight.found)
                return
        twin = self._twin(sight, moved)
        if twin is None:
            if last is None or last.form.name == form.name:
                last = self._latest.get(form.name)
            track = self._add(sight.found, form, sight.head)
            while last and last.after and not last.begun and (last in moved or last not in self.tracks):
                last = last.after
            track.after = last
            if last is None and sight.found.status.st_ctime_ns <= self._folded_ns:
                track.known_bytes, track.news = sight.found.status.st_size, False
        elif holds(twin.path, twin):
            self._passed[sight.found.path] = _key(sight.found.status)
        else:  # it was truncated a moment ago, and this is the copy
            twin.close()
            self._settle(twin, sight.found)

    def _twin(self, sight: Sight, moved: list[Track]) -> Track | None:
        """The followed file of which this is the copy that a rotation made."""
        path = sight.found.path
        for track in self.tracks:
            if track in moved or track.leaving or not is_rotated(path, track.path) or not sight.holds(track):
                continue
            if sight.begins(track) or not holds(track.path, track):
                return track
        return None

    def _complain(self, found: Found, error: SourceError) -> None:
        """A file that cannot be followed: the only one there is ends the source, one of several is passed over."""
        if not self._files.several:
            raise error
        self._passed[found.path] = _key(found.status)
        if found.path not in self._told:
            self._told[found.path] = None
            self.complaints.append(str(error))
            while len(self._told) > MOST_GONE:
                del self._told[next(iter(self._told))]

    def _add(self, found: Found, form: RowFormat, head: Cursor | None) -> Track:
        """Follows a new file."""
        latest = self._latest.get(form.name)
        generation = 0 if latest is None else latest.generation + 1
        track = Track(found.path, form, head.numbered(generation) if head else None, generation)
        track.saw(found.status)
        self.tracks.append(self._numbered(track))
        return track

    def _numbered(self, track: Track) -> Track:
        latest = self._latest.setdefault(track.form.name, track)
        if latest.generation < track.generation:
            self._latest[track.form.name] = track
        return track

    def _settle(self, track: Track, found: Found) -> None:
        """A file that was followed is here now."""
        track.path, track.leaving, track.lost, track.news = found.path, False, None, True
        track.saw(found.status)
        if track not in self.tracks:
            self.tracks.append(track)

    def _search(self, track: Track) -> None:
        """A file that is in no place of the pattern is read to its end: by its handle, or where a rotation put it."""
        if not track.is_open and not self._open_sibling(track, copies=True):
            if track.begun:
                _log.warning("%s: the file that was read last is gone; what it held since then is not read", track.path)
            self.drop(track)
            self._remember(track)
            return
        self._leave(track)

    def _leave(self, track: Track) -> None:
        """A file that is open is read to its end."""
        if not track.leaving:
            for other in self.tracks:
                if other.after is track.after is not None and other.place == track.place and other is not track:
                    other.after = track
        track.leaving = True
        if track not in self.tracks:
            self.tracks.append(track)

    def _open_sibling(self, track: Track, *, copies: bool) -> bool:
        """Opens the file to which a rotation took what was read of a track: the very file, or a copy of it."""
        for found in likely(track):
            same = found.status.st_ino == track.inode
            if track.lost == identity_of(found.status) or track.cursor is None or not (same or copies):
                continue
            if not same and self._is_anothers(found, track):
                continue
            if not (track.begun or same or (track.lost and self._news(found, track.form))):
                continue
            file = hold(found.path, track.form, track.cursor)
            if file is not None:
                track.saw(os.fstat(file.fileno()))
                track.open(file)
                return True
        return False

    def _earlier_copy(self, found: Found, track: Track) -> bool:
        """Whether another file is rather the copy of a track than this one, as both hold what was read of it.

        Where all files begin alike and no more than that was read, those that came later hold it too.
        """
        if found.status.st_ino == track.inode or track in self.gone:
            return False
        for other in likely(track):
            if distance(other, track) >= distance(found, track):
                return False
            if track.lost != identity_of(other.status) and not self._is_anothers(other, track) and holds(other.path, track):
                return True
        return False

    def _is_anothers(self, found: Found, track: Track) -> bool:
        """Whether a file is another track's, which its inode says, and of one that is gone its content too."""
        inode = found.status.st_ino
        return any(other.inode == inode and other is not track for other in self.tracks) or any(
            other.inode == inode and holds(found.path, other) for other in self.gone
        )

    def _remember(self, track: Track) -> None:
        if not track.begun:
            return
        if len(self.gone) == MOST_GONE:
            forgotten = self.gone.popleft()
            if self._latest.get(forgotten.form.name) is forgotten:
                del self._latest[forgotten.form.name]
        self.gone.append(track)

    def fill_gap(self, track: Track) -> bool:
        """Follows what had the place of ``track`` before it and was rotated away unseen, to names the pattern does not mean.

        Returns:
            Whether there is such a file; ``track`` comes after it then.
        """
        ahead = track.after
        if track.gap and not (track.is_open or track.leaving or holds(track.path, track, track.inode)):
            status = status_of(track.path)
            if status is not None and status.st_ino == track.inode:
                track.lost = track.identity
            track.forget("")  # rotated away too before it was begun
            self.scan([])
            if track not in self.tracks:
                return True  # what has its place now comes after what was ahead of it
        track.after = None
        if ahead is None or ahead.changed_ns < 0 or not track.gap:
            return False
        until = track.changed_ns if track.leaving or track.path != track.place else 2**63
        later = [
            found
            for found in siblings(track.place, rotated=True)
            if ahead.changed_ns <= found.status.st_mtime_ns <= until
            and not (ahead.begun and identity_of(found.status) == ahead.identity and holds(found.path, ahead))
        ]
        meant = {found.path for found in self._files.find()} if later else set()
        missed = []
        for found in sorted(later, key=age):
            form = replace(track.form, file=str(found.path))
            if found.path not in meant and (head := self._news(found, form)) is not None:
                missed.append(before := Track(found.path, form, head))
                before.saw(found.status)
                before.after, before.gap, before.leaving, before.place = track.after, False, True, track.place
                self.tracks.append(before)
                track.after = before
        for number, before in enumerate(missed, self._room_before(track, len(missed))):
            before.renumber(number)
            self._numbered(before)
        return track.after is not None

    def _room_before(self, track: Track, count: int) -> int:
        """The first of so many numbers of generation that are free, which are those before ``track`` if it can be moved.

        By its number a run after this one tells which file of a name is the newest.
        """
        name, generation = track.form.name, track.generation
        later = [other for other in (*self.tracks, *self.gone) if other.form.name == name and other.generation >= generation]
        if any(other.begun for other in later):
            return max(other.generation for other in later) + 1
        for other in later:
            other.renumber(other.generation + count)
        return generation

    def _news(self, found: Found, form: RowFormat) -> Cursor | None:
        """The place of a file's first row, if nothing of the file was read or is going to be."""
        try:
            with closing(RowFile(found.path, form)) as file:
                sight = Sight(Found(found.path, os.fstat(file.fileno())), file)
                for track in self.tracks:
                    if track.identity == sight.identity:
                        return None
                    if sight.alike(track) and not track.begun and sight.begins(track):
                        return None  # a copy of what is going to be read
                if any(sight.shows(track, finished=True) for track in self.gone):
                    return None
                return None if any(map(sight.shows, self.tracks)) else sight.head
        except SourceError:
            return None


def _key(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
