"""The rows of a JSON file, whose array may be larger than memory: found by a scan for the ends of its elements."""

from __future__ import annotations

import re
from typing import Final

from qraft.ingest.base import SourceError
from qraft.ingest.file_cursor import Cursor
from qraft.ingest.file_maker import Block, RowFormat, RowMaker
from qraft.ingest.records import KEPT_BYTES, MAX_RECORD_BYTES, RecordError, decode_json

_STRING: Final = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN: Final = re.compile(_STRING + rb'|["\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_NESTED: Final = re.compile(_STRING + rb'|["\[\]{}]', re.DOTALL)
_IN_STRING: Final = re.compile(rb'"|\\')
_BOM: Final = b"\xef\xbb\xbf"


class JsonParser(RowMaker):
    """Turns the bytes of one JSON file, fed in pieces of any size, into rows: each element of one array.

    The array is the whole file, or stands at ``record``. A file or record that is an object is one row; several values
    one after another (as some programs write) are a row each. Whatever else the file holds is passed over.
    """

    def __init__(self, form: RowFormat, generation: int = 0, ident: str = "") -> None:
        super().__init__(form, generation, ident)
        self._path = form.record.split(".") if form.record else []
        self._bare = self._once = False
        self._above: list[bool] = []
        self._key = b""
        self._inside = False
        self._done = False
        self._quoted = False
        self._depth = 0
        self._buffer = b""
        self._base = 0
        self._at = 0
        self._start = -1
        self._long = b""

    def seek(self, cursor: Cursor) -> None:
        """Goes on at ``cursor``, which stands between two elements."""
        super().seek(cursor)
        self._buffer, self._base, self._at, self._start, self._long = b"", cursor.offset, 0, -1, b""
        self._depth, self._quoted, self._inside, self._done = 0, False, True, self._once

    def feed(self, data: bytes) -> Block:
        """The rows that ``data`` completes.

        Raises:
            SourceError: the file is no JSON, or holds no such record.
        """
        if self._done:
            return self._take()
        self._buffer += data
        while not self._done and self._step():
            pass
        self._trim()
        return self._take()

    def finish(self) -> Block:
        """What the end of the file completes.

        Raises:
            SourceError: the record never came.
        """
        if self._done:
            return self._take()
        if not self._inside:
            if self._path and self._above:
                raise self._no_record()
            return self._take()
        if self._at_top() and not self._bare:
            self._start = len(self._buffer)
        return self.cut_off("the file breaks off here")

    def cut_off(self, reason: str) -> Block:
        """Gives up an element of which the rest will not come: it becomes one dead letter."""
        if self._start >= 0 or self._long:
            kept = self._long or self._buffer[self._start : self._start + KEPT_BYTES]
            self._start, self._long, self._done = -1, b"", True
            self._give(kept, self._base + len(self._buffer), reason)
        return self._take()

    def _at_top(self) -> bool:
        return self._start < 0 and not self._long

    def _step(self) -> bool:
        """Takes one token; False where more bytes are needed."""
        if self._quoted:
            return self._rest_of_string()
        found = (_NESTED if self._depth else _TOKEN).search(self._buffer, self._at)
        if found is None:
            self._at = len(self._buffer)
            return False
        token, start = found[0], found.start()
        if token == b'"' and not self._inside and len(self._buffer) - start <= KEPT_BYTES:
            self._at = start
            return False
        self._at = found.end()
        if token == b'"':
            self._quoted = True
            if self._inside and self._at_top():
                self._start = start
        elif self._inside:
            self._element(token, start)
        else:
            self._seek_record(token, start)
        return True

    def _rest_of_string(self) -> bool:
        found = _IN_STRING.search(self._buffer, self._at)
        if found is None:
            self._at = len(self._buffer)
            return False
        if found[0] == b"\\":
            if found.end() == len(self._buffer):
                self._at = found.start()
                return False
            self._at = found.end() + 1
            return True
        self._at, self._quoted = found.end(), False
        return True

    def _element(self, token: bytes, start: int) -> None:
        if token in (b"[", b"{"):
            if self._at_top():
                self._start = start
            self._depth += 1
        elif token in (b"]", b"}"):
            if not self._depth:
                self._end(start)
                self._done = not self._bare
                return
            self._depth -= 1
            if not self._depth:
                self._end(self._at)
        elif token == b",":
            self._end(start)
        elif self._at_top():
            self._start = start

    def _end(self, end: int) -> None:
        """An element, if there is one, ends before byte ``end`` of the buffer."""
        if self._long:
            kept, self._long = self._long, b""
            self._give(kept, self._base + end, f"longer than {MAX_RECORD_BYTES} bytes; the first {len(kept)} are kept")
        elif self._start >= 0:
            raw, self._start = self._buffer[self._start : end].rstrip(), -1
            self._give(raw, self._base + end)

    def _give(self, raw: bytes, end: int, reason: str = "") -> None:
        if not self._fingerprint:
            self._begin(raw)
        length = end - self._offset
        self._done |= self._once
        if not reason and len(raw) > MAX_RECORD_BYTES:
            raw, reason = raw[:KEPT_BYTES], f"longer than {MAX_RECORD_BYTES} bytes; the first {KEPT_BYTES} are kept"
        if not reason:
            try:
                value = decode_json(raw)
                if not isinstance(value, dict):
                    raise RecordError("not a JSON object")
                self._event(value, length, None)
                return
            except RecordError as error:
                reason = str(error)
        self._dead(raw, length, reason, None)

    def _seek_record(self, token: bytes, start: int) -> None:
        """Walks to the record; ``above`` says of each object or array around this place whether it is on the way there."""
        on_way = all(self._above)
        if not self._above and self._key == b"" and token not in (b"[", b"{"):
            if token.removeprefix(_BOM) == b"" and not self._base:
                return
            raise SourceError(f"{self._form.file}: not JSON: expected an array of objects, or an object; set format")
        here = on_way and self._arrived()
        if token in (b"[", b"{"):
            if here:
                self._inside = True
                self._bare, self._once = token == b"{" and not self._path, token == b"{" and bool(self._path)
                if token == b"{":
                    self._element(token, start)
                return
            self._above.append(on_way and token == b"{" and (not self._above or self._leads()))
            self._key = b""
        elif token in (b"]", b"}"):
            self._above.pop()
            self._key = b""
            if not self._above:
                raise self._no_record()
        elif token == b",":
            self._key = b""
        elif token.startswith(b'"') and not self._key:
            self._key = token

    def _arrived(self) -> bool:
        """Whether the value that comes is the record."""
        depth = len(self._above)
        return not self._path if not depth else self._name() == ".".join(self._path[depth - 1 :])

    def _leads(self) -> bool:
        depth = len(self._above)
        return depth < len(self._path) and self._name() == self._path[depth - 1]

    def _name(self) -> str:
        try:
            return str(decode_json(self._key)) if self._key else ""
        except RecordError:
            return ""

    def _no_record(self) -> SourceError:
        return SourceError(f'{self._form.file}: has no array or object at record = "{self._form.record}"')

    def _trim(self) -> None:
        """Lets go of the bytes that were taken."""
        if self._start >= 0 and self._at - self._start > MAX_RECORD_BYTES:
            self._long, self._start = self._buffer[self._start : self._start + KEPT_BYTES], -1
        cut = self._start if self._start >= 0 else self._at
        self._buffer, self._base = self._buffer[cut:], self._base + cut
        self._at -= cut
        self._start = 0 if self._start >= 0 else -1
