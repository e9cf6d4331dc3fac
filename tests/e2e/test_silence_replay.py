"""`qraft replay` of a file with a gap and a frozen field: both are in the patterns and the scores."""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from pathlib import Path

from qraft.model import decode_pattern, iso_from_us

START_US = 1_700_000_000_000_000
SECOND = 1_000_000
GAP, AFTER_GAP, FROZEN, MOVES = 600, 850, 1000, 1060


def write(path: Path) -> None:
    draw = random.Random(7)
    with path.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(("t", "temp", "load"))
        for second in (*range(GAP), *range(AFTER_GAP, 1400)):
            temp = 21.4 if FROZEN <= second < MOVES else draw.gauss(20, 1)
            table.writerow((iso_from_us(START_US + second * SECOND), f"{temp:.6f}", f"{draw.gauss(5, 1):.6f}"))


def test_a_gap_and_a_frozen_field(tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out"
    write(rows)
    command = [sys.executable, "-m", "qraft.cli", "replay", str(rows), "--time", "t", "--out", str(out), "--json"]
    subprocess.run([*command, "--data-dir", str(tmp_path / "data")], check=True, capture_output=True, timeout=100)
    found = [decode_pattern(line) for line in (out / "patterns.jsonl").read_bytes().splitlines()]
    silence, *others = [pattern for pattern in found if pattern.detector == "silence"]
    assert others == []
    assert silence.kind == "silence"
    assert silence.timestamp == iso_from_us(START_US + AFTER_GAP * SECOND)
    assert silence.began == iso_from_us(START_US + GAP * SECOND)
    assert silence.summary == "no row for 4 min 11 s; usual gap 1 s; back now"
    flat, back = [pattern for pattern in found if pattern.detector == "flat"]
    assert (flat.kind, back.kind) == ("flat", "return")
    assert flat.contributors[0].field == "temp"
    assert flat.timestamp < iso_from_us(START_US + (FROZEN + 15) * SECOND)
    assert back.timestamp == iso_from_us(START_US + MOVES * SECOND)
    abnormal = scores(out, "abnormal")
    assert min(abnormal[FROZEN + 15 - (AFTER_GAP - GAP) : MOVES - (AFTER_GAP - GAP)]) >= 0.5
    assert scores(out, "anomaly_score")[GAP] >= 0.5


def scores(out: Path, column: str) -> list[float]:
    (table,) = [path for path in out.rglob("*.csv") if path.stem == "rows"]
    with table.open(encoding="utf-8", newline="") as lines:
        return [float(line[column]) for line in csv.DictReader(lines)]
