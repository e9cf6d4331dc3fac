"""Where an archive stands: a folder, or a prefix in a bucket of an S3 server. Blocking; for threads.

Names are relative and have ``/`` between their parts. A file appears under its name only when all of it is written: a folder
gets it by a rename, S3 by completing the upload. Only what a manifest names counts; a file that is left over does no harm.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Final, Protocol
from urllib.parse import urlsplit

from qraft.config.store import S3, ArchiveSettings
from qraft.store.archive_errors import ArchiveError

PART: Final = ".part"
"""Ending of a file of a folder that is not yet whole."""

_CHUNK_BYTES: Final = 1024 * 1024
_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0
_ATTEMPTS: Final = 3


class Sink:
    """A file that is being written; pyarrow takes it as a Python file.

    Attributes:
        bytes: how many were written.
    """

    closed = False

    def __init__(self, file: Any) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """The digest of what was written."""
        return self._digest.hexdigest()

    def write(self, data: Any) -> int:
        """Writes bytes; how many."""
        view = memoryview(data)
        self._file.write(view)
        self._digest.update(view)
        self.bytes += view.nbytes
        return view.nbytes

    def flush(self) -> None:
        """Left to the end: only then does the file count."""

    def close(self) -> None:
        """Left to whoever opened it."""


class Place(Protocol):
    """The files of one archive. Every method may raise `ArchiveError`."""

    def write(self, name: str) -> AbstractContextManager[Sink]:
        """A new file in place of one of that name, which appears when the context ends without an error."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A file for reading, from any place in it."""
        ...

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names of the files and folders right below ``folder`` ("" for the top), in order; none where it is absent."""
        ...

    def delete(self, name: str) -> None:
        """Removes a file, if it is there."""
        ...


def open_place(settings: ArchiveSettings) -> Place:
    """The place that the settings name.

    Raises:
        ArchiveError: none is named, or a variable for a key is not set.
    """
    if not settings.url:
        raise ArchiveError('no archive is configured; name a folder or "s3://bucket/prefix" in store.archive.url')
    return _Bucket(settings) if settings.url.startswith(S3) else _Folder(Path(settings.url))


def digest_of(place: Place, name: str, copy: IO[bytes] | None = None) -> tuple[int, str]:
    """Bytes and SHA-256 of a file, read once; ``copy`` gets what was read.

    Raises:
        ArchiveError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with place.open(name) as file, _told(place, name, "read"):
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            if copy is not None:
                copy.write(chunk)
    return size, digest.hexdigest()


@contextlib.contextmanager
def _told(place: object, name: str, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{place}/{name}" if name else str(place)
        reason = error.strerror or " ".join(str(error).split())
        raise ArchiveError(f"{where}: cannot be {doing}: {reason}") from None


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path.expanduser()

    def __str__(self) -> str:
        return str(self._path)

    @contextlib.contextmanager
    def write(self, name: str) -> Iterator[Sink]:
        path = self._path / name
        part = path.with_name(path.name + PART)
        with _told(self, name, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                yield Sink(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _keep_names(path.parent)

    def open(self, name: str) -> IO[bytes]:
        with _told(self, name, "read"):
            return (self._path / name).open("rb")

    def size(self, name: str) -> int | None:
        with _told(self, name, "read"):
            try:
                return (self._path / name).stat().st_size
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        with _told(self, folder, "listed"):
            try:
                return sorted(path.name for path in (self._path / folder).iterdir())
            except FileNotFoundError:
                return []

    def delete(self, name: str) -> None:
        with _told(self, name, "removed"):
            (self._path / name).unlink(missing_ok=True)


def _keep_names(folder: Path) -> None:
    """Makes the names in a folder outlast a power failure (fsync(2): a file's own flush does not)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Bucket:
    """Through Arrow's own S3 client, which is loaded here and not before."""

    def __init__(self, settings: ArchiveSettings) -> None:
        from pyarrow import fs  # type: ignore[import-untyped]  # has no annotations

        endpoint = urlsplit(settings.endpoint)
        given: dict[str, Any] = {}
        if settings.access_key_env:
            given |= {"access_key": _variable(settings.access_key_env), "secret_key": _variable(settings.secret_key_env)}
        if settings.endpoint:
            given |= {"endpoint_override": endpoint.netloc + endpoint.path.rstrip("/"), "scheme": endpoint.scheme}
        if region := settings.region or os.environ.get("AWS_REGION", ""):
            given["region"] = region
        self._top = settings.url.removeprefix(S3).rstrip("/")
        self._kinds = fs.FileType
        self._selector = fs.FileSelector
        with _told(self, "", "reached"):
            self._fs = fs.S3FileSystem(
                connect_timeout=_CONNECT_SECONDS,
                request_timeout=_ANSWER_SECONDS,
                retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
                **given,
            )

    def __str__(self) -> str:
        return f"{S3}{self._top}"

    @contextlib.contextmanager
    def write(self, name: str) -> Iterator[Sink]:
        with _told(self, name, "written"):
            file = self._fs.open_output_stream(f"{self._top}/{name}")
            try:
                yield Sink(file)
            except BaseException:
                with contextlib.suppress(
                    OSError
                ):  # Arrow cannot give an upload up: it completes what there is, so that goes
                    file.close()
                    self._fs.delete_file(f"{self._top}/{name}")
                raise
            file.close()

    def open(self, name: str) -> IO[bytes]:
        with _told(self, name, "read"):
            file: IO[bytes] = self._fs.open_input_file(f"{self._top}/{name}")
            return file

    def size(self, name: str) -> int | None:
        with _told(self, name, "read"):
            info = self._fs.get_file_info(f"{self._top}/{name}")
            return info.size if info.type == self._kinds.File else None

    def names(self, folder: str) -> list[str]:
        with _told(self, folder, "listed"):
            below = f"{self._top}/{folder}".rstrip("/")
            found = self._fs.get_file_info(self._selector(below, allow_not_found=True))
            return sorted(info.base_name for info in found)

    def delete(self, name: str) -> None:
        with _told(self, name, "removed"), contextlib.suppress(FileNotFoundError):
            self._fs.delete_file(f"{self._top}/{name}")


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ArchiveError(f"store.archive: the environment variable {name} is not set")
    return value
