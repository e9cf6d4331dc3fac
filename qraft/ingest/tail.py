"""Follows a file that grows and is rotated, by rename or by copy-and-truncate, with no row missed or read twice."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from qraft.ingest.base import NotConnected, SourceError
from qraft.ingest.files import MissingFileError, RowFile
from qraft.ingest.rows import Block, Cursor, RowFormat

CHECK_BYTES: Final = 4096
"""So many bytes at a file's begin are compared at each reading, to notice that it was written anew."""
SETTLE_POLLS: Final = 5
"""A file that was rotated away is given up after so many readings without news: its writer may hold it for a while."""

_CUT_SHORT: Final = "the file was cut short while this line was being written"
_STAMP: Final = r"[._-]\d[\d._T:-]*"

_log = logging.getLogger(__name__)


class Tail:
    """The rows of a file as it grows. Synchronous: each `poll` reads what there is, up to a block.

    After a rotation the old file is read to its end, then the files that were rotated away since, then the one that has the
    name now. ``start`` is the cursor to resume behind: its file is looked for under the name and among the rotated ones,
    compressed or not; where it is gone, the file that has the name is read from its begin.
    """

    def __init__(self, path: Path, form: RowFormat, start: Cursor | None) -> None:
        """Opens the file.

        Raises:
            NotConnected: there is no file of this name yet.
            SourceError: it cannot be read.
        """
        self._path = path
        self._form = form
        self._done: set[str] = set()
        self._quiet = 0
        self._ended = False
        self._head = b""
        self._file = self._open(start)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def poll(self) -> Block | None:
        """The rows that came since the last call; None where nothing came.

        Raises:
            NotConnected: the file that has the name now is gone again.
            SourceError: it cannot be read.
        """
        if self._ended:
            self._replace(self._successor())
        data = self._file.read()
        status = _status(self._path)
        live = status is not None and os.path.samestat(status, os.fstat(self._file.fileno()))
        if not self._file.compressed and self._rewritten():
            return self._restart()
        if data:
            self._quiet = 0
            return self._file.feed(data)
        self._quiet += 1
        if live or status is None or self._quiet < SETTLE_POLLS:
            return None
        self._ended = True
        return self._file.finish()

    def _rewritten(self) -> bool:
        """Whether the file is no longer the one that was opened, under the same inode."""
        if os.fstat(self._file.fileno()).st_size < self._file.position:
            return True
        head = os.pread(self._file.fileno(), CHECK_BYTES, 0)
        same = head.startswith(self._head)
        self._head = head
        return not same

    def _restart(self) -> Block:
        """The file was truncated: what of it was not read yet may stand in a copy, else its new rows are read at once."""
        cursor = self._file.cursor
        copy = self._find(cursor) if cursor is not None else None
        if copy is not None:
            self._replace(copy)
            return Block([], 0)
        rest = self._file.cut_off(_CUT_SHORT)
        self._file.rewind()
        self._take(self._file)
        return rest

    def _replace(self, file: RowFile) -> None:
        self._file.close()
        self._take(file)

    def _take(self, file: RowFile) -> RowFile:
        self._file = file
        self._quiet, self._ended = 0, False
        self._head = b"" if file.compressed else os.pread(file.fileno(), min(CHECK_BYTES, file.position), 0)
        return file

    def _open(self, start: Cursor | None) -> RowFile:
        if start is None:
            return self._take(self._current())
        found = self._named(start) or self._find(start)
        if found is None:
            found = self._current()
            _log.warning("%s: the file that was read last is gone; reading goes on with the one there now", self._path)
        return self._take(found)

    def _named(self, cursor: Cursor) -> RowFile | None:
        """The file that has the name now, behind ``cursor``, if it holds that."""
        try:
            file = self._current()
        except NotConnected:
            return None
        return _behind(file, cursor)

    def _current(self) -> RowFile:
        """The file that has the name now, at its begin."""
        try:
            file = RowFile(self._path, self._form)
        except MissingFileError:
            raise NotConnected(f"{self._path}: no such file yet; waiting for it") from None
        if file.compressed:
            file.close()
            raise SourceError(f'{self._path}: a gzip file does not grow by lines; set mode = "replay"')
        return file

    def _find(self, cursor: Cursor) -> RowFile | None:
        """The sibling that holds ``cursor``, right behind it."""
        for path in sorted(self._siblings(re.escape(self._path.stem) + ".*"), key=lambda path: (path.suffix == ".gz", path)):
            with suppress(SourceError):
                found = _behind(RowFile(path, self._form), cursor)
                if found is not None:
                    return found
        return None

    def _successor(self) -> RowFile:
        """The file that followed the one read to its end: the next rotated one, or the one that has the name now."""
        if self._file.cursor is not None:
            self._done.add(self._file.cursor.fingerprint)
        finished = os.fstat(self._file.fileno())
        stem, suffix = re.escape(self._path.stem), re.escape(self._path.suffix)
        later = []
        for path in self._siblings(rf"{stem}(?:{suffix}{_STAMP}|{_STAMP}{suffix})(?:\.gz)?"):
            status = _status(path)
            if status and status.st_mtime_ns >= finished.st_mtime_ns and not os.path.samestat(status, finished):
                later.append((status.st_mtime_ns, path))
        for _, path in sorted(later):
            with suppress(SourceError):
                file = RowFile(path, self._form)
                with ExitStack() as stack:
                    stack.callback(file.close)
                    if file.fingerprint() not in ("", *self._done):
                        stack.pop_all()
                        return file
        return self._current()

    def _siblings(self, pattern: str) -> Iterator[Path]:
        for path in self._path.parent.iterdir():
            if path != self._path and re.fullmatch(pattern, path.name) and path.is_file():
                yield path


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _behind(file: RowFile, cursor: Cursor) -> RowFile | None:
    """``file``, placed behind ``cursor``; closed, and None, where it does not hold that."""
    with ExitStack() as stack:
        stack.callback(file.close)
        if not file.resume(cursor):
            return None
        stack.pop_all()
    return file
