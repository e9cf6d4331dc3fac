"""Events of one source through one Pipeline in memory: what it finds, and where. Nothing is written."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from qraft.config import Settings
from qraft.config.detect import DetectSettings
from qraft.ingest.base import SourceError
from qraft.ingest.files import delimiter_of, read_rows
from qraft.model import Event, Pattern, us_from_iso
from qraft.replay.columns import Columns, check_columns, read_columns
from qraft.replay.errors import ReplayError
from qraft.replay.inputs import ENDINGS, Input
from qraft.replay.score import replay_settings

log = logging.getLogger(__name__)

_BATCH_ROWS = 500
SOURCE = "stream"
"""The name of the one source that is judged."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A pattern and the number of the row that raised it; rows count from 0, those that were not judged too."""

    row: int
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Recording:
    """The rows of a file, ready to be judged: each with its number, and the settings that judge them as `SOURCE`."""

    rows: list[tuple[int, Event]]
    settings: Settings


def rehearse(rows: Sequence[tuple[int, Event]], settings: Settings, advance: Callable[[int], None]) -> list[Finding]:
    """What a fresh Pipeline finds in numbered events, in the order in which it finds it.

    ``advance`` is told the rows done since the last time. A pattern that a step raised on a row of its own making (the end
    of a window) belongs to the last row that was not later.
    """
    from qraft.pipeline import Pipeline  # compiles and loads the detectors, which takes a second

    pipeline = Pipeline(settings)
    numbers = {event.event_id: number for number, event in rows}
    found: list[Finding] = []
    left = iter(rows)
    while batch := list(islice(left, _BATCH_ROWS)):
        result = pipeline.step([event for _, event in batch])
        for notice in result.notices:
            log.warning("%s", notice.text)
        found += [Finding(numbers.get(one.event_id, -1), one) for one in result.patterns]
        advance(len(batch))
    if any(one.row < 0 for one in found):
        found = _placed(found, rows)
    return found


def _placed(found: Sequence[Finding], rows: Sequence[tuple[int, Event]]) -> list[Finding]:
    times = [us_from_iso(event.timestamp) for _, event in rows]

    def row_of(pattern: Pattern) -> int:
        return rows[max(bisect_right(times, us_from_iso(pattern.timestamp)) - 1, 0)][0]

    return [one if one.row >= 0 else Finding(row_of(one.pattern), one.pattern) for one in found]


def with_detectors(settings: Settings, source: str, detect: DetectSettings) -> Settings:
    """``settings`` with ``source`` judged by ``detect``; the source has an entry of its own afterwards."""
    own = settings.source(source).model_copy(update={"detect": detect})
    return settings.model_copy(update={"sources": {source: own}})


def as_recorded(
    settings: Settings, columns: Columns, path: Path, *, time: str, fields: Sequence[str], like: str
) -> Settings:
    """``settings`` with `SOURCE` as their only source, judged as the source ``like`` is, if that is given.

    Raises:
        ReplayError: no such source is configured.
    """
    if like and like not in settings.sources:
        raise ReplayError(f'no source "{like}" is configured; configured: {", ".join(settings.sources) or "none"}')
    file = Input(path=path, name=path.name, source=SOURCE, scores="", size=0)
    return replay_settings(settings, file, columns, time, fields, like=like)


def read_recording(
    path: Path, settings: Settings, *, time: str, delimiter: str = "", fields: Sequence[str] = (), like: str = ""
) -> Recording:
    """Every row of a file that can be read, as `qraft replay` would take it.

    Raises:
        ReplayError: the file cannot be read, or has no such column.
    """
    if not path.is_file():
        raise ReplayError(f"{path}: no such file")
    if not path.name.lower().endswith(ENDINGS):
        raise ReplayError(f"{path}: its name does not say its format; expected .csv, .tsv, .ndjson or .jsonl at the end")
    split = delimiter_of(path, "\t" if delimiter == "\\t" else delimiter)
    if len(split) > 1:
        raise ReplayError(f'a delimiter is one character, got "{delimiter}"')
    file = Input(path=path, name=path.name, source=SOURCE, scores="", size=0)
    columns = read_columns(file, split)
    check_columns(file, columns, time, fields)
    try:
        rows = enumerate(read_rows(path, SOURCE, delimiter=split, time=time))
        events = [(number, row) for number, row in rows if isinstance(row, Event)]
    except SourceError as error:
        raise ReplayError(str(error)) from None
    return Recording(events, as_recorded(settings, columns, path, time=time, fields=fields, like=like))


@contextmanager
def counting_bar(what: str, total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how much of ``total`` is done; the bar is on stderr, where that is a terminal."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda _: None
        return
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
