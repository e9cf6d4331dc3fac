"""Content encodings of ClickHouse's HTTP interface."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

try:
    import lz4.frame as lz4  # type: ignore[import-untyped]  # it ships no types
except ImportError:  # clickhouse-connect brings it, up to Python 3.13
    lz4 = None

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL: Final = 1
_GZIP_WINDOW: Final = 31


class EncodingError(Exception):
    """A body that is not what its Content-Encoding says, or an encoding nobody here knows."""


class Encoder(Protocol):
    """One body on its way out; what `add` and `finish` gave, joined, is the encoded body."""

    def add(self, chunk: bytes) -> bytes:
        """The next chunk, so encoded that the reader can decode all of it at once."""
        ...

    def finish(self) -> bytes:
        """The end of the body."""
        ...


class _Plain:
    def add(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""


class _Lz4:
    def __init__(self) -> None:
        self._frame = lz4.LZ4FrameCompressor(auto_flush=True)
        self._head: bytes = self._frame.begin()

    def add(self, chunk: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.compress(chunk))

    def finish(self) -> bytes:
        return self._head + bytes(self._frame.flush())


class _Zstd:
    def __init__(self) -> None:
        self._frame = zstd.ZstdCompressor(_LEVEL)

    def add(self, chunk: bytes) -> bytes:
        return self._frame.compress(chunk, zstd.ZstdCompressor.FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._frame.flush()


class _Zlib:
    def __init__(self, window: int) -> None:
        self._frame = zlib.compressobj(_LEVEL, wbits=window)

    def add(self, chunk: bytes) -> bytes:
        return self._frame.compress(chunk) + self._frame.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._frame.flush()


_CODECS: Final[dict[str, tuple[Callable[[], Encoder], Callable[[bytes], Any]]]] = {
    "zstd": (_Zstd, zstd.decompress),
    "gzip": (lambda: _Zlib(_GZIP_WINDOW), gzip.decompress),
    "deflate": (lambda: _Zlib(zlib.MAX_WBITS), zlib.decompress),
}
if lz4 is not None:
    _CODECS["lz4"] = (_Lz4, lz4.decompress)


def choose(accepted: str) -> str:
    """The first encoding of an Accept-Encoding header that is known here; empty when there is none."""
    names = [part.split(";")[0].strip().lower() for part in accepted.split(",")]
    return next((name for name in names if name in _CODECS), "")


def encoder(encoding: str) -> Encoder:
    """An encoder for what `choose` gave."""
    return _CODECS[encoding][0]() if encoding else _Plain()


def compress(body: bytes, encoding: str) -> bytes:
    """A whole body in an encoding that `choose` gave."""
    one = encoder(encoding)
    return one.add(body) + one.finish()


def decompress(body: bytes, encoding: str) -> bytes:
    """A whole body that was sent with this Content-Encoding.

    Raises:
        EncodingError: the encoding is not known, or the body is not in it.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in _CODECS:
        raise EncodingError(f"Content-Encoding {encoding!r} is not supported; use one of {', '.join(_CODECS)}")
    try:
        return bytes(_CODECS[encoding][1](body))
    except (RuntimeError, OSError, EOFError, ValueError, zlib.error, zstd.ZstdError) as error:
        raise EncodingError(f"the body is not {encoding}: {error}") from None
