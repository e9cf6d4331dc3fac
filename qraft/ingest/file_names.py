"""Which files a path means, in which order, and how rotation names the old ones."""

from __future__ import annotations

import glob
import os
import re
import stat
from pathlib import Path
from typing import Final, NamedTuple

_STAMP: Final = r"[._-]\d[\d._T:-]*"
_PACKED: Final = r"(?:\.gz|\.zst)?"


class Found(NamedTuple):
    """A file and what the system says of it; of a symbolic link, what it says of the target."""

    path: Path
    status: os.stat_result


class Files:
    """The files that a path or pattern means."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.several = glob.has_magic(pattern) and not os.path.exists(pattern)  # noqa: PTH110 - Path("") would be a folder
        self.base = _fixed(Path(pattern)) if self.several else Path(pattern).parent

    def find(self) -> list[Found]:
        """Every regular file there is now, in no order."""
        paths = [self.pattern]
        if self.several:
            paths = glob.glob(self.pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = []
        for path in paths:
            status = status_of(path)
            if status is not None:
                found.append(Found(Path(path), status))
        return found

    def name(self, path: Path) -> str:
        """What a file is called within the source: its path below the pattern's fixed part; empty for one file alone."""
        return self.below(path) if self.several else ""

    def below(self, path: Path) -> str:
        """Where a file is, from the pattern's fixed part."""
        return path.relative_to(self.base).as_posix() if path.is_relative_to(self.base) else str(path)

    def path_of(self, below: str) -> Path:
        """The path that `below` wrote; the one file itself where there is only one."""
        return self.base / below if self.several else Path(self.pattern)


def status_of(path: str | Path) -> os.stat_result | None:
    """What the system says of a regular file; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - ten thousand files are looked at
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts names as people do: part-2 before part-10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def is_rotated(path: Path, of: Path) -> bool:
    """Whether ``path`` is named as a rotation names an old ``of``: app.csv.1, app-20240101.csv, app.1.csv.gz."""
    stem, suffix = re.escape(of.stem), re.escape(of.suffix)
    return path.parent == of.parent and bool(
        re.fullmatch(rf"{stem}(?:{suffix}{_STAMP}|{_STAMP}{suffix}){_PACKED}", path.name)
    )


def siblings(path: Path, *, rotated: bool) -> list[Found]:
    """Other files in its folder that may be what had its name before: by a rotation's names, or by any that begins so."""
    found = []
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names alone are looked at first
    except OSError:
        return []
    if path.is_symlink() and not rotated:
        target = path.resolve()
        found += [Found(p, s) for p in target.parent.glob("*" + target.suffix) if p != target and (s := status_of(p))]
    for name in names:
        other = path.parent / name
        likely = is_rotated(other, path) if rotated else name.startswith(f"{path.stem}.") or is_rotated(other, path)
        if likely and other != path and (status := status_of(other)) is not None:
            found.append(Found(other, status))
    return sorted(found, key=lambda each: (each.path.suffix in (".gz", ".zst"), natural_key(each.path.name)))


def _fixed(pattern: Path) -> Path:
    """The folder above the first part that is a pattern."""
    parts: list[str] = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)
