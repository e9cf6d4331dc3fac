"""Rows that could not be used: which line of the input, why, and what stood there."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from qraft.ingest.file_open import ByteSource, open_bytes
from qraft.model import DeadLetter, Event

_BLOCK_BYTES = 1024 * 1024


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """One line of rejects.jsonl. ``line`` counts from 1, the header included; ``original`` is the row's text."""

    file: str
    line: int
    reason: str
    original: str


class Rejects:
    """Writes the rejects of one input as NDJSON, in the order of its rows, and counts its lines only where it must."""

    def __init__(self, path: Path, name: str, target: BinaryIO) -> None:
        self._path = path
        self._name = name
        self._target = target
        self._text: ByteSource | None = None
        self._offset = self._breaks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._text is not None:
            self._text.close()

    def unreadable(self, letter: DeadLetter) -> None:
        """A row that ingest could not read; its reason tells the byte where the row begins."""
        place, _, reason = letter.reason.removeprefix(f"{self._path}, byte ").partition(": ")
        self._write(int(place), reason, letter)

    def unusable(self, letter: DeadLetter, event: Event) -> None:
        """A row that was read but that preprocessing refused; its cursor tells the byte after its end."""
        self._write(end_of(event) - 1, letter.reason, letter)

    def _write(self, offset: int, reason: str, letter: DeadLetter) -> None:
        original = letter.original.decode(errors="backslashreplace")
        reject = Reject(file=self._name, line=self._line_at(offset), reason=reason, original=original)
        self._target.write(msgspec.json.encode(reject) + b"\n")

    def _line_at(self, offset: int) -> int:
        """The line that byte ``offset`` of the uncompressed file lies on; offsets never go back."""
        if self._text is None:
            self._text = open_bytes(self._path)
        while self._offset < offset and (block := self._text.read(min(_BLOCK_BYTES, offset - self._offset))):
            self._offset += len(block)
            self._breaks += block.count(b"\n")
        return self._breaks + 1


def end_of(event: Event) -> int:
    """The byte of the uncompressed file at which an event's row ends, its line break included."""
    return int(str(event.meta["cursor"]).split(":")[1])
