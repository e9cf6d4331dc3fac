"""The labelled benchmarks that lie beside the repository: replayed with the defaults, scored by the scorers there."""

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from qraft.config import Settings
from qraft.replay import replay
from tests.bench.detection.table import Table, skipped

HOME = Path(__file__).resolve().parents[4] / "shared" / "benchmarks"
PROFILES = ("standard", "reward_low_FP_rate")
LINE = 0.5
_RESAMPLED = 2_000
SKAB_WARMUP = 400
_NO_SENSOR = {"datetime", "anomaly", "changepoint"}


def missing(name: str) -> Table | None:
    """A table that says the benchmark is not here; None where it is."""
    return None if (HOME / name).is_dir() else skipped(name, f"no folder {name} in shared/benchmarks beside the repository")


def replay_nab(out: Path) -> None:
    """Writes the scores of every file."""
    replay([HOME / "nab" / "data"], time="timestamp", fields=["value"], settings=Settings(), out=out, progress=False)


def replay_skab(out: Path) -> list[Path]:
    """Writes the scores of every file, its sensors alone; gives the files."""
    paths = sorted((HOME / "skab").rglob("*.csv"))
    with paths[0].open(newline="") as text:
        sensors = [name for name in next(csv.reader(text, delimiter=";")) if name not in _NO_SENSOR]
    settings = Settings()
    replay([HOME / "skab"], time="datetime", delimiter=";", fields=sensors, settings=settings, out=out, progress=False)
    return paths


def replay_tcpd(out: Path) -> None:
    """Writes the scores of every series."""
    replay([HOME / "tcpd" / "data"], time="t", settings=Settings(), out=out, progress=False)


def nab(out: Path) -> Table:
    """NAB's score at the alert line and at the best threshold, whole and by category, with its error over files."""
    home = HOME / "nab"
    if absent := missing("nab"):
        return absent
    replay_nab(out)
    scorer = _module(home / "score_nab.py")
    only = [line for line in (home / "files.txt").read_text().split() if line]
    files = scorer.load_labels(home / "data", home / "windows.json", only)
    scores = scorer.load_scores(out, files)
    lines: list[tuple[str | int | float | None, ...]] = []
    per_file: dict[str, Any] = {}
    for profile in PROFILES:
        for at, threshold in (("0.5", LINE), ("best", None)):
            got = scorer.evaluate(files, scores, profile, threshold)
            per_file = got["per_file"] if (profile, at) == (PROFILES[0], "0.5") else per_file
            error = _spread(scorer, list(got["per_file"].values()), profile)
            lines.append((f"{profile} at {at}", *_nab_cells(got, got["score"]), error, got["threshold"]))
    for category in sorted({name.partition("/")[0] for name in per_file}):
        part = [counts for name, counts in per_file.items() if name.startswith(f"{category}/")]
        total = {key: sum(one[key] for one in part) for key in ("raw", "windows", "windows_caught", "false_rows")}
        score = scorer.normalise(total["raw"], total["windows"], PROFILES[0])
        lines.append((f"  {category}", *_nab_cells({**total, "files": len(part)}, score), None, LINE))
    worst = sorted(per_file, key=lambda name: per_file[name]["raw"] - per_file[name]["windows"])[:10]
    notes = [
        "targets: standard at 0.5 >= 74, low-FP at 0.5 >= 66; the categories are standard at 0.5; +- over resampled files"
    ]
    notes += [_nab_note(name, per_file[name]) for name in worst]
    columns = ("profile", "files", "score", "windows", "caught", "false rows", "+-", "threshold")
    return Table("nab", columns, lines, notes, {"per_file": per_file})


def _nab_cells(got: dict[str, Any], score: float) -> tuple[int, float | None, int, int, int]:
    return got["files"], score if got["windows"] else None, got["windows"], got["windows_caught"], got["false_rows"]


def _nab_note(name: str, one: dict[str, Any]) -> str:
    short = one["windows"] - one["raw"]
    return (
        f"{name}: {short:.2f} short of perfect, {one['windows_caught']}/{one['windows']} caught, {one['false_rows']} false"
    )


def _spread(scorer: ModuleType, per_file: list[dict[str, Any]], profile: str) -> float:
    """The standard deviation of the score when the files are drawn anew, with replacement."""
    raw = np.array([one["raw"] for one in per_file])
    windows = np.array([one["windows"] for one in per_file])
    drawn = np.random.default_rng(0).integers(len(raw), size=(_RESAMPLED, len(raw)))
    return float(np.std([scorer.normalise(raw[one].sum(), windows[one].sum(), profile) for one in drawn]))


def skab(out: Path) -> Table:
    """SKAB's point-wise F1 and false alarms of ``abnormal``, at the line and at the best threshold."""
    home = HOME / "skab"
    if absent := missing("skab"):
        return absent
    paths = replay_skab(out)
    scorer = _module(home / "score_skab.py")
    truth = np.concatenate([scorer.column(path, "anomaly", ";")[SKAB_WARMUP:] for path in paths]) == 1
    lines: list[tuple[str | int | float | None, ...]] = []
    for column in ("abnormal", "anomaly_score"):
        found = np.concatenate([scorer.column(out / p.relative_to(home), column, ",")[SKAB_WARMUP:] for p in paths])
        best = max(np.unique(found), key=lambda threshold: _point_wise(truth, found >= threshold)[0])
        for at, threshold in (("0.5", LINE), ("best", float(best))):
            lines.append((f"{column} at {at}", *_point_wise(truth, found >= threshold), threshold))
    said = _scorer(home / "score_skab.py", "--data", home, "--results", out)
    if abs(said["f1"] - float(lines[0][1] or 0)) > 1e-3:
        raise AssertionError(f"the scorer says F1 {said['f1']}, here it is {lines[0][1]}")
    files = [_skab_file(scorer, path, out / path.relative_to(home)) for path in paths]
    notes = ["targets: F1 >= 0.80, false alarms <= 20 %", "by file at 0.5, F1/false alarms: " + ", ".join(files)]
    return Table("skab", ("score", "F1", "false alarms %", "missed %", "threshold"), lines, notes)


def _skab_file(scorer: ModuleType, path: Path, scores: Path) -> str:
    truth = np.array(scorer.column(path, "anomaly", ";")[SKAB_WARMUP:]) == 1
    f1, false, _ = _point_wise(truth, np.array(scorer.column(scores, "abnormal", ",")[SKAB_WARMUP:]) >= LINE)
    return f"{path.stem} {f1:.2f}/{false:.0f}"


def _point_wise(truth: Any, hit: Any) -> tuple[float, float, float]:
    tp, fp, fn, tn = (int(np.sum(a & b)) for a, b in ((hit, truth), (hit, ~truth), (~hit, truth), (~hit, ~truth)))
    return 2 * tp / max(1, 2 * tp + fp + fn), 100 * fp / max(1, fp + tn), 100 * fn / max(1, fn + tp)


def tcpd(out: Path) -> Table:
    """TCPD's F1 and covering of ``change_score``, at the line and at the best threshold, beside silence."""
    home = HOME / "tcpd"
    if absent := missing("tcpd"):
        return absent
    replay_tcpd(out)
    scorer = _module(home / "score_tcpd.py")
    notes = json.loads((home / "annotations.json").read_text())
    series = {
        path.stem: _column(out / f"{path.stem}.csv", "change_score") for path in sorted((home / "data").glob("*.json"))
    }
    everything = np.concatenate(list(series.values()))
    grid = np.unique(np.quantile(everything[everything > 0], np.linspace(0, 1, 200))) if everything.any() else [LINE]
    each = {float(t): _changes(scorer, notes, series, float(t)) for t in (*grid, LINE, 2.0)}
    by_f1, by_covering = (max(each, key=lambda t: float(np.mean([one[m] for one in each[t].values()]))) for m in (0, 1))
    rows = (("at 0.5", LINE), ("best F1", by_f1), ("best covering", by_covering), ("silence", 2.0))
    lines = [(label, *(float(np.mean([v[m] for v in each[t].values()])) for m in (0, 1)),
              sum(v[2] for v in each[t].values()), t if t <= 1 else None) for label, t in rows]  # fmt: skip
    by_series = ", ".join(f"{k} {f:.2f}/{c:.2f}({n})" for k, (f, c, n) in each[LINE].items())
    said = ["targets: F1 >= .72, covering >= .66", f"by series at 0.5, F1/covering(found): {by_series}"]
    return Table("tcpd", ("change_score", "F1", "covering", "found", "threshold"), lines, said)


def _changes(
    scorer: ModuleType, notes: Any, series: dict[str, Any], threshold: float
) -> dict[str, tuple[float, float, int]]:
    out = {}
    for name, scores in series.items():
        on = scores >= threshold
        found = [int(n) for n in np.flatnonzero(on & ~np.append(False, on[:-1]))]
        out[name] = scorer.f1(notes[name], found), scorer.covering(notes[name], found, len(on)), len(found)
    return out


def _column(path: Path, name: str) -> Any:
    with path.open(newline="") as text:
        return np.array([float(row[name]) for row in csv.DictReader(text)])


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _scorer(script: Path, *arguments: str | Path) -> Any:
    return json.loads(
        subprocess.run([sys.executable, str(script), *map(str, arguments)], capture_output=True, check=True).stdout
    )
