"""Finds files of cases, and runs them over the cores."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qraft.config import Settings
from qraft.config.detect import DetectSettings
from qraft.config.load import ConfigError, Problem, parse_as
from qraft.model import Event
from qraft.replay.cases.check import failures
from qraft.replay.cases.model import ENDING, Case, CaseFile
from qraft.replay.cases.stream import generate
from qraft.replay.columns import Columns
from qraft.replay.errors import ReplayError
from qraft.replay.rehearse import SOURCE, as_recorded, counting_bar, read_recording, rehearse, with_detectors
from qraft.replay.workers import Advance, run_all

_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Job:
    """One case, the file it stands in, and the configuration that it tests."""

    path: Path
    case: Case
    settings: Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case.

    Attributes:
        reasons: why it failed; empty where it passed.
        error: why it could not be run.
        rows: how many rows were judged.
        patterns: how many were found.
    """

    path: Path
    name: str
    reasons: list[str]
    error: str
    rows: int
    patterns: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether all that was expected was found."""
        return not (self.reasons or self.error)


def find_cases(places: Sequence[Path], settings: Settings, only: str = "") -> list[Job]:
    """The cases in files and below folders, in order; of the current folder where none is named.

    Args:
        places: files of any name, and folders, below which each file that ends in .test.toml is taken.
        settings: the configuration to test.
        only: takes the cases whose ``file::name`` holds this text, in capitals or not.

    Raises:
        ConfigError: mistakes in them; all are named.
        ReplayError: nothing is there.
    """
    paths: dict[Path, None] = {}
    for place in places or [Path()]:
        if place.is_dir():
            below = _below(place)
            if not below:
                raise ReplayError(f"{place}: no file below it ends in {ENDING}")
            paths.update(dict.fromkeys(below))
        elif place.exists():
            paths[place] = None
        else:
            raise ReplayError(f"{place}: no such file or folder")
    jobs: list[Job] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            jobs += [Job(path, case, settings) for case in load_cases(path).case]
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    chosen = [job for job in jobs if only.lower() in f"{job.path}::{job.case.name}".lower()]
    if not chosen:
        raise ReplayError(f'none of {len(jobs)} cases has "{only}" in its file or name')
    return chosen


def load_cases(path: Path) -> CaseFile:
    """A file of cases.

    Raises:
        ConfigError: it cannot be read, or holds mistakes; all are named, with file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {error}")]) from None
    return parse_as(CaseFile, text, str(path))


def run_cases(jobs: Sequence[Job], *, workers: int | None = None, progress: bool = True) -> list[Outcome]:
    """Runs every case, each on a Pipeline of its own; the outcomes come in the order of ``jobs``."""
    count = min(workers or len(os.sched_getaffinity(0)), len(jobs))
    with counting_bar("cases", len(jobs), shown=progress) as tell:
        return run_all(run_case, jobs, workers=count, tell=tell)


def run_case(job: Job, advance: Advance) -> Outcome:
    """Runs one case; ``advance`` is told 1 at its end, and 0 on the way, so that it may stop there."""
    began = clock.perf_counter()
    reasons: list[str] = []
    error, rows, patterns = "", 0, 0
    try:
        numbered, settings = _stream(job)
        rows = len(numbered)
        found = rehearse(numbered, settings, lambda _: advance(0))
        patterns = len(found)
        reasons = failures(job.case, found)
    except (ReplayError, ConfigError) as mistake:
        error = str(mistake)
    advance(1)
    return Outcome(job.path, job.case.name, reasons, error, rows, patterns, clock.perf_counter() - began)


def _stream(job: Job) -> tuple[list[tuple[int, Event]], Settings]:
    case, base = job.case, job.settings
    if case.stream is not None:
        columns = Columns(names=tuple(case.stream.names), csv=True)
        rows = list(generate(case.stream, SOURCE))
        settings = as_recorded(base, columns, job.path, time="", fields=case.fields, like=case.like)
    else:
        path = job.path.parent / Path(case.file).expanduser()
        recording = read_recording(path, base, time=case.time, delimiter=case.delimiter, fields=case.fields, like=case.like)
        rows, settings = recording.rows, recording.settings
    detect = settings.detect_for(SOURCE)
    return rows, with_detectors(settings, SOURCE, overridden(detect, case.detect))


def overridden(detect: DetectSettings, by: DetectSettings | None) -> DetectSettings:
    """``detect`` with the keys that are set in ``by``; sections are merged key by key."""
    if by is None:
        return detect
    return DetectSettings.model_validate(_merged(detect.model_dump(), by.model_dump(exclude_unset=True)))


def _merged(base: dict[str, Any], by: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in by.items():
        known = out.get(key)
        out[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return out


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS]
        found += [Path(parent) / name for name in files if name.endswith(ENDING) and not name.startswith(".")]
    return sorted(found)
