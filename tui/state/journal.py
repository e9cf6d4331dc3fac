"""Verdicts not yet stored by JetStream, one file each, so that they survive a disconnect, a restart and a crash.

A file per verdict, named by time and id and put in place by a rename, needs no lock and is never half written. Several
terminals may share the folder: each sends what it finds, and the same id is stored once.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from qraft.model import Feedback, decode_feedback, encode, us_from_iso


class JournalError(Exception):
    """The folder cannot be read or written."""


class Journal:
    """The folder of unsent verdicts. Opening it touches nothing; the folder is made with the first verdict."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, feedback: Feedback) -> None:
        """Keeps a verdict until ``remove``; when this returns, it is on the disk.

        Raises:
            JournalError: it could not be written.
        """
        target = self._path(feedback)
        draft = target.with_suffix(f".{os.getpid()}.draft")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(encode(feedback))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except OSError as error:
            raise JournalError(f"{self.folder}: {error.strerror or error}") from error

    def remove(self, feedback: Feedback) -> None:
        """Forgets a verdict; it is no mistake when it is gone already."""
        try:
            self._path(feedback).unlink(missing_ok=True)
        except OSError as error:
            raise JournalError(f"{self.folder}: {error.strerror or error}") from error

    def unsent(self) -> list[Feedback]:
        """The verdicts kept, the oldest first. A file that is no verdict is left alone and out."""
        found: list[Feedback] = []
        try:
            paths = sorted(self.folder.glob("*.json"))
        except OSError as error:
            raise JournalError(f"{self.folder}: {error.strerror or error}") from error
        for path in paths:
            try:
                found.append(decode_feedback(path.read_bytes()))
            except (OSError, msgspec.DecodeError, UnicodeDecodeError):
                continue
        return found

    def _path(self, feedback: Feedback) -> Path:
        return self.folder / f"{us_from_iso(feedback.timestamp):020d}-{feedback.feedback_id}.json"
