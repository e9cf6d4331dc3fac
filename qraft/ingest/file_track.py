"""One file that is followed as it grows, under whatever name it has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from qraft.ingest.base import SourceError
from qraft.ingest.file_cursor import Cursor
from qraft.ingest.file_maker import Block, RowFormat
from qraft.ingest.files import RowFile

CHECK_BYTES: Final = 4096
"""So many bytes at a file's begin are compared at each reading, to notice that it was written anew."""
BEFORE_BYTES: Final = 64
"""So many bytes before the place reached are compared too."""
SETTLE_POLLS: Final = 5
"""A file that was rotated away is given up after so many readings without news: its writer may hold it for a while."""


class RewrittenError(Exception):
    """The file no longer holds what was read of it."""


class Track:
    """A file, how far it was read, and its handle while it is open.

    Attributes:
        path: where it was seen last.
        generation: how many files of its name came before.
        cursor: the place after the last row that was given.
        head: `Cursor.content` of the file; empty while it holds no row.
        identity: device and inode; None where it is to be looked up.
        inode: the inode it had last; 0 where that is not known.
        lost: the identity of what holds it no longer, as it was truncated or written anew.
        look: size and time of change when it was looked at last.
        news: whether it changed since it was read to its end.
        quiet: how many readings in a row brought nothing.
        leaving: whether it is gone from its place, and over once it is quiet.
        place: where it was seen first.
        after: the file that is to be read to its end first, as it had this one's place.
        gap: whether others may have had the place between the two.
        known_bytes: bytes that were read in a run before, of which no more than their number is known.
    """

    def __init__(self, path: Path, form: RowFormat, cursor: Cursor | None = None, generation: int = 0) -> None:
        self.path = path
        self.form = form
        self.generation = cursor.generation if cursor else generation
        self.cursor = cursor
        self.head = cursor.content if cursor else ""
        self.identity: tuple[int, int] | None = None
        self.inode = 0
        self.lost: tuple[int, int] | None = None
        self.look = (-1, -1, -1)
        self.news = True
        self.quiet = 0
        self.leaving = False
        self.place = path
        self.after: Track | None = None
        self.gap = True
        self.known_bytes = 0
        self._file: RowFile | None = None
        self._raw = 0
        self._limit = 0
        self._head = self._end = b""

    def renumber(self, generation: int) -> None:
        """Takes another number of generation, which it can as long as nothing of it was given."""
        self.generation = generation
        if self.cursor is not None:
            self.cursor = self.cursor.numbered(generation)
        if self._file is not None:
            self._file.rewind(generation)
            self._raw, self._end, self.quiet = 0, b"", 0

    @property
    def is_open(self) -> bool:
        """Whether it holds a handle."""
        return self._file is not None

    @property
    def begun(self) -> bool:
        """Whether anything of it was read."""
        return self.cursor is not None and self.cursor.row > 0

    @property
    def is_behind(self) -> bool:
        """Whether the file may hold what was not read yet."""
        return self.news or (self.is_open and not self.quiet)

    @property
    def status_ns(self) -> int:
        """When its name, content or other status changed last, in ns since 1970, as far as it was looked at."""
        return self.look[2]

    @property
    def changed_ns(self) -> int:
        """When its content changed last, in ns since 1970, as far as it was looked at; -1 where it never was."""
        return self.look[1]

    def saw(self, status: os.stat_result) -> None:
        """Takes note of a look at the file."""
        look = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if look != self.look:
            self.look, self.news = look, True
        self.identity, self.inode = identity_of(status), status.st_ino

    def same(self, status: os.stat_result) -> bool:
        """Whether what stands at its path may be what was read, by what the system says."""
        return self.identity == identity_of(status) and status.st_size >= self._raw

    def open(self, file: RowFile | None = None) -> None:
        """Opens the file and goes to the place reached; ``file`` stands there already.

        Raises:
            RewrittenError: the file does not hold that place.
            SourceError: it cannot be read.
        """
        head = None
        if file is None:
            file = RowFile(self.path, self.form, self.generation)
            try:
                if not self.begun and not file.compressed:
                    head = os.pread(file.fileno(), CHECK_BYTES, 0)
                identity = identity_of(os.fstat(file.fileno()))
                if self.identity is not None and identity != self.identity:
                    raise RewrittenError  # renamed since it was looked at
                if self.cursor is not None and not file.resume(self.cursor):
                    self.lost = identity
                    raise RewrittenError
            except BaseException:
                file.close()
                raise
        self.close()
        self._file = file
        self.quiet, self.news = 0, False
        status = os.fstat(file.fileno())
        self.identity, self.inode, self._limit = identity_of(status), status.st_ino, status.st_size
        self._mark(file)
        if head is not None:
            self._head = head  # the header alone would not tell this file from one that is written over it now

    def close(self) -> None:
        """Gives the handle back; reading may go on later."""
        if self._file is not None:
            self.news |= not self.quiet
            self._reached(self._file)
            self._file.close()
            self._file = None

    def forget(self, reason: str) -> Block | None:
        """Closes the file, which no longer holds what was read; what waited for the rest of its line is a dead letter."""
        self.identity = None
        if self._file is None:
            return None
        self._reached(self._file)
        block = self._file.cut_off(reason)
        self._file.close()
        self._file = None
        return block

    def peek(self, size: int) -> bytes:
        """The first bytes of the file, as they stand on the disk.

        Raises:
            OSError: it cannot be read.
        """
        if self._file is not None and not self._file.compressed:
            return os.pread(self._file.fileno(), size, 0)
        with self.path.open("rb") as file:
            return file.read(size)

    def begin_turn(self) -> None:
        """Lets `turn_over` hold as soon as what is there now was read."""
        assert self._file is not None
        self._limit = os.fstat(self._file.fileno()).st_size

    @property
    def turn_over(self) -> bool:
        """Whether all that was there at the begin of the turn has been read."""
        return self._raw >= self._limit

    def read(self) -> Block | None:
        """The rows that came since the last call, up to a block; None where nothing came.

        Raises:
            RewrittenError: the file no longer holds what was read of it.
            SourceError: it cannot be read.
        """
        file = self._file
        assert file is not None
        while True:
            data = file.read()
            if not file.compressed and self._rewritten(file):
                self.lost = self.identity
                raise RewrittenError
            if not data:
                self.quiet += 1
                self.news = False
                return None
            self.quiet = 0
            known = self._known(file, len(data))
            if known:
                file.feed(data[:known])
                data = data[known:]
            block = file.feed(data)
            self._reached(file)
            self._mark(file)
            if not known or block.rows:
                return block

    def _known(self, file: RowFile, size: int) -> int:
        """How many of the last ``size`` bytes were read in a run before."""
        if file.packed:
            return size if file.raw_position <= self.known_bytes else 0
        return max(0, self.known_bytes - (file.position - size))

    def finish(self) -> Block:
        """The rows that the end of the file completes; closes it."""
        assert self._file is not None
        self.saw(os.fstat(self._file.fileno()))
        block = self._file.finish()
        self.close()
        return block

    def _reached(self, file: RowFile) -> None:
        if file.cursor is not None:
            self.cursor, self.head = file.cursor, file.cursor.content

    def _mark(self, file: RowFile) -> None:
        self._raw = file.raw_position
        if not file.compressed:
            number = file.fileno()
            self._head = os.pread(number, min(CHECK_BYTES, self._raw), 0)
            size = min(BEFORE_BYTES, self._raw)
            self._end = os.pread(number, size, self._raw - size)

    def _rewritten(self, file: RowFile) -> bool:
        """Whether the file is no longer the one that was opened, under the same inode."""
        number = file.fileno()
        if os.fstat(number).st_size < self._raw:
            return True
        if os.pread(number, len(self._head), 0) != self._head:
            return True
        return os.pread(number, len(self._end), self._raw - len(self._end)) != self._end


def identity_of(status: os.stat_result) -> tuple[int, int]:
    """Device and inode."""
    return status.st_dev, status.st_ino


def hold(path: Path, form: RowFormat, cursor: Cursor) -> RowFile | None:
    """The file at ``path``, right behind ``cursor``; None where it does not hold that or cannot be read."""
    try:
        file = RowFile(path, form)
    except SourceError:
        return None
    try:
        if file.resume(cursor):
            return file
    except SourceError:
        pass
    file.close()
    return None
