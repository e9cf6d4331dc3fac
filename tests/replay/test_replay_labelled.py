"""Whole replays against labels: scores.json, pictures, what the terminal shows, and what is said of mistakes."""

import json
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from qraft.config import Settings
from qraft.replay import ReplayError, Summary, replay
from qraft.replay.png import find_converter
from qraft.replay.report import read_report

ROWS, AT = 1600, 1200


def stamp(row: int) -> str:
    return f"2026-01-{1 + row // 1440:02d} {row // 60 % 24:02d}:{row % 60:02d}:00"


def recording(path: Path, *, seed: int = 1, extra: str = "") -> None:
    """Noise that moves by twelve spreads at row 1,200; ``label`` is 1 in the 100 rows from there."""
    draw = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{stamp(n)},{draw.gauss(12.0 * (n >= AT), 1.0)},{draw.gauss(0.0, 1.0)},{int(AT <= n < AT + 100)}\n"
        for n in range(ROWS)
    ]
    path.write_text("time,a,b,label\n" + extra + "".join(rows))


def run(inputs: list[Path], out: Path, **options: Any) -> Summary:
    return replay(inputs, **{"time": "time", "settings": Settings(), "workers": 1, "progress": False, **options}, out=out)


def windows(folder: Path, table: dict[str, Any]) -> Path:
    path = folder / "windows.json"
    path.write_text(json.dumps(table))
    return path


def test_a_labelled_replay_is_scored_and_drawn(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.csv")
    recording(tmp_path / "in" / "below" / "b.csv", seed=2)
    labels = windows(tmp_path, {"a.csv": [[stamp(AT), stamp(AT + 99)]], "below/b.csv": [], "other.csv": []})
    options: dict[str, Any] = {"labels": labels, "fields": ["a", "b"]}
    summary = run([tmp_path / "in"], tmp_path / "out", **options)
    report = read_report(tmp_path / "out" / "scores.json")
    assert (report.inputs, report.windows, report.labels) == (2, 1, str(labels))
    assert [one.name for one in report.scores[:2]] == ["anomaly_score", "change_score"]
    assert [(one.file, one.windows) for one in report.files] == [("a.csv", 1), ("below/b.csv", 0)]
    change = report.scores[1]
    assert change.line.recall == 1.0
    assert change.line.delay_rows is not None
    assert change.line.delay_rows < 100
    assert change.line.delay_seconds == change.line.delay_rows * 60
    assert change.best.standard is not None
    assert change.line.standard is not None
    assert change.best.standard >= change.line.standard
    assert change.line.outside >= 1  # the same change in b.csv, which the labels do not hold
    patterns = [json.loads(line) for line in (tmp_path / "out" / "patterns.jsonl").read_text().splitlines()]
    named = {(one.name, one.type) for one in report.scores[2:]}
    assert named == {(pattern["detector"], pattern["type"]) for pattern in patterns}
    assert summary.labelled["best"]["standard"] == report.scores[0].best.standard
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["labelled"] == summary.labelled

    drawn = sorted(p.relative_to(tmp_path / "out" / "pictures").as_posix() for p in (tmp_path / "out").rglob("*.svg"))
    assert drawn == ["a.svg", "below/b.svg"]
    root = ElementTree.parse(tmp_path / "out" / "pictures" / "a.svg").getroot()
    said = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "label" not in said
    assert {"a", "b", "labelled window", "time, UTC"} <= set(said)

    text = shown(tmp_path, report.table(), *report.sentences())
    assert "2 inputs, 1 window;" in text
    assert "…" not in text

    run([tmp_path / "in"], tmp_path / "two", **{**options, "workers": 2})
    for name in ("scores.json", "pictures/a.svg", "pictures/below/b.svg"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def shown(folder: Path, *what: Any) -> str:
    with (folder / "screen").open("w") as screen:
        console = Console(width=80, record=True, file=screen)
        for one in what:
            console.print(one)
        return console.export_text()


def test_a_column_of_labels_says_the_same_and_is_not_judged(tmp_path: Path) -> None:
    recording(tmp_path / "a.csv")
    labels = windows(tmp_path, {"a.csv": [[stamp(AT), stamp(AT + 99)]]})
    run([tmp_path / "a.csv"], tmp_path / "windows", labels=labels, fields=["a", "b"])
    run([tmp_path / "a.csv"], tmp_path / "column", labels_column="label")
    one, two = (read_report(tmp_path / name / "scores.json") for name in ("windows", "column"))
    assert one.scores == two.scores
    assert one.abnormal == two.abnormal
    assert two.labels == "column label"
    assert (tmp_path / "windows" / "a.csv").read_bytes() == (tmp_path / "column" / "a.csv").read_bytes()


def test_without_labels_nothing_is_scored_and_pictures_are_asked_for(tmp_path: Path) -> None:
    recording(tmp_path / "a.csv")
    summary = run([tmp_path / "a.csv"], tmp_path / "plain", fields=["a"])
    assert sorted(p.name for p in (tmp_path / "plain").iterdir()) == [
        *("a.csv", "patterns.jsonl", "rejects.jsonl", "summary.json"),
    ]
    assert summary.labelled == {}
    run([tmp_path / "a.csv"], tmp_path / "drawn", fields=["a"], pictures=True)
    assert (tmp_path / "drawn" / "pictures" / "a.svg").exists()
    assert not (tmp_path / "drawn" / "scores.json").exists()


def test_rows_that_cannot_be_read_keep_their_place(tmp_path: Path) -> None:
    recording(tmp_path / "good.csv")
    recording(tmp_path / "bad.csv", extra=f"{stamp(0)},1\nnever,1,2,0\n")
    for name in ("good", "bad"):
        run([tmp_path / f"{name}.csv"], tmp_path / name, labels_column="label")
    good, bad = (read_report(tmp_path / name / "scores.json") for name in ("good", "bad"))
    assert bad.windows == 1
    assert [one.line.delay_rows for one in bad.scores] == [one.line.delay_rows for one in good.scores]


def test_row_numbers_are_labels_too(tmp_path: Path) -> None:
    recording(tmp_path / "a.csv")
    labels = windows(tmp_path, {"a.csv": [[AT, AT + 99]]})
    run([tmp_path / "a.csv"], tmp_path / "out", time="row", labels=labels, fields=["a", "b"])
    report = read_report(tmp_path / "out" / "scores.json")
    assert report.scores[1].line.caught == 1
    assert ">row number<" in (tmp_path / "out" / "pictures" / "a.svg").read_text()


def test_mistakes_are_one_sentence_and_write_nothing(tmp_path: Path) -> None:
    recording(tmp_path / "a.csv")
    (tmp_path / "odd.csv").write_text("time,a,label\n2026-01-01,1,0\n2026-01-02,2,maybe\n")
    (tmp_path / "lack.ndjson").write_text('{"time": "2026-01-01", "a": 1, "label": 0}\n{"time": "2026-01-02", "a": 1}\n')
    late = windows(tmp_path, {"a.csv": [["2030-01-01", "2030-01-02"]]})
    mistakes: list[tuple[str, dict[str, Any], str]] = [
        ("a.csv", {"labels": late, "labels_column": "label"}, "give one of them"),
        ("a.csv", {"labels": late}, r'"a\.csv": the window 2030-01-01 to 2030-01-02 holds no row'),
        ("a.csv", {"labels_column": "lable"}, r'no column "lable" for --labels-column; .* did you mean "label"'),
        ("odd.csv", {"labels_column": "label"}, r"odd\.csv, row 2: \"label\" holds 'maybe'; expected 0 or 1"),
        ("lack.ndjson", {"labels_column": "label"}, r'lack\.ndjson, row 2: has no "label"; expected 0 or 1'),
        ("odd.csv", {"labels": late}, r"no key names odd\.csv"),
    ]
    for name, options, said in mistakes:
        with pytest.raises(ReplayError, match=said) as caught:
            run([tmp_path / name], tmp_path / "out", **options)
        assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*"))


def test_a_file_that_breaks_off_is_not_scored_but_the_others_are(tmp_path: Path) -> None:
    import gzip

    recording(tmp_path / "in" / "good.csv")
    recording(tmp_path / "whole.csv", seed=3)
    packed = gzip.compress((tmp_path / "whole.csv").read_bytes(), mtime=0)
    (tmp_path / "in" / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ReplayError, match="break off"):
        run([tmp_path / "in"], tmp_path / "out", labels_column="label")
    assert [one.file for one in read_report(tmp_path / "out" / "scores.json").files] == ["good.csv"]


def test_png_files_are_made_where_a_program_can(tmp_path: Path) -> None:
    try:
        find_converter()
    except ReplayError as error:
        pytest.skip(str(error))
    recording(tmp_path / "a.csv")
    run([tmp_path / "a.csv"], tmp_path / "out", fields=["a"], png=True)
    data = (tmp_path / "out" / "pictures" / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(data[16:20], "big") == 1200


def test_without_such_a_program_png_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording(tmp_path / "a.csv")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReplayError, match=r"--png needs one of rsvg-convert, .* keep the SVG files"):
        run([tmp_path / "a.csv"], tmp_path / "out", png=True)
    assert not (tmp_path / "out").exists()
