"""One input through one Pipeline: a score for each row, the patterns, the rejects. Constant memory."""

from __future__ import annotations

import csv
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from qraft.config import Settings
from qraft.config.sources import FileSource
from qraft.ingest.base import SourceError
from qraft.ingest.files import read_rows
from qraft.ingest.records import lookup
from qraft.ingest.rows import ROW_NUMBER
from qraft.model import PATTERN_TYPES, DeadLetter, Event, derive_id, encode_lines
from qraft.replay.columns import Columns
from qraft.replay.inputs import Input
from qraft.replay.outcome import Outcome, finish
from qraft.replay.record import Record, Watch
from qraft.replay.rejects import Rejects, end_of
from qraft.replay.summary import InputSummary
from qraft.replay.wire import TIMESTAMP, unwrapped
from qraft.replay.workers import Advance

log = logging.getLogger(__name__)

HEADER = ("timestamp", "anomaly_score", "abnormal", "change_score")
BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class Job:
    """One input, how it is read and judged, and where its results are written.

    Attributes:
        columns: the file's columns.
        time: column of event time, or "row"; empty takes that of the events in a file of such.
        settings: holds the input's source, as `replay_settings` makes it.
        draft: path without ending of the files written: ``.csv``, ``.patterns``, ``.rejects``; with a picture ``.svg``.
        watch: what is recorded for scoring and for a picture; None for nothing.
        converter: makes a ``.png`` of the picture too; None for no such file.
    """

    file: Input
    columns: Columns
    time: str
    delimiter: str
    settings: Settings
    draft: Path
    watch: Watch | None = None
    converter: Path | None = None


def replay_settings(
    settings: Settings,
    file: Input,
    columns: Columns,
    time: str,
    fields: Sequence[str],
    *,
    like: str = "",
    exclude: Sequence[str] = (),
) -> Settings:
    """The common settings, with the input as their only source: judged as the source ``like`` is, if that is given.

    ``exclude`` names columns that are not judged, besides those of ``like``.
    Preprocessing takes the time from the column, as it does in the engine; where the row number is the time, from the event.
    """
    own = settings.source(like)
    if columns.events and not time:
        time = own.time  # an event has its own, which the engine prefers to another's column just so
    source = FileSource(
        adapter="file",
        path=str(file.path),
        mode="replay",
        time=time if columns.holds(time) else "",
        fields=list(fields) or own.fields,
        exclude=[*own.exclude, *exclude],
        entity=own.entity,
        allowed_lateness_seconds=own.allowed_lateness_seconds,
        steps=own.steps,
        detect=own.detect,
    )
    return settings.model_copy(update={"sources": {file.source: source}})


def replay_file(job: Job, advance: Advance) -> Outcome:
    """Reads the input from its first row to its last and writes what the pipeline says of it.

    A file that breaks off is judged up to there; the summary's ``error`` says so, and it is not scored.

    Raises:
        OSError: a result cannot be written.
        ReplayError: a label is none, a labelled window holds no row, or a picture cannot be made.
    """
    began = time.perf_counter()
    replay = _Replay(job, advance)
    error = ""
    with (
        job.draft.with_suffix(".csv").open("w", encoding="utf-8", newline="") as scores,
        job.draft.with_suffix(".patterns").open("wb") as patterns,
        job.draft.with_suffix(".rejects").open("wb") as rejected,
        Rejects(job.file.path, job.file.name, rejected) as rejects,
    ):
        try:
            replay.run(scores, patterns, rejects)
        except SourceError as stopped:
            error = str(stopped)
    labelled = None
    if replay.record is not None:
        line = job.settings.detect_for(job.file.source).line
        axis = (job.time or TIMESTAMP) if job.time != ROW_NUMBER or job.columns.holds(job.time) else "row number"
        labelled = finish(replay.record, job.draft, axis=axis, line=line, converter=job.converter, whole=not error)
    return Outcome(replay.summary(time.perf_counter() - began, error), labelled)


class _Replay:
    def __init__(self, job: Job, advance: Advance) -> None:
        from qraft.pipeline import Pipeline  # imports River, which takes seconds, and which the parent does not need

        self._job = job
        self._advance = advance
        self._pipeline = Pipeline(job.settings)
        self.record = Record(job.file.name, job.watch) if job.watch is not None else None
        self._counts: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._done = 0

    def run(self, scores: TextIO, patterns: BinaryIO, rejects: Rejects) -> None:
        job = self._job
        table = csv.writer(scores, lineterminator="\n")
        table.writerow(HEADER)
        # Of a file of events no line has its time at the top; each event brings it.
        time = "" if job.columns.events else job.time
        rows = read_rows(job.file.path, job.file.source, delimiter=job.delimiter, time=time)
        if job.columns.events:
            rows = (unwrapped(row) if isinstance(row, Event) else row for row in rows)
        for batch in _batches(rows):
            self._step(batch, table, patterns, rejects)
        self._progress(job.file.size)

    def summary(self, seconds: float, error: str) -> InputSummary:
        return InputSummary(
            file=self._job.file.name,
            source=self._job.file.source,
            scores=self._job.file.scores,
            rows=self._counts["rows"],
            rejected=self._counts["rejected"],
            late=self._counts["late"],
            duplicates=self._counts["duplicates"],
            patterns={kind: self._kinds[kind] for kind in PATTERN_TYPES},
            seconds=round(seconds, 3),
            error=error,
        )

    def _step(self, batch: list[Event | DeadLetter], table: Any, patterns: BinaryIO, rejects: Rejects) -> None:
        events = [item for item in batch if isinstance(item, Event)]
        result = self._pipeline.step(events)
        scored, dead = iter(result.scores), {letter.dead_id: letter for letter in result.dead}
        first = self._counts["rows"]
        for item in batch:
            stamp, row = self._stamp(item), None
            if isinstance(item, DeadLetter):
                rejects.unreadable(item)
            elif (row := next(scored)) is None and (
                letter := dead.get(derive_id("dead", "preprocess", item.source, item.event_id))
            ) is not None:
                rejects.unusable(letter, item)
            table.writerow((stamp, row.anomaly, row.abnormal, row.change) if row is not None else (stamp, 0.0, 0.0, 0.0))
            self._counts["rows"] += 1
            if self.record is not None:
                self.record.row(stamp, row, self._flag(item))
        if self.record is not None:
            places = {item.event_id: n for n, item in enumerate(batch, first) if isinstance(item, Event)}
            self.record.found(result.patterns, places, result.clean)
        for notice in result.notices:
            log.warning("%s: %s", self._job.file.name, notice.text)
        patterns.write(encode_lines(result.patterns))
        self._kinds.update(pattern.type for pattern in result.patterns)
        self._counts["rejected"] += len(batch) - len(events) + len(result.dead)
        self._counts["late"] += len(result.late)
        self._counts["duplicates"] += len(result.duplicates)
        self._progress(end_of(events[-1]) if events else self._done)

    def _progress(self, offset: int) -> None:
        offset = min(offset, self._job.file.size)
        self._advance(offset - self._done)
        self._done = offset

    def _flag(self, item: Event | DeadLetter) -> Any:
        """The row's label, where a column holds them; that of a row that cannot be read counts as 0."""
        column = self._job.watch.column if self._job.watch is not None else ""
        if not column:
            return None
        return lookup(item.payload, column) if isinstance(item, Event) else "0"

    def _stamp(self, item: Event | DeadLetter) -> str:
        """The row's time as it stands in the file; its number where that is the time; empty where there is none."""
        time, columns = self._job.time, self._job.columns
        if time == ROW_NUMBER and not columns.holds(time):
            return str(self._counts["rows"])
        if isinstance(item, Event):
            value = lookup(item.payload, time) if time else item.timestamp
        else:
            value = columns.time_in(item.original, time, self._job.delimiter)
        return "" if value is None else str(value)


def _batches(rows: Iterable[Event | DeadLetter]) -> Iterator[list[Event | DeadLetter]]:
    """Batches in order; what came before an error comes out before it is raised."""
    batch: list[Event | DeadLetter] = []
    failure: SourceError | None = None
    try:
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH_ROWS:
                yield batch
                batch = []
    except SourceError as error:
        failure = error
    if batch:
        yield batch
    if failure is not None:
        raise failure
