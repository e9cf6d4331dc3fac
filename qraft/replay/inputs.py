"""What is replayed: finds the files, names each source and each score file."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from qraft.replay.errors import ReplayError

ENDINGS = tuple(f"{text}{packed}" for text in (".csv", ".tsv", ".ndjson", ".jsonl") for packed in ("", ".gz", ".zst"))
"""How the name of a file that can be replayed ends."""

_LONGEST_SOURCE = 64
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Input:
    """One file to replay.

    Attributes:
        path: where it is.
        name: how it is called in results: its path below the folder that was given, or its own name.
        source: its source's name, one NATS token, unique among the inputs.
        scores: where its score file goes, relative to the output folder.
        size: bytes of its text, of gzip as its trailer has it; for progress and order only.
    """

    path: Path
    name: str
    source: str
    scores: str
    size: int


def find_inputs(given: Sequence[Path], out: Path) -> list[Input]:
    """Every file that ``given`` names or holds, in the order given and by name within a folder, each once.

    Hidden files and whatever lies below ``out`` are passed over in folders.

    Raises:
        ReplayError: nothing is there, a name's ending is unknown, or two files would get one score file.
    """
    inputs: list[Input] = []
    seen: set[Path] = set()
    sources: set[str] = set()
    taken: dict[str, Path] = {}
    for path, name in _files(given, out.resolve()):
        real = path.resolve()
        if real in seen:
            continue
        seen.add(real)
        scores = _scores_name(name, taken)
        if scores in taken:
            raise ReplayError(
                f"{path} and {taken[scores]} would both be written to {out / scores}; "
                f"replay them into two folders, or give the folder above both"
            )
        taken[scores] = path
        source = _source_name(name, sources)
        sources.add(source)
        inputs.append(Input(path=path, name=name, source=source, scores=scores, size=_text_size(path)))
    for file in inputs:
        if (out / file.scores).resolve() in seen:
            raise ReplayError(f"{out / file.scores} is an input and would be overwritten; choose another --out")
    return inputs


def _files(given: Sequence[Path], out: Path) -> Iterator[tuple[Path, str]]:
    for place in given:
        if place.is_dir():
            if place.resolve() == out:
                raise ReplayError(f"{place} is both an input and --out; choose another --out")
            found = sorted(_below(place, out), key=lambda path: path.relative_to(place).parts)
            if not found:
                raise ReplayError(f"{place}: no file below it ends in {_endings()}")
            yield from ((path, path.relative_to(place).as_posix()) for path in found)
        elif not place.exists():
            raise ReplayError(f"{place}: no such file or folder")
        elif not place.is_file():
            raise ReplayError(f"{place}: not a file")
        elif not place.name.lower().endswith(ENDINGS):
            raise ReplayError(f"{place}: its name does not say its format; expected {_endings()} at the end")
        else:
            yield place, place.name


def _below(folder: Path, out: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = [name for name in folders if not name.startswith(".") and (here / name).resolve() != out]
        yield from (here / name for name in files if not name.startswith(".") and name.lower().endswith(ENDINGS))


def _endings() -> str:
    return ".csv, .tsv, .ndjson or .jsonl (.gz or .zst may follow)"


def _without_ending(name: str) -> str:
    ending = max((e for e in ENDINGS if name.lower().endswith(e)), key=len)
    return name[: -len(ending)]


def _scores_name(name: str, taken: Iterable[str]) -> str:
    """A CSV file keeps its name, others get ``.csv`` in place of their ending, or behind it where that name is taken."""
    if name.lower().endswith(".csv"):
        return name
    short = f"{_without_ending(name)}.csv"
    return short if short not in taken else f"{name}.csv"


def _text_size(path: Path) -> int:
    """A gzip file ends in the size of its text, modulo 4 GiB (RFC 1952)."""
    try:
        size = path.stat().st_size
        with path.open("rb") as packed:
            if packed.read(2) != _GZIP_MAGIC:
                return size
            packed.seek(-4, os.SEEK_END)
            return max(size, int.from_bytes(packed.read(4), "little"))
    except OSError:
        return 0  # who reads the file says what is wrong with it


def _source_name(name: str, taken: Iterable[str]) -> str:
    """The name's path as one token; one that is too long or taken ends in a digest of the whole name."""
    source = re.sub(r"[^A-Za-z0-9_-]", "-", _without_ending(name))
    if len(source) <= _LONGEST_SOURCE and source not in taken:
        return source
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{source[: _LONGEST_SOURCE - 9]}-{digest}"
