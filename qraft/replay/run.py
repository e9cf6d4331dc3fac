"""``qraft replay``: files through the same Pipeline that the engine drives, many at once over the cores."""

from __future__ import annotations

import os
import shutil
import time as clock
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qraft.config import Settings
from qraft.ingest.files import delimiter_of
from qraft.replay.columns import check_columns, read_columns
from qraft.replay.errors import ReplayError
from qraft.replay.inputs import Input, find_inputs
from qraft.replay.labels import match_labels, read_labels
from qraft.replay.outcome import Outcome
from qraft.replay.png import find_converter
from qraft.replay.progress import progress_bar
from qraft.replay.record import Watch
from qraft.replay.report import Report, report_of
from qraft.replay.score import Job, replay_file, replay_settings
from qraft.replay.summary import Summary, summarise
from qraft.replay.workers import run_all

PATTERNS, REJECTS, SUMMARY = "patterns.jsonl", "rejects.jsonl", "summary.json"
SCORES, PICTURES = "scores.json", "pictures"
_DRAFTS = ".partial"


def replay(
    inputs: Sequence[Path],
    *,
    time: str,
    delimiter: str = "",
    fields: Sequence[str] = (),
    settings: Settings,
    like: str = "",
    labels: Path | None = None,
    labels_column: str = "",
    pictures: bool = False,
    png: bool = False,
    out: Path,
    workers: int | None = None,
    progress: bool = True,
) -> Summary:
    """Judges every row of every input and writes scores, patterns, rejects and a summary below ``out``.

    Each input is one source with a Pipeline of its own, so the results do not depend on the number of workers. They appear
    in ``out`` together once all inputs are through; an interrupted replay leaves ``out`` as it was.

    Args:
        inputs: CSV or NDJSON files, plain, gzip or zstd, and folders of such files.
        time: column of event time (NDJSON: field or dotted path); "row" is the row number where no such column exists. Files
            of events need none.
        delimiter: character between the columns of CSV files; a tab may be spelled as backslash and t. Empty takes a comma,
            or a tab where a file's ending is .tsv.
        fields: columns to judge; empty takes all that are numeric.
        settings: its [detect] and [feedback] hold for every input.
        like: name of a configured source; every input is judged as it is: its steps, entity, fields and detectors. Without
            it no source of the configuration counts.
        labels: JSON file of labelled windows (see `qraft.replay.labels`); the replay is scored against them.
        labels_column: column that is 1 in the rows of such windows; not judged. One of the two, or neither.
        pictures: draws each input below ``pictures``; with labels it is always done.
        png: makes PNG files of the pictures too.
        out: folder for the results; made when missing.
        workers: processes; None takes one a core.
        progress: shows a bar on stderr if that is a terminal.

    Raises:
        ReplayError: a mistake in the arguments, a result that cannot be written, or an input that is damaged. The last
            comes after everything that could be read was written.
    """
    began = clock.perf_counter()
    delimiter = "\t" if delimiter == "\\t" else delimiter
    if len(delimiter) > 1:
        raise ReplayError(f'a delimiter is one character, got "{delimiter}"')
    if like and like not in settings.sources:
        known = ", ".join(settings.sources) or "none"
        raise ReplayError(f'no source "{like}" is configured; configured: {known}')
    files = find_inputs(inputs, out)
    if not files:
        raise ReplayError("nothing to replay; name a file or a folder")
    columns = [read_columns(file, delimiter_of(file.path, delimiter)) for file in files]
    for file, has in zip(files, columns, strict=True):
        check_columns(file, has, time, fields, labels_column)
    watches = _watches(files, labels, labels_column, pictures=pictures or png)
    converter = find_converter() if png else None
    with _drafts(out) as drafts:
        jobs = [
            Job(
                file=file,
                columns=has,
                time=time,
                delimiter=delimiter_of(file.path, delimiter),
                settings=replay_settings(
                    settings, file, has, time, fields, like=like, exclude=[labels_column] * bool(labels_column)
                ),
                draft=drafts / str(number),
                watch=watch,
                converter=converter,
            )
            for number, (file, has, watch) in enumerate(zip(files, columns, watches, strict=True))
        ]
        outcomes = _run(jobs, workers, progress=progress)
        report = _report(outcomes, str(labels or f"column {labels_column}"), settings, like)
        each, seconds = [one.summary for one in outcomes], clock.perf_counter() - began
        summary = summarise(each, seconds, report.figures() if report is not None else None)
        _publish(jobs, drafts, out, summary, report)
    broken = [one.error for one in summary.inputs if one.error]
    if broken:
        more = f"; {len(broken) - 1} more inputs are damaged, see {SUMMARY}" if len(broken) > 1 else ""
        raise ReplayError(f"{broken[0]}; what could be read was replayed into {out}{more}")
    return summary


def _watches(files: Sequence[Input], labels: Path | None, labels_column: str, *, pictures: bool) -> Sequence[Watch | None]:
    """What is recorded of each input."""
    if labels is not None and labels_column:
        raise ReplayError("--labels and --labels-column are two sources of labels; give one of them")
    if labels is not None:
        return [Watch(windows=windows, picture=True) for windows in match_labels(labels, read_labels(labels), files)]
    if labels_column or pictures:
        return [Watch(column=labels_column, picture=True)] * len(files)
    return [None] * len(files)


def _report(outcomes: Sequence[Outcome], labels: str, settings: Settings, like: str) -> Report | None:
    labelled = [one.labelled for one in outcomes if one.labelled is not None]
    return report_of(labelled, labels=labels, line=settings.detect_for(like).line) if labelled else None


def _run(jobs: list[Job], workers: int | None, *, progress: bool) -> list[Outcome]:
    """Largest first, so that no core is left alone with it at the end; the outcomes come in the order of ``jobs``."""
    order = sorted(range(len(jobs)), key=lambda n: -jobs[n].file.size)
    count = min(workers or len(os.sched_getaffinity(0)), len(jobs))
    with progress_bar(sum(job.file.size for job in jobs), shown=progress) as tell:
        done = run_all(replay_file, [jobs[n] for n in order], workers=max(count, 1), tell=tell)
    by_number = dict(zip(order, done, strict=True))
    return [by_number[n] for n in range(len(jobs))]


@contextmanager
def _drafts(out: Path) -> Iterator[Path]:
    """A folder on the same disk as the results, gone in the end."""
    drafts = out / _DRAFTS
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(drafts, ignore_errors=True)
        drafts.mkdir()
    except OSError as error:
        raise ReplayError(f"{out}: cannot be written to: {error.strerror}; choose another --out") from None
    try:
        yield drafts
    except OSError as error:
        raise ReplayError(
            f"{error.filename2 or error.filename or out}: cannot be written: {error.strerror or error}"
        ) from None
    finally:
        shutil.rmtree(drafts, ignore_errors=True)


def _publish(jobs: Sequence[Job], drafts: Path, out: Path, summary: Summary, report: Report | None) -> None:
    for name, ending in ((PATTERNS, ".patterns"), (REJECTS, ".rejects")):
        with (drafts / name).open("wb") as whole:
            for job in jobs:
                with job.draft.with_suffix(ending).open("rb") as part:
                    shutil.copyfileobj(part, whole)
    (drafts / SUMMARY).write_bytes(summary.json())
    for job in jobs:
        target = out / job.file.scores
        target.parent.mkdir(parents=True, exist_ok=True)
        job.draft.with_suffix(".csv").replace(target)
        picture = out / PICTURES / job.file.scores
        for ending in (".svg", ".png"):
            if (draft := job.draft.with_suffix(ending)).exists():
                picture.parent.mkdir(parents=True, exist_ok=True)
                draft.replace(picture.with_suffix(ending))
    if report is not None:
        (drafts / SCORES).write_bytes(report.json())
    for name in (PATTERNS, REJECTS, SUMMARY, *([SCORES] if report is not None else [])):
        (drafts / name).replace(out / name)
