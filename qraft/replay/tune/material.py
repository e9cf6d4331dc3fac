"""What tuning works on: a source's events and the verdicts on its patterns, or a file and its labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qraft.config import Settings
from qraft.ingest.records import lookup
from qraft.model import Event, Pattern, us_from_iso
from qraft.preprocess.times import parse_time
from qraft.replay.inputs import Input
from qraft.replay.labels import match_labels, read_labels
from qraft.replay.rehearse import SOURCE, read_recording
from qraft.replay.tune.marks import Marks, Span
from qraft.replay.tune.search import Task, near_us
from qraft.store import StoredPattern


def stored_task(
    events: Sequence[Event],
    patterns: Sequence[StoredPattern],
    settings: Settings,
    source: str,
    *,
    target: float,
    budget: int,
) -> Task:
    """A task from what is stored of a source; without any verdict that counts, by volume.

    A confirmed pattern is kept where a trial finds something about when it was, or since it began, whichever detector finds
    it; a false one is gone where its own detector finds nothing about when it was. "expected" and "new_normal" count for
    neither.
    """
    times = times_of(events, settings.source(source).time)
    near = near_us(sorted(times))

    marks = Marks(
        "verdicts",
        wanted=tuple(_wanted(one.pattern, near) for one in patterns if one.verdict == "confirmed"),
        unwanted=tuple(_unwanted(one.pattern, near) for one in patterns if one.verdict == "false_positive"),
    )
    if times:
        marks = marks.within(min(times), max(times))
    if not (marks.wanted or marks.unwanted):
        marks = Marks("volume")
    return Task(events, settings, source, marks, target, budget, times)


def file_task(
    path: Path,
    settings: Settings,
    *,
    time: str,
    delimiter: str,
    fields: Sequence[str],
    like: str,
    labels: Path | None,
    rows: int,
    target: float,
    budget: int,
) -> Task:
    """A task from a file, its last ``rows`` rows, and its labelled windows, if any are given.

    Raises:
        ReplayError: the file or its labels cannot be read.
    """
    recording = read_recording(path, settings, time=time, delimiter=delimiter, fields=fields, like=like)
    events = [event for _, event in recording.rows][-rows:]
    marks = Marks("volume")
    if labels is not None:
        file = Input(path=path, name=path.name, source=SOURCE, scores="", size=0)
        (windows,) = match_labels(labels, read_labels(labels), [file])
        marks = Marks("labels", tuple(Span(one.start_us, one.end_us) for one in windows))
    return Task(events, recording.settings, SOURCE, marks, target, budget, times_of(events, ""))


def times_of(events: Sequence[Event], time: str) -> list[int]:
    """Event time of each event: of the field that holds it, else of the event."""
    return [_time(event, time) for event in events]


def _time(event: Event, time: str) -> int:
    try:
        return parse_time(lookup(event.payload, time)) if time else us_from_iso(event.timestamp)
    except ValueError:
        return us_from_iso(event.timestamp)


def _wanted(pattern: Pattern, near: int) -> Span:
    at = us_from_iso(pattern.timestamp)
    began = us_from_iso(pattern.began) if pattern.began else at
    return Span(began - near, at + near, pattern.entity)


def _unwanted(pattern: Pattern, near: int) -> Span:
    at = us_from_iso(pattern.timestamp)
    return Span(at - near, at + near, pattern.entity, pattern.detector)
