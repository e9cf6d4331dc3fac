"""State as bytes and back: a versioned header, a digest, and a pickle that may hold this project's own classes only.

What a detector of another package holds is a pickle inside, which may also hold that package's classes.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import sys
from importlib.metadata import version
from typing import Any, Final

from qraft import __version__

_MAGIC: Final = b"QRAFTST\x00"
_FORMAT: Final = 1
_HEADER: Final = struct.Struct("<8sH16s32s")
"""Magic, format, digest of the versions it was made by, digest of the body."""

_MODULES: Final = ("qraft.detect.", "river.")
_PLAIN: Final = frozenset(
    {
        ("array", "array"),
        ("array", "_array_reconstructor"),
        ("builtins", "complex"),
        ("builtins", "dict"),
        ("builtins", "float"),
        ("builtins", "int"),
        ("builtins", "list"),
        ("builtins", "range"),
        ("builtins", "set"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("collections", "deque"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
        ("random", "Random"),
    }
)
"""What holds values and runs nothing: containers, numbers, NumPy's arrays, a seeded generator."""


def made_by() -> str:
    """What a state depends on besides its format: this program, the interpreter, the library whose objects it may hold."""
    return f"qraft {__version__}, python {sys.version_info.major}.{sys.version_info.minor}, river {version('river')}"


def freeze(value: object) -> bytes:
    """The pickle of a value, without header."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def thaw(data: bytes, packages: tuple[str, ...] = ()) -> Any:
    """The value of `freeze`'s bytes.

    Args:
        data: the bytes.
        packages: names of packages whose classes it may hold besides our own.

    Raises:
        ValueError: the bytes hold something else.
    """
    try:
        return _Unpickler(data, packages).load()
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(f"the state cannot be read: {error}") from error


def seal(value: object) -> bytes:
    """A value with a header that tells format, versions and a digest."""
    body = freeze(value)
    return _HEADER.pack(_MAGIC, _FORMAT, _versions(), hashlib.sha256(body).digest()) + body


def unseal(data: bytes) -> Any:
    """The value of `seal`'s bytes.

    Raises:
        ValueError: the bytes are no snapshot, are damaged, or were made by other versions.
    """
    if len(data) < _HEADER.size:
        raise ValueError("this is not a snapshot of a Qraft pipeline")
    magic, layout, versions, digest = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    if magic != _MAGIC:
        raise ValueError("this is not a snapshot of a Qraft pipeline")
    if layout != _FORMAT:
        raise ValueError(f"the snapshot has format {layout}, this version reads format {_FORMAT}")
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("the snapshot is damaged: its digest does not match")
    if versions != _versions():
        raise ValueError(f"the snapshot was made by other versions of Qraft, Python or River than these ({made_by()})")
    return thaw(body)


def _versions() -> bytes:
    return hashlib.sha256(made_by().encode()).digest()[:16]


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, packages: tuple[str, ...]) -> None:
        super().__init__(io.BytesIO(data))
        self._modules = (*_MODULES, *(f"{package}." for package in packages))

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.".startswith(self._modules):
            found = super().find_class(module, name)
            if "." not in name or found.__module__ == module:  # a dotted name may also lead out of the module
                return found
        elif (module, name) in _PLAIN:
            return super().find_class(module, name)
        raise ValueError(f"the state holds {module}.{name}, which no snapshot of this project holds")
