"""Reliability: of the rows that got a confidence, how many lie where the labels say that something is wrong?"""

import csv
import json
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from river import datasets

from qraft.replay.axes import Scale
from qraft.replay.labels import read_labels, rows_of
from qraft.replay.scoring import Stream
from tests.bench.detection import benchmarks, shuttle
from tests.bench.detection.table import Table

Scored = dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]
"""By the name of a score: the score of each row, and whether the row lies in a labelled window."""

EDGES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0 + 1e-12)
FEWEST = 5
"""Rows a bin must hold to be drawn."""

_COLOURS = {"anomaly_score": "#d9534a", "abnormal": "#5f83a8", "change_score": "#8a63d2"}
_INK = "#7d838c"
_WHERE = {"tcpd": "within 5 rows of an annotated change", "shuttle": "in an anomalous class"}
_MARGIN = 5
_COLUMNS = ("anomaly_score", "abnormal", "change_score")


def calibration(scratch: Path, out: Path | None) -> list[Table]:
    """A table for each benchmark that is here, and with ``out`` a plot in that folder."""
    tables = []
    sources: dict[str, Callable[[Path], Scored]] = {"nab": _nab, "skab": _skab, "tcpd": _tcpd, "shuttle": _shuttle}
    for name, read in sources.items():
        if name != "shuttle" and (absent := benchmarks.missing(name)):
            tables.append(absent)
            continue
        scored = read(scratch / name)
        tables.append(_table(name, scored))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"calibration-{name}.svg").write_text(plot(name, scored), encoding="utf-8")
    return tables


def bins(scores: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_]) -> list[tuple[float, int, float]]:
    """Of each bin with enough rows: the mean score, the rows, the share of them inside."""
    found = []
    for low, high in pairwise(EDGES):
        kept = (scores >= low) & (scores < high)
        if kept.sum() >= FEWEST:
            found.append((float(scores[kept].mean()), int(kept.sum()), float(inside[kept].mean())))
    return found


def plot(name: str, scored: Scored) -> str:
    """A small SVG: confidence across, the share inside labelled windows up; dashed: the share of all rows."""
    across, up = Scale(0.0, 1.0, 50, 410), Scale(0.0, 1.0, 300, 40)
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="430" height="350" viewBox="0 0 430 350">',
        f"<title>{name}: share of rows in labelled windows by confidence</title>",
        f"<style>text{{font:12px system-ui,sans-serif;fill:{_INK}}}.g{{stroke:{_INK};stroke-opacity:.25}}</style>",
    ]
    for at in (0.0, 0.25, 0.5, 0.75, 1.0):
        out.append(f'<path class="g" d="M{across(at):.0f} 40V300M50 {up(at):.0f}H410"/>')
        out.append(f'<text x="{across(at):.0f}" y="316" text-anchor="middle">{at:g}</text>')
        out.append(f'<text x="44" y="{up(at) + 4:.0f}" text-anchor="end">{at:.0%}</text>')
    out.append('<text x="410" y="336" text-anchor="end">confidence</text>')
    out.append(f'<text x="8" y="14">{name}: share of the rows that lie {_WHERE.get(name, "in a labelled window")}</text>')
    for n, (label, (scores, inside)) in enumerate(scored.items()):
        colour, every = _COLOURS[label], float(inside.mean())
        points = bins(scores, inside)
        line = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, _, y in points)
        out.append(f'<path stroke="{colour}" stroke-dasharray="4 4" stroke-opacity=".7" d="M50 {up(every):.1f}H410"/>')
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{line}"/>')
        for x, rows, y in points:
            radius = 2 + 0.8 * np.log10(rows)
            out.append(
                f"<g><title>{label} {x:.2f}: {y:.1%} of {rows:,} rows</title>"
                f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="{radius:.1f}" fill="{colour}"/></g>'
            )
        out.append(f'<path d="M{8 + 125 * n} 27h14" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{26 + 125 * n}" y="31">{label}</text>')
    return "\n".join([*out, "</svg>", ""])


def _table(name: str, scored: Scored) -> Table:
    lines: list[tuple[str | int | float | None, ...]] = []
    for label, (scores, inside) in scored.items():
        for low, high in pairwise(EDGES):
            kept = (scores >= low) & (scores < high)
            share = float(inside[kept].mean()) if kept.any() else None
            lines.append((label, f"{low:g}-{min(high, 1.0):g}", int(kept.sum()), share))
        lines.append((label, "all", len(scores), float(inside.mean())))
    return Table(f"calibration {name}", ("score", "confidence", "rows", "share inside"), lines)


def _read(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    with path.open(newline="") as text:
        rows = list(csv.DictReader(text))
    return {name: np.array([float(row[name]) for row in rows]) for name in _COLUMNS}


def _joined(parts: list[tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.bool_]]], names: tuple[str, ...]) -> Scored:
    inside = np.concatenate([part for _, part in parts])
    return {name: (np.concatenate([scores[name] for scores, _ in parts]), inside) for name in names}


def _cut(scores: dict[str, npt.NDArray[np.float64]], first: int) -> dict[str, npt.NDArray[np.float64]]:
    return {name: values[first:] for name, values in scores.items()}


def _nab(out: Path) -> Scored:
    benchmarks.replay_nab(out)
    home, parts = benchmarks.HOME / "nab", []
    for name, windows in read_labels(home / "windows.json").items():
        if not (out / name).exists():
            continue
        with (home / "data" / name).open(newline="") as text:
            times = np.array([np.datetime64(row["timestamp"].replace(" ", "T"), "us") for row in csv.DictReader(text)])
        whole = times.astype(np.int64)
        stream = Stream(windows=rows_of(windows, whole), times_us=whole)
        inside = np.zeros(len(whole), dtype=np.bool_)
        for first, last in stream.windows:
            inside[first : last + 1] = True
        parts.append((_cut(_read(out / name), stream.probation), inside[stream.probation :]))
    return _joined(parts, _COLUMNS)


def _skab(out: Path) -> Scored:
    paths = benchmarks.replay_skab(out)
    parts: list[Any] = []
    for path in paths:
        with path.open(newline="") as text:
            truth = np.array([float(row["anomaly"]) == 1.0 for row in csv.DictReader(text, delimiter=";")])
        skip = benchmarks.SKAB_WARMUP
        parts.append((_cut(_read(out / path.relative_to(benchmarks.HOME / "skab")), skip), truth[skip:]))
    return _joined(parts, _COLUMNS)


def _tcpd(out: Path) -> Scored:
    benchmarks.replay_tcpd(out)
    notes = json.loads((benchmarks.HOME / "tcpd" / "annotations.json").read_text())
    parts: list[Any] = []
    for name, by in notes.items():
        scores = _read(out / f"{name}.csv")
        near = np.zeros(len(scores["change_score"]), dtype=np.bool_)
        for point in {int(at) for points in by.values() for at in points}:
            near[max(0, point - _MARGIN) : point + _MARGIN + 1] = True
        parts.append((scores, near))
    return _joined(parts, ("change_score",))


def _shuttle(_: Path) -> Scored:
    rows = list(islice(datasets.Shuttle(), shuttle.ROWS))
    abnormal, onset = shuttle.scores_of([{str(k): float(v) for k, v in x.items()} for x, _ in rows])
    truth = np.array([bool(y) for _, y in rows])
    return {"anomaly_score": (np.array(onset), truth), "abnormal": (np.array(abnormal), truth)}
