"""The form of a backup on the disk: a folder, a .tar or a .tar.zst of the same files, the manifest last.

Until all is written it stands beside its place under another name; what has no whole manifest is no backup.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, Protocol

import msgspec
import zstandard

from qraft.commands.backup_manifest import FORMAT, MANIFEST, BackupError, FileNote, Manifest

_SUFFIXES: Final = (".tar", ".tar.zst")
_LEVEL: Final = 3


class _Out(Protocol):
    """Where the files of a backup go."""

    def add(self, name: str, data: bytes) -> None:
        """Writes one file."""

    def close(self) -> None:
        """Ends the writing."""


class BackupWriter:
    """A backup that is being written. Used as a context: what `finish` did not finish goes."""

    def __init__(self, path: Path, *, replace: bool) -> None:
        """Prepares the place.

        Raises:
            BackupError: it is taken, or cannot be written.
        """
        self.path = path
        self._draft = path.with_name(f".{path.name}.part")
        self.files: list[FileNote] = []
        if path.exists() and not replace:
            raise BackupError(f"{path} is there already; --replace puts the new backup in its place once it is whole")
        if path.exists() and not _is_backup(path):
            raise BackupError(f"{path} is there already and is no backup of Qraft's; it is not replaced")
        with self._writing():
            _remove(self._draft)
            self._out: _Out = _TarOut(self._draft, path) if path.name.endswith(_SUFFIXES) else _FolderOut(self._draft)

    def __enter__(self) -> BackupWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._out.close()
        with contextlib.suppress(OSError):
            _remove(self._draft)

    @property
    def size(self) -> int:
        """Bytes of all files so far, before the .zst of the whole."""
        return sum(file.size for file in self.files)

    def add(self, name: str, data: bytes) -> None:
        """Writes one file.

        Raises:
            BackupError: it cannot be written.
        """
        with self._writing():
            self._out.add(name, data)
        self.files.append(FileNote(name, len(data), hashlib.sha256(data).hexdigest()))

    def finish(self, manifest: Manifest) -> None:
        """Writes the manifest and puts the backup in its place.

        Raises:
            BackupError: it cannot be written.
        """
        whole = msgspec.structs.replace(manifest, files=self.files).sealed()
        with self._writing():
            self._out.add(MANIFEST, msgspec.json.format(msgspec.json.encode(whole), indent=1))
            self._out.close()
            if self.path.is_dir():
                old = self.path.with_name(f".{self.path.name}.old")
                _remove(old)
                self.path.rename(old)
                self._draft.rename(self.path)
                _remove(old)
            else:
                self._draft.replace(self.path)
            _sync(self.path.parent)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackupError(f"{self.path} cannot be written: {error.strerror or error}") from None


class _FolderOut:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700)

    def add(self, name: str, data: bytes) -> None:
        for above in reversed(PurePosixPath(name).parents):
            (self._folder / above).mkdir(mode=0o700, exist_ok=True)
        with _create(self._folder / name) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Every file is closed by now."""


class _TarOut:
    def __init__(self, draft: Path, path: Path) -> None:
        self._file = _create(draft)
        self._to: Any = self._file
        if path.name.endswith(".zst"):
            self._to = zstandard.ZstdCompressor(level=_LEVEL).stream_writer(self._file, closefd=False)
        self._tar = tarfile.open(fileobj=self._to, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 closed by close

    def add(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o600
        self._tar.addfile(info, io.BytesIO(data))

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            self._tar.close()
            if self._to is not self._file:
                self._to.close()
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()


class BackupReader:
    """A backup on the disk."""

    def __init__(self, path: Path) -> None:
        """Looks at the place only.

        Raises:
            BackupError: there is nothing.
        """
        if not path.exists():
            raise BackupError(f"{path} does not exist")
        self.path = path

    def check(self) -> Manifest:
        """Reads all of it and compares it with its manifest.

        Raises:
            BackupError: a file is damaged, missing or too many, and which; or this is no backup.
        """
        seen: dict[str, FileNote] = {}
        text = b""
        for name, data in self.files():
            if name == MANIFEST:
                text = data
            else:
                seen[name] = FileNote(name, len(data), hashlib.sha256(data).hexdigest())
        if not text:
            raise BackupError(f"{self.path} has no {MANIFEST}: it is no whole backup of Qraft's")
        manifest = self._manifest(text)
        for note in manifest.files:
            found = seen.pop(note.name, None)
            if found is None:
                raise BackupError(f"{self.path} is damaged: {note.name} is missing")
            if found != note:
                raise BackupError(f"{self.path} is damaged: {note.name} is not what was written")
        if seen:
            raise BackupError(f"{self.path} is damaged: {min(seen)} does not belong to it")
        return manifest

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file with its name, in the order in which they were written, one in memory at a time.

        Raises:
            BackupError: the reading fails.
        """
        try:
            yield from self._folder() if self.path.is_dir() else self._tar()
        except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
            raise BackupError(f"{self.path} is damaged, or no backup of Qraft's: {error}") from None
        except OSError as error:
            raise BackupError(f"{error.filename or self.path} cannot be read: {error.strerror or error}") from None

    def _folder(self) -> Iterator[tuple[str, bytes]]:
        for file in sorted(self.path.rglob("*")):
            if file.is_file():
                yield file.relative_to(self.path).as_posix(), file.read_bytes()

    def _tar(self) -> Iterator[tuple[str, bytes]]:
        with self.path.open("rb") as file:
            packed = file.read(4) == zstandard.FRAME_HEADER
            file.seek(0)
            stream = zstandard.ZstdDecompressor().stream_reader(file) if packed else file
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    content = tar.extractfile(member)
                    if content is not None:
                        yield member.name, content.read()

    def _manifest(self, text: bytes) -> Manifest:
        try:
            number = msgspec.json.decode(text, type=dict[str, Any]).get("format")
            if isinstance(number, int) and number > FORMAT:
                raise BackupError(f"{self.path} was made by a newer Qraft (format {number}); restore it with that one")
            manifest = msgspec.json.decode(text, type=Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BackupError(f"{self.path} is damaged: {MANIFEST}: {error}") from None
        if manifest.sealed().digest != manifest.digest:
            raise BackupError(f"{self.path} is damaged: {MANIFEST} is not what was written")
        return manifest


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of a file's name in a backup."""
    return PurePosixPath(name).parts


def _is_backup(path: Path) -> bool:
    """Whether something may be replaced as a backup: by its manifest, or by the form of the file."""
    if path.is_dir():
        return (path / MANIFEST).is_file()
    try:
        return any(parts_of(name)[0] == "nats" for name, _ in _first(BackupReader(path).files()))
    except BackupError:
        return False


def _first(files: Iterator[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    one = next(files, None)
    return [] if one is None else [one]


def _create(path: Path) -> BinaryIO:
    """A new file that only its owner may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _sync(folder: Path) -> None:
    """Returns once the folder's entries are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
