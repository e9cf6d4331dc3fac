"""Where experiments are kept: one JSON file each, in a folder of the data directory."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from qraft.replay.errors import ReplayError
from qraft.replay.experiments.record import SHOWN_LETTERS, Experiment

FOLDER: Final = "experiments"
_decode = msgspec.json.Decoder(Experiment).decode


class Book:
    """The experiments below one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / FOLDER

    def add(self, experiment: Experiment) -> None:
        """Keeps an experiment: its file is there whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=self.folder, prefix=".draft-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(experiment.json())
            Path(draft).replace(self._path(experiment.id))
        except BaseException:
            with contextlib.suppress(OSError):
                Path(draft).unlink()
            raise

    def all(self) -> list[Experiment]:
        """Every experiment, newest first.

        Raises:
            ReplayError: a file among them cannot be read as one.
        """
        found = [self._read(path) for path in self.folder.glob("*.json")] if self.folder.is_dir() else []
        return sorted(found, key=lambda one: (one.when, one.id), reverse=True)

    def find(self, prefix: str) -> Experiment:
        """The one experiment whose id begins so.

        Raises:
            ReplayError: there is none, or there are several.
        """
        every = self.all()
        found = [one for one in every if one.id.startswith(prefix.lower())] if prefix else []
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(one.id for one in found[:5])
            raise ReplayError(f'"{prefix}" begins several ids: {ids}; give more letters')
        newest = f"; the newest is {every[0].id[:SHOWN_LETTERS]}" if every else "; none is recorded yet"
        raise ReplayError(f'no experiment "{prefix}" is in {self.folder}{newest}')

    def remove(self, experiment: Experiment) -> None:
        """Takes an experiment out.

        Raises:
            OSError: its file cannot be removed.
        """
        self._path(experiment.id).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _read(self, path: Path) -> Experiment:
        try:
            return _decode(path.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise ReplayError(f"{path}: cannot be read as an experiment: {error}; remove the file") from None
