"""Follows files that grow, come, go and are rotated, by rename or by copy-and-truncate: no row missed or read twice."""

from __future__ import annotations

import time
from collections import deque
from typing import Final, NamedTuple

from qraft.ingest.base import NotConnected, SourceError
from qraft.ingest.file_census import Census, FormOf
from qraft.ingest.file_names import Files
from qraft.ingest.file_standing import Place, Standing
from qraft.ingest.file_track import SETTLE_POLLS, RewrittenError, Track
from qraft.ingest.files import MissingFileError
from qraft.ingest.rows import Block

MOST_OPEN: Final = 64
"""Files held open at once; those that grew least recently are closed, and opened again when they grow."""
MOST_LISTED: Final = 500
"""Files whose place a cursor lists; of more, those that changed least recently are known by the time of their change."""
SETTLED_NS: Final = 5_000_000_000
"""A file that changed less than so many ns ago is listed, since another may come with the same time."""

_FEW: Final = 64
_SCAN_SHARE: Final = 0.1
_CUT_SHORT: Final = "the file was cut short while this line was being written"


class Followed(NamedTuple):
    """Rows of one file, the place in that file after them, and the place in every file before them."""

    block: Block
    place: Place
    before: Standing


class Follower:
    """The rows of all files that a pattern means, as they grow. Synchronous: each `poll` reads what there is, up to a block.

    A file that takes another's place is read after it: the old one to its end first, then those that were rotated away since
    and that the pattern does not mean. Of the files that are there at the start, those that changed least recently come
    first. A place reached before is looked for at its path, among all files that the pattern means, and among those beside
    it that a rotation may have made, compressed or not; where it is gone, the file at the path is read from its begin.

    A file may be rotated many times before anything of its newest generation is read, also while nobody looks. Nothing can
    be read of a generation that nobody saw and that is deleted, truncated without a copy, or moved to a folder or name that
    is neither the pattern's nor a rotation's; nor, at the first start, of those that the pattern does not mean. The order of
    generations is that of their last change, so a copy must not be made older than what it copies.
    """

    def __init__(self, files: Files, form_of: FormOf, start: Standing | None = None) -> None:
        """Looks for the files.

        Raises:
            NotConnected: the one file there should be is not there yet.
            SourceError: the one file there should be cannot be read.
        """
        self._files = files
        self._places = dict(start.places) if start else {}
        self._folded_ns = start.folded_ns if start else 0
        self._census = Census(files, form_of, self._folded_ns)
        self._round: deque[Track] = deque()
        self._turn: Track | None = None
        self._scanned, self._scan_seconds = 0.0, 0.0
        self._scan([track for place in self._places.values() if (track := self._census.known(place)) is not None])
        if not self._census.tracks and not files.several:
            raise NotConnected(f"{files.pattern}: no such file yet; waiting for it")

    def close(self) -> None:
        """Closes all files."""
        for track in self._census.tracks:
            track.close()

    @property
    def open_files(self) -> int:
        """Files held open now."""
        return sum(track.is_open for track in self._census.tracks)

    @property
    def known_files(self) -> int:
        """Files that are followed now."""
        return len(self._census.tracks)

    def complaints(self) -> list[str]:
        """What an operator should know of single files since the last call."""
        said, self._census.complaints = self._census.complaints, []
        return said

    def poll(self) -> Followed | None:
        """The rows that came since the last call; None where nothing came.

        Raises:
            SourceError: the one file there should be cannot be read.
        """
        fresh = False
        while True:
            if self._turn is None and not self._round:
                if fresh:
                    return None
                waited = time.monotonic() - self._scanned
                if len(self._census.tracks) <= _FEW or waited > self._scan_seconds / _SCAN_SHARE:
                    self._scan([])
                self._round, fresh = deque(self._census.tracks), True
            followed = self._take_turn()
            if followed is not None:
                return followed

    def _take_turn(self) -> Followed | None:
        """A block of the file whose turn it is, or of the next one."""
        track, self._turn = self._turn, None
        if track is None:
            if not self._round:
                return None
            track = self._round.popleft()
            if track not in self._census.tracks or not self._is_ready(track):
                return None
        before = Standing(self._places, self._folded_ns)
        try:
            block = track.read()
        except RewrittenError:
            block = self._lost(track)
        except SourceError as error:
            self._census.refuse(track, error)
            return None
        else:
            if block is not None and not track.turn_over:
                self._turn = track
            elif block is None and track.leaving and track.quiet >= SETTLE_POLLS:
                block = track.finish()
                self._census.retire(track)
        return self._followed(track, block, before) if block is not None else None

    def _followed(self, track: Track, block: Block, before: Standing) -> Followed:
        inode = track.identity[1] if track.identity is not None else 0
        changed_ms = max(-1, track.changed_ns // 1_000_000)
        place = Place(self._files.below(track.path), inode, str(track.cursor or ""), changed_ms)
        if track.cursor is not None:
            self._places = {**self._places, track.cursor.fingerprint: place}
        return Followed(block, place, before)

    def _is_ready(self, track: Track) -> bool:
        """Opens a file whose turn comes, if it is to be read now."""
        if self._is_early(track) or not (track.is_open or track.news or track.leaving):
            return False
        if not track.is_open:
            self._make_room()
            try:
                track.open()
            except RewrittenError:
                self._lost(track)
                return False
            except MissingFileError:
                return False
            except SourceError as error:
                self._census.refuse(track, error)
                return False
        track.begin_turn()
        return True

    def _is_early(self, track: Track) -> bool:
        """Whether the file that had its place before is not read to its end yet."""
        ahead = track.after
        if ahead is None:
            return False
        unread = ahead.is_open or ahead.news
        if ahead in self._census.tracks and unread and (ahead.leaving or ahead.quiet < SETTLE_POLLS):
            return True
        return self._census.fill_gap(track)

    def _make_room(self) -> None:
        """Closes the file that grew least recently where too many are open."""
        if self.open_files >= MOST_OPEN:
            idle = [track for track in self._census.tracks if track.is_open and not track.leaving]
            if idle:
                max(idle, key=lambda track: track.quiet).close()

    def _lost(self, track: Track) -> Block | None:
        """The file was truncated or written anew: what was not read yet may stand in a copy of it."""
        rest = track.forget(_CUT_SHORT)
        self._scan([track] if track.leaving else [])
        return rest if track not in self._census.tracks else None

    def _scan(self, moved: list[Track]) -> None:
        begun = time.monotonic()
        self._census.scan(moved)
        self._fold()
        self._scanned = time.monotonic()
        self._scan_seconds = self._scanned - begun

    def _fold(self) -> None:
        """Keeps the list of places short: without files that are forgotten, and those that are read and long unchanged."""
        tracks = self._census.tracks
        if len(self._places) <= min(MOST_LISTED, len(tracks) + len(self._census.gone)):
            return
        listed = {t.cursor.fingerprint: t for t in (*tracks, *self._census.gone) if t.cursor is not None}
        places = {key: entry for key, entry in self._places.items() if key in listed}
        unread = (track.status_ns for track in tracks if track.is_behind)
        until = min(time.time_ns() - SETTLED_NS, *unread, 2**63)
        quiet = sorted(
            (t.status_ns, key) for key, t in listed.items() if key in places and t.status_ns < until and t in tracks
        )
        for status_ns, key in quiet[: max(0, len(places) - MOST_LISTED)]:
            del places[key]
            self._folded_ns = max(self._folded_ns, status_ns)
        self._places = places
