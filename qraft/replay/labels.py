"""Labelled windows: which stretches of which file something was wrong in.

Two forms are read: a JSON object of files, each with its windows (``{"file.csv": [["start", "end"], ...]}``, the form of the
Numenta Anomaly Benchmark), and a column of the data whose rows are 1 where something is wrong and else 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from qraft.preprocess.times import parse_time
from qraft.replay.errors import ReplayError
from qraft.replay.inputs import Input

Times = npt.NDArray[np.int64]
Span = tuple[int, int]
"""The first and the last row of a window, counted from 0."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window of event time, both ends in it, UTC microseconds; ``text`` is how it is written, for messages."""

    start_us: int
    end_us: int
    text: str


Labels = dict[str, tuple[Window, ...]]
"""The windows of each file, by its name as the labels have it."""


def read_labels(path: Path) -> Labels:
    """The windows that a JSON file holds, in the order of their starts.

    Raises:
        ReplayError: the file cannot be read, or a window is none; the message names file and key.
    """
    try:
        table = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise ReplayError(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ReplayError(f"{path}: is not JSON: {error}") from None
    if not isinstance(table, dict):
        raise ReplayError(f'{path}: expected an object of files, as in {{"file.csv": [["start", "end"]]}}')
    return {name: _windows(path, name, given) for name, given in table.items()}


def _windows(path: Path, name: str, given: Any) -> tuple[Window, ...]:
    if not isinstance(given, list):
        raise ReplayError(f'{path}: "{name}": expected a list of windows, [["start", "end"], ...], or [] for none')
    windows = sorted((_window(path, name, n, one) for n, one in enumerate(given, 1)), key=lambda window: window.start_us)
    for before, after in pairwise(windows):
        if after.start_us <= before.end_us:
            raise ReplayError(f'{path}: "{name}": {before.text} and {after.text} overlap; make one window of them')
    return tuple(windows)


def _window(path: Path, name: str, number: int, given: Any) -> Window:
    where = f'{path}: "{name}": window {number}'
    if not isinstance(given, list) or len(given) != 2:
        raise ReplayError(f'{where}: expected ["start", "end"]')
    try:
        start, end = (parse_time(moment) for moment in given)
    except ValueError as error:
        raise ReplayError(f"{where}: {error}") from None
    if end < start:
        raise ReplayError(f"{where}: ends at {given[1]}, before it begins at {given[0]}")
    return Window(start, end, f"{given[0]} to {given[1]}")


def match_labels(path: Path, labels: Labels, inputs: Sequence[Input]) -> list[tuple[Window, ...]]:
    """The windows of each input. A label names an input by its whole path or by any end of it; the longest match counts.

    Labels of files that are not among the inputs are passed over.

    Raises:
        ReplayError: an input has no labels (one without windows has an empty list), or one name fits two inputs.
    """
    parts = {name: PurePosixPath(name).parts for name in labels}
    taken: dict[str, Input] = {}
    out = []
    for file in inputs:
        whole = file.path.absolute().parts
        fitting = [name for name, tail in parts.items() if tail and whole[-len(tail) :] == tail]
        if not fitting:
            close = difflib.get_close_matches(file.name, labels, 1, 0.5)
            nearest = f'; did you mean "{close[0]}"?' if close else ""
            raise ReplayError(f'{path}: no key names {file.name}{nearest} (an input without windows has "{file.name}": [])')
        name = max(fitting, key=lambda one: len(parts[one]))
        if name in taken:
            raise ReplayError(f'{path}: "{name}" fits {taken[name].path} and {file.path}; write more of their paths')
        taken[name] = file
        out.append(labels[name])
    return out


def rows_of(windows: Sequence[Window], times: Times) -> tuple[Span, ...]:
    """The rows of each window: from the first at its start (or after it) to the first at its end (or the last before it).

    Args:
        windows: in order.
        times: event time of each row, UTC microseconds.

    Raises:
        ValueError: a window holds no row; the text names it.
    """
    spans: list[Span] = []
    for window in windows:
        first = _first(times == window.start_us, times >= window.start_us)
        at_end = np.flatnonzero(times == window.end_us)
        before_end = np.flatnonzero(times <= window.end_us)
        last = int(at_end[0]) if at_end.size else int(before_end[-1]) if before_end.size else -1
        if first < 0 or last < first:
            raise ValueError(f"the window {window.text} holds no row")
        spans.append((first, last))
    return tuple(spans)


def _first(*wanted: npt.NDArray[np.bool_]) -> int:
    for rows in wanted:
        if rows.any():
            return int(np.argmax(rows))
    return -1


def runs_of(flags: npt.NDArray[np.bool_]) -> tuple[Span, ...]:
    """Consecutive true rows as windows."""
    padded = np.concatenate(([False], flags, [False])).astype(np.int8)
    steps = np.diff(padded)
    return tuple((int(a), int(b) - 1) for a, b in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True))
