"""A place in a file, as text that travels with an event, and how a file is known again by it.

A file is known by its content, so that it may be renamed, copied or compressed: by its fingerprint (of the first data line,
with the header for CSV) and by the line that ends at the place.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import Final, NamedTuple

CHECKED_BYTES: Final = 256
"""So much of the last line before a cursor's offset, at most, tells whether a file holds the cursor."""

_DIGEST: Final = 16
_HEAD_BYTES: Final = 4096
_CURSOR: Final = re.compile(r"([^:]*):([0-9]+):([0-9]+)(?::([0-9a-f]{0,8})(?::(.+))?)?", re.DOTALL)


class Cursor(NamedTuple):
    """A place in a file: reading resumes at byte ``offset`` with row number ``row``.

    Attributes:
        fingerprint: of the file; `content_of` is the part that its content alone decides.
        offset: byte of the uncompressed text; in a Parquet file the row.
        row: rows before this place, usable or not.
        check: `check_of` the line that ends here; empty where it is not known.
        name: the file's name where a source reads several, else empty.
    """

    fingerprint: str
    offset: int
    row: int
    check: str = ""
    name: str = ""

    def __str__(self) -> str:
        text = f"{self.fingerprint}:{self.offset}:{self.row}:{self.check}"
        return f"{text}:{self.name}" if self.name else text

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor that ``str`` wrote, or None where ``text`` is not one."""
        found = _CURSOR.fullmatch(text)
        if found is None:
            return None
        return cls(found[1], int(found[2]), int(found[3]), found[4] or "", found[5] or "")

    @property
    def content(self) -> str:
        """The part of the fingerprint that the file's content alone decides."""
        return self.fingerprint[:_DIGEST]

    def numbered(self, generation: int) -> Cursor:
        """The same place in a file that begins alike and that so many of its name came before."""
        return self._replace(fingerprint=_later(self.fingerprint.partition(".")[0], generation))

    @property
    def generation(self) -> int:
        """How many files of this name came before this one."""
        return int(self.fingerprint.rpartition(".")[2]) if "." in self.fingerprint else 0


def _later(fingerprint: str, generation: int) -> str:
    return f"{fingerprint}.{generation}" if generation else fingerprint


def fingerprint_of(head: bytes, name: str = "", generation: int = 0) -> str:
    """The fingerprint of a file that begins so.

    Args:
        head: header and first data line, of each at most some kilobytes.
        name: the file's name where a source reads several, which may begin alike.
        generation: how many files of this name came before; they too may begin alike.
    """
    text = hashlib.sha256(head).hexdigest()[:_DIGEST]
    if name:
        text += "-" + hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:10]
    return _later(text, generation)


def head_of(header: bytes | None, line: bytes) -> bytes:
    """What the fingerprint is made of."""
    return (header or b"")[:_HEAD_BYTES] + b"\n" + line.rstrip(b"\r")[:_HEAD_BYTES]


def check_of(line: bytes | None) -> str:
    """CRC-32 of a line's last bytes, as hexadecimal text; empty for None."""
    return "" if line is None else f"{zlib.crc32(line[-CHECKED_BYTES:]):x}"


def ends_with(before: bytes, check: str) -> bool:
    """Whether the line that ends ``before`` is the one of ``check``; ``before`` holds CHECKED_BYTES + 2 bytes, or all."""
    return not check or check_of(before.removesuffix(b"\n").rpartition(b"\n")[2]) == check
