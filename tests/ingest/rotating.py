"""Logs that a program writes and rotates in every way there is, for tests that follow them."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path


class Program:
    """Writes numbered rows to several logs, which all begin alike, and rotates them: by rename and by copy.

    A log may be rotated many times before anybody looks, once a row of it was stored. A log of which nothing was stored is
    not rotated: nothing tells its old generations from those that were there before anybody followed it.

    Attributes:
        written: the rows' numbers, in order.
        first_rows: how often the row was written with which all files begin.
        rotations: how often a file was rotated.
    """

    def __init__(self, folder: Path, seed: int, hurry: float = 1.0, *, packs: bool = False) -> None:
        """``hurry`` times as many rotations; ``packs`` compresses renamed files afterwards."""
        self.random = random.Random(seed)
        self.written: list[str] = []
        self.first_rows = self.rotations = 0
        self._folder = folder
        self._hurry = hurry
        self._packs = packs
        self._new: set[Path] = set()
        self._logs: list[Path] = []
        self._to_pack: list[Path] = []
        for _ in range(3):
            self._begin()

    def saw(self, names: set[str]) -> None:
        """Something of these files, by their names below the folder, is stored."""
        self._new -= {self._folder / name for name in names}

    def step(self) -> None:
        """Writes some rows to one log, and now and then rotates it."""
        path = self.random.choice(self._logs)
        self._write(path, self.random.randrange(1, 60))
        chance = self.random.random() / self._hurry
        if self._to_pack and chance > 0.5:
            self._pack(self._to_pack.pop(0))
        if path in self._new:
            return
        if chance < 0.03:
            self._rotate(path)
        elif chance < 0.05:
            self._copy_and_truncate(path)
        elif chance < 0.08 and len(self._logs) < 12:
            self._begin()

    def _begin(self) -> None:
        number = len(self._logs) + 1
        path = self._folder / f"part{number % 3}" / f"log{number}.csv"
        path.parent.mkdir(exist_ok=True)
        self._head(path)
        self._logs.append(path)
        self._new.add(path)

    def _head(self, path: Path) -> None:
        path.write_text("n,text\nfirst,of each file\n")
        self.first_rows += 1

    def _write(self, path: Path, rows: int) -> None:
        count = len(self.written)
        lines = [f"{count + n},{'x' * self.random.randrange(40)}\n" for n in range(rows)]
        self.written += [line.partition(",")[0] for line in lines]
        text = "".join(lines)
        cut = self.random.randrange(len(text))
        with path.open("a") as file:
            for part in (text[:cut], text[cut:]):
                file.write(part)
                file.flush()

    def _rotate(self, path: Path) -> None:
        """By rename, to a name that the pattern means or one that it does not."""
        self.rotations += 1
        names = (f"{path.stem}-{self.rotations}.csv", f"{path.name}.{self.rotations}")
        old = path.rename(path.with_name(self.random.choice(names)))
        if self._packs and old.suffix != ".csv":
            self._to_pack.append(old)
        self._head(path)

    def _copy_and_truncate(self, path: Path) -> None:
        self.rotations += 1
        path.with_name(f"{path.name}.{self.rotations}").write_bytes(path.read_bytes())
        os.truncate(path, 0)
        with path.open("a") as file:
            file.write("n,text\n")
        self._write(path, 1)

    def _pack(self, path: Path) -> None:
        """As gzip does: both files are there until it is done, and the time of the last change is kept."""
        packed, status = path.with_name(f"{path.name}.gz"), path.stat()
        packed.write_bytes(gzip.compress(path.read_bytes()))
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()
