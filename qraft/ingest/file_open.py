"""The uncompressed bytes of a file, as UTF-8 where its encoding is not one that lines can be found in."""

from __future__ import annotations

import codecs
import gzip
import zlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from qraft.ingest.base import SourceError

if TYPE_CHECKING:
    import zstandard

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_INPUT: Final = 4096
"""Compressed bytes taken at once: what they hold stands in memory."""


class MissingFileError(SourceError):
    """There is no file of this name."""


class ByteSource(Protocol):
    """What rows are read from."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        ...

    def seek(self, offset: int, /) -> int:
        """Goes to a byte; a compressed or transcoded one goes to its begin alone."""
        ...

    def fileno(self) -> int:
        """The file's descriptor."""
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


def open_bytes(path: Path) -> ByteSource:
    """The file's uncompressed bytes: plain, gzip or zstd, whatever its name says.

    Raises:
        MissingFileError: the file is absent.
        SourceError: it may not be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file; check path") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror}") from None
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(_GZIP):
        return Inflated(file)
    return Zstd(file) if magic == _ZSTD else file


class BrokenDataError(Exception):
    """Compressed data that break off or are damaged."""


class Inflated:
    """The text of a gzip file (RFC 1952), of any number of members."""

    kind: Final = "gzip"

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._text = gzip.GzipFile(fileobj=file)

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes.

        Raises:
            BrokenDataError: the data break off or are damaged.
        """
        try:
            return self._text.read1(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BrokenDataError(str(error)) from None

    def seek(self, offset: int, /) -> int:
        """Goes to a byte."""
        return self._text.seek(offset)

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Closes the file."""
        self._text.close()
        self._file.close()


class Zstd:
    """The text of a zstd file (RFC 8878), of any number of frames."""

    kind: Final = "zstd"

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = self._text = b""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes.

        Raises:
            BrokenDataError: the data break off or are damaged.
        """
        import zstandard

        try:
            while not self._text and self._more():
                pass
        except zstandard.ZstdError as error:
            raise BrokenDataError(str(error)) from None
        text = self._text if size < 0 else self._text[:size]
        self._text = self._text[len(text) :]
        return text

    def _more(self) -> bool:
        import zstandard

        packed = self._packed or self._file.read(_ZSTD_INPUT)
        self._packed = b""
        if not packed:
            if self._frame is not None:
                raise BrokenDataError("the last frame does not end")
            return False
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._text = self._frame.decompress(packed)
        if self._frame.eof:
            self._packed, self._frame = self._frame.unused_data, None
        return True

    def seek(self, offset: int, /) -> int:
        """Goes to the begin."""
        if offset:
            raise ValueError("a zstd file goes back to its begin only")
        self._file.seek(0)
        self._frame, self._packed, self._text = None, b"", b""
        return 0

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class Transcoded:
    """The bytes of another source, from an encoding such as UTF-16 to UTF-8.

    What is no text in that encoding becomes a byte that UTF-8 never has, so that its line alone becomes a dead letter.
    """

    def __init__(self, source: ByteSource, encoding: str) -> None:
        self._source = source
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(errors=_MARK)
        self._taken = 0
        self._text = b""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; half a character at the end waits for its rest."""
        while not self._text and (data := self._source.read(size)):
            self._taken += len(data)
            self._text = self._decoder.decode(data).encode(errors="surrogateescape")
        text = self._text if size < 0 else self._text[:size]
        self._text = self._text[len(text) :]
        return text

    def flush(self) -> bytes:
        """What half a character at the end becomes."""
        return self._decoder.decode(b"", final=True).encode(errors="surrogateescape")

    def seek(self, offset: int, /) -> int:
        """Goes to the begin."""
        if offset:
            raise ValueError("a transcoded file goes back to its begin only")
        self._decoder.reset()
        self._taken, self._text = 0, b""
        return self._source.seek(0)

    def tell(self) -> int:
        """Bytes of the other source that were taken."""
        return self._taken

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._source.fileno()

    def close(self) -> None:
        """Closes the file."""
        self._source.close()


_MARK: Final = "qraft-mark"
codecs.register_error(_MARK, lambda error: ("\udcff", error.end) if isinstance(error, UnicodeDecodeError) else ("", 0))


@lru_cache
def line_encoding(encoding: str) -> str | None:
    """The encoding to read single lines in: empty for UTF-8, None where lines cannot be told apart before decoding."""
    name = codecs.lookup(encoding).name
    if name in ("utf-8", "utf-8-sig", "ascii"):
        return ""
    ascii_bytes = bytes(range(128))
    try:
        keeps_ascii = ascii_bytes.decode(name) == ascii_bytes.decode("ascii")
    except UnicodeDecodeError:
        return None
    return name if keeps_ascii else None


def kind_of(source: ByteSource) -> str:
    """What has to be undone from the begin of a file: "gzip", "zstd", "encoding"; empty where a place can be gone to."""
    return "encoding" if isinstance(source, Transcoded) else getattr(source, "kind", "")
