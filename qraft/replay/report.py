"""How a labelled replay scored: for the fused scores and for each detector by its patterns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.table import Table
from rich.text import Text

from qraft.replay.record import Labelled
from qraft.replay.scoring import PROFILES, Detections, Series, Stream, best_threshold, detections, nab_score


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """How one series scored at one threshold.

    Attributes:
        threshold: None where silence scores best.
        standard, low_fp, low_fn: the NAB score by profile, 100 is perfect, 0 silence; None without windows. Among the best
            each is that of its own best threshold.
        precision: share of the rows at or above the threshold that lie in windows; None where there are none.
        recall: share of the windows with such a row.
        delay_rows: mean of the windows caught, from their first row; ``delay_seconds`` the same in event time.
        caught: windows; ``inside`` and ``outside`` count rows.
    """

    threshold: float | None
    standard: float | None
    low_fp: float | None
    low_fn: float | None
    precision: float | None
    recall: float | None
    delay_rows: float | None
    delay_seconds: float | None
    caught: int
    inside: int
    outside: int


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One series: a fused score, or the patterns of a detector (whose type is then given).

    Attributes:
        line: at the alert line.
        best: at the best thresholds; precision, recall and delay at that of the standard profile.
    """

    name: str
    type: str = ""
    line: Marks
    best: Marks


class States(msgspec.Struct, frozen=True, kw_only=True):
    """The score ``abnormal`` row by row: a row is right where it is at or above the alert line within a window, else not."""

    f1: float
    precision: float
    recall: float
    false_alarm_rate: float


class InputScored(msgspec.Struct, frozen=True, kw_only=True):
    """One input: its windows, and what ``anomaly_score`` found at the alert line."""

    file: str
    windows: int
    line: Marks


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All labelled inputs together, the fused scores first, and each input in order."""

    labels: str
    alert_line: float
    inputs: int
    windows: int
    scores: list[Scored]
    abnormal: States
    files: list[InputScored]

    def json(self) -> bytes:
        """Indented JSON, with a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def figures(self) -> dict[str, Any]:
        """The figures of the fused anomaly score, for a summary."""
        fused = self.scores[0]
        delay = {"rows": fused.line.delay_rows, "seconds": fused.line.delay_seconds}
        every: dict[str, Any] = {name: getattr(fused.line, name) for name in (*PROFILES, "precision", "recall")}
        every["delay"] = {name: value for name, value in delay.items() if value is not None}
        every["best"] = {name: getattr(fused.best, name) for name in PROFILES}
        every["abnormal"] = {"f1": self.abnormal.f1, "false_alarm_rate": self.abnormal.false_alarm_rate}
        every["best"] = {name: value for name, value in every["best"].items() if value is not None}
        return {name: value for name, value in every.items() if value is not None and value != {}}

    def table(self) -> Table:
        """For a terminal."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("score", no_wrap=True)
        for heading in ("at", "standard", "low FP", "low FN", "precision", "recall", "delay", "rows"):
            table.add_column(heading, justify="right", no_wrap=True)
        for one in self.scores:
            table.add_row(Text(one.name), *_cells(one.line, f"{one.line.threshold:g}"))
            at = "-" if one.best.threshold is None else f"{one.best.threshold:.3g}"
            table.add_row("  at its best", *_cells(one.best, at), style="dim")
        return table

    def sentences(self) -> list[str]:
        """What stands below the table."""
        state = self.abnormal
        rows = f"F1 {state.f1:.2f}, precision {state.precision:.2f}, recall {state.recall:.2f}"
        false = f"false alarms in {state.false_alarm_rate:.1%} of the others"
        of = f"{_many(self.inputs, 'input')}, {_many(self.windows, 'window')}"
        return [
            f"{of}; 100 is perfect, 0 is silence; detectors are scored by their patterns",
            f"abnormal at {self.alert_line:g}, row by row: {rows}, {false}",
        ]


def read_report(path: Path) -> Report:
    """What `Report.json` wrote.

    Raises:
        OSError: the file cannot be read.
        msgspec.DecodeError: it holds something else.
    """
    return msgspec.json.decode(path.read_bytes(), type=Report)


def report_of(labelled: Sequence[Labelled], *, labels: str, line: float) -> Report:
    """Scores every series of the labelled inputs.

    Args:
        labelled: the inputs.
        labels: where the labels are from.
        line: the alert line.
    """
    streams = [one.stream for one in labelled]
    types = {name: kind for one in labelled for name, kind in one.types.items()}
    nothing = Series(rows=np.zeros(0, dtype=np.int64), scores=np.zeros(0))
    scores = [
        _scored(name, "", streams, [one.fused[name] for one in labelled], line) for name in ("anomaly_score", "change_score")
    ]
    scores += [
        _scored(name, types[name], streams, [one.detectors.get(name, nothing) for one in labelled], line)
        for name in sorted(types)
    ]
    return Report(
        labels=labels,
        alert_line=line,
        inputs=len(labelled),
        windows=sum(len(stream.windows) for stream in streams),
        scores=scores,
        abnormal=_states(labelled, line),
        files=[
            InputScored(
                file=one.name,
                windows=len(one.stream.windows),
                line=_marks([one.stream], [one.fused["anomaly_score"]], dict.fromkeys(PROFILES, line)),
            )
            for one in labelled
        ],
    )


def _scored(name: str, kind: str, streams: Sequence[Stream], series: Sequence[Series], line: float) -> Scored:
    best = {profile: best_threshold(streams, series, weights) for profile, weights in PROFILES.items()}
    lines = dict.fromkeys(PROFILES, line if not kind else 0.0)  # a pattern is there because its own line was reached
    at_line = _marks(streams, series, lines)
    return Scored(
        name=name,
        type=kind,
        line=msgspec.structs.replace(at_line, threshold=line),
        best=_marks(streams, series, best),
    )


def _marks(streams: Sequence[Stream], series: Sequence[Series], thresholds: dict[str, float]) -> Marks:
    threshold = thresholds["standard"]
    found: Detections = detections(streams, series, threshold)
    nab = {name: nab_score(streams, series, PROFILES[name], at) for name, at in thresholds.items()}
    return Marks(
        threshold=threshold if math.isfinite(threshold) else None,
        standard=nab["standard"],
        low_fp=nab["low_fp"],
        low_fn=nab["low_fn"],
        precision=found.precision,
        recall=found.recall,
        delay_rows=found.delay_rows,
        delay_seconds=found.delay_seconds,
        caught=found.caught,
        inside=found.inside,
        outside=found.outside,
    )


def _states(labelled: Sequence[Labelled], line: float) -> States:
    hit_in = hit_out = rows_in = rows_out = 0
    for one in labelled:
        skip, said = one.stream.probation, one.fused["abnormal"]
        inside = np.zeros(len(one.stream.times_us), dtype=np.bool_)
        for first, last in one.stream.windows:
            inside[first : last + 1] = True
        rows = said.rows[(said.scores >= line) & (said.rows >= skip)]
        hit_in += int(inside[rows].sum())
        hit_out += int((~inside[rows]).sum())
        rows_in += int(inside[skip:].sum())
        rows_out += int((~inside[skip:]).sum())
    return States(
        f1=2 * hit_in / max(hit_in + hit_out + rows_in, 1),
        precision=hit_in / max(hit_in + hit_out, 1),
        recall=hit_in / max(rows_in, 1),
        false_alarm_rate=hit_out / max(rows_out, 1),
    )


def _cells(marks: Marks, at: str) -> list[str]:
    nab = [_number(value, 1) for value in (marks.standard, marks.low_fp, marks.low_fn)]
    delay = "-" if marks.delay_seconds is None else _duration(marks.delay_seconds)
    return [at, *nab, _number(marks.precision, 2), _number(marks.recall, 2), delay, _number(marks.delay_rows, 0)]


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _duration(seconds: float) -> str:
    for size, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {letter}"
    return f"{seconds:.0f} s"
