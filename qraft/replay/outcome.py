"""What one replayed input leaves besides its score file: its picture, and what is scored against labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qraft.replay.picture import Mark, Picture, svg_of
from qraft.replay.png import to_png
from qraft.replay.record import MOST_FIELDS, MOST_PATTERNS, Labelled, Record
from qraft.replay.summary import InputSummary

_NUMBERS_BELOW_US: Final = 100_000_000 * 1_000_000
"""Times below this many seconds (1973) are plain numbers, such as row numbers."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The summary of one input, and what scoring needs of it; None without labels or where the file broke off."""

    summary: InputSummary
    labelled: Labelled | None


def finish(record: Record, draft: Path, *, axis: str, line: float, converter: Path | None, whole: bool) -> Labelled | None:
    """Draws the picture that is asked for, to ``draft`` with the endings ``.svg`` and ``.png``; gives what scoring needs.

    Args:
        record: the input, to its last row.
        draft: path without ending.
        axis: what the time column is called where its values are plain numbers.
        line: the alert line.
        converter: makes the PNG; None for none.
        whole: whether the file was read to its end; one that broke off is not scored.

    Raises:
        OSError: the picture cannot be written.
        ReplayError: a labelled window holds no row, or the PNG cannot be made.
    """
    labelled = record.labelled() if record.watch.labelled and whole else None
    if record.watch.picture:
        svg = svg_of(_picture(record, labelled, axis, line))
        draft.with_suffix(".svg").write_text(svg, encoding="utf-8")
        if converter is not None:
            to_png(converter, draft.with_suffix(".svg"), draft.with_suffix(".png"), _size_of(svg))
    return labelled


def _picture(record: Record, labelled: Labelled | None, axis: str, line: float) -> Picture:
    timed = record.last_us >= _NUMBERS_BELOW_US
    unit = 1.0 if timed else 1e6
    marks = sorted(record.marks, key=lambda mark: -mark.confidence)[:MOST_PATTERNS]
    notes = []
    if record.fields > MOST_FIELDS:
        notes.append(f"{MOST_FIELDS} of {record.fields} fields")
    if len(record.marks) > MOST_PATTERNS:
        notes.append(f"the surest {MOST_PATTERNS} of {len(record.marks):,} patterns")
    windows = None
    if labelled is not None:
        times = labelled.stream.times_us
        windows = [(float(times[a]) / unit, float(times[b]) / unit) for a, b in labelled.stream.windows]
    return Picture(
        title=record.name,
        axis="time, UTC" if timed else axis,
        values={name: [(x / unit, y) for x, y in line.points()] for name, line in record.values.items()},
        scores={name: [(x / unit, y) for x, y in line.points()] for name, line in record.scores.items()},
        marks=[
            Mark(mark.time_us / unit, mark.type, f"{mark.detector} {mark.confidence:.2f}: {mark.summary}")
            for mark in sorted(marks, key=lambda mark: (mark.time_us, mark.detector))
        ],
        windows=windows,
        line=line,
        note="; ".join(notes),
    )


def _size_of(svg: str) -> tuple[int, int]:
    _, width, _, height = svg.partition("viewBox")[0].split('"')[-5:-1]
    return int(width), int(height)
