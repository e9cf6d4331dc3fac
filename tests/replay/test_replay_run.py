"""Whole replays of real files through the real Pipeline."""

import csv
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from qraft.config import Settings, parse
from qraft.ingest.files import read_rows
from qraft.model import Event, decode_pattern, encode_lines
from qraft.pipeline import Pipeline
from qraft.replay import ReplayError, Summary, replay
from qraft.replay.score import replay_settings

HEADER = ["timestamp", "anomaly_score", "abnormal", "change_score"]


def stamp(second: int) -> str:
    return f"2026-01-01 {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def values(count: int, seed: int = 1, shift: float = 8.0) -> list[tuple[str, float, float]]:
    """Time, a, b; ``a`` moves in the middle."""
    draw = random.Random(seed)
    return [(stamp(n), draw.gauss(shift * (n >= count // 2), 1.0), draw.gauss(0.0, 1.0)) for n in range(count)]


def write_csv(path: Path, count: int, seed: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "time,a,b\n" + "".join(f"{t},{a},{b}\n" for t, a, b in values(count, seed))
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())


def write_ndjson(path: Path, count: int, seed: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps({"time": t, "a": a, "b": b}) + "\n" for t, a, b in values(count, seed))
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())


def mixed(folder: Path) -> Path:
    write_csv(folder / "first.csv", 900, 1)
    write_csv(folder / "below" / "second.csv.gz", 700, 2)
    write_ndjson(folder / "below" / "third.ndjson", 600, 3)
    write_ndjson(folder / "below" / "deeper" / "fourth.jsonl.gz", 500, 4)
    (folder / "broken.csv").write_text("time,a,b\n2026-01-01,1\nnever,1,2\n")
    (folder / "notes.md").write_text("not data")
    return folder


def scores(path: Path) -> list[list[str]]:
    with path.open(newline="") as text:
        head, *rows = csv.reader(text)
    assert head == HEADER
    return rows


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def run(given: list[Path], out: Path, **options: Any) -> Summary:
    return replay(given, **{"time": "time", "settings": Settings(), "out": out, "workers": 1, "progress": False, **options})


def test_a_folder_of_mixed_files(tmp_path: Path) -> None:
    summary = run([mixed(tmp_path / "in")], tmp_path / "out")
    out = tmp_path / "out"
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == [
        "below/deeper/fourth.csv",
        "below/second.csv",
        "below/third.csv",
        "broken.csv",
        "first.csv",
        "patterns.jsonl",
        "rejects.jsonl",
        "summary.json",
    ]
    assert [i.rows for i in summary.inputs] == [500, 700, 600, 2, 900]
    assert [len(scores(out / i.scores)) for i in summary.inputs] == [500, 700, 600, 2, 900]
    assert [row[0] for row in scores(out / "below" / "third.csv")] == [stamp(n) for n in range(600)]
    for one in summary.inputs:
        assert all(0.0 <= float(cell) <= 1.0 for row in scores(out / one.scores) for cell in row[1:])
    assert summary.rows == 2702
    assert (summary.rejected, summary.late, summary.duplicates) == (2, 0, 0)
    assert json.loads((out / "summary.json").read_bytes()) == json.loads(summary.json())


def test_patterns_are_those_of_the_pipeline_and_scores_say_where(tmp_path: Path) -> None:
    write_csv(tmp_path / "one.csv", 1200)
    summary = run([tmp_path / "one.csv"], tmp_path / "out")
    found = (tmp_path / "out" / "patterns.jsonl").read_bytes()
    patterns = [decode_pattern(line) for line in found.splitlines()]
    assert patterns
    assert sum(summary.patterns.values()) == len(patterns)

    events = list(read_rows(tmp_path / "one.csv", "one", time="time"))
    settings = parse('[sources.one]\nadapter = "file"\npath = "one.csv"\nmode = "replay"\ntime = "time"\n')
    result = Pipeline(settings).step([event for event in events if isinstance(event, Event)])
    assert found == encode_lines(result.patterns)

    rows = scores(tmp_path / "out" / "one.csv")
    judged = [s for s in result.scores if s is not None]
    assert [tuple(map(float, row[1:])) for row in rows] == [(s.anomaly, s.abnormal, s.change) for s in judged]
    place = {event.event_id: n for n, event in enumerate(events) if isinstance(event, Event)}
    for pattern in patterns:
        column = 1 if pattern.type == "anomaly" else 3
        assert float(rows[place[pattern.event_id]][column]) >= pattern.line


def test_the_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    mixed(tmp_path / "in")
    for workers in (1, 2):
        run([tmp_path / "in"], tmp_path / f"out{workers}", workers=workers)
    one, two = tmp_path / "out1", tmp_path / "out2"
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    for name in names:
        if name.name != "summary.json":
            assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert (one / "patterns.jsonl").read_bytes()
    assert untimed(one) == untimed(two)


def untimed(out: Path) -> dict[str, Any]:
    table = json.loads((out / "summary.json").read_bytes())
    del table["seconds"]
    for one in table["inputs"]:
        del one["seconds"]
    return dict(table)


def test_the_same_rows_score_the_same_in_any_format(tmp_path: Path) -> None:
    write_csv(tmp_path / "in" / "plain.csv", 800)
    write_csv(tmp_path / "in" / "packed.csv.gz", 800)
    write_ndjson(tmp_path / "in" / "lines.ndjson", 800)
    run([tmp_path / "in"], tmp_path / "out")
    plain = scores(tmp_path / "out" / "plain.csv")
    assert len(plain) == 800
    assert any(float(row[3]) >= 0.5 for row in plain)
    assert plain == scores(tmp_path / "out" / "packed.csv") == scores(tmp_path / "out" / "lines.csv")


def test_rows_that_cannot_be_judged_keep_their_line(tmp_path: Path) -> None:
    rows = [f"{t},{a},{b}" for t, a, b in values(300)]
    rows[100] = "2026-01-01 00:01:40,1"
    rows[101] = "some day,1,2"
    rows[102] = "2026-01-01 00:01:42,,"
    rows[103] = "2025-12-31 00:00:00,1,2"
    rows[104] = f"{stamp(104)},none,other"
    (tmp_path / "bad.csv").write_text("time,a,b\n\n" + "\n".join(rows) + "\n\n")
    summary = run([tmp_path / "bad.csv"], tmp_path / "out")
    table = scores(tmp_path / "out" / "bad.csv")
    assert len(table) == 300
    assert [row[0] for row in table[99:106]] == [
        stamp(99),
        "2026-01-01 00:01:40",
        "some day",
        "2026-01-01 00:01:42",
        "2025-12-31 00:00:00",
        stamp(104),
        stamp(105),
    ]
    assert all(row[1:] == ["0.0", "0.0", "0.0"] for row in table[100:105])
    assert (summary.rows, summary.rejected, summary.late, summary.duplicates) == (300, 3, 1, 0)
    rejects = lines(tmp_path / "out" / "rejects.jsonl")
    assert [(r["file"], r["line"]) for r in rejects] == [("bad.csv", n + 3) for n in (100, 101, 104)]
    assert rejects[0]["reason"] == "2 columns where the header has 3"
    assert rejects[0]["original"] == "2026-01-01 00:01:40,1"
    assert "some day" in rejects[1]["reason"]
    assert "other" in rejects[2]["original"]


def test_broken_json_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    good = [json.dumps({"time": t, "a": a}) for t, a, _ in values(5)]
    data = "\n".join([*good[:2], '{"time": "2026', "[1, 2]", '{"a": 1}', *good[2:]]).encode() + b'\n{"time": "\xff"}'
    (tmp_path / "x.ndjson").write_bytes(data)
    summary = run([tmp_path / "x.ndjson"], tmp_path / "out")
    rejects = lines(tmp_path / "out" / "rejects.jsonl")
    assert [r["line"] for r in rejects] == [3, 4, 5, 9]
    assert rejects[3]["original"] == '{"time": "\\xff"}'
    assert (summary.rows, summary.rejected) == (9, 4)
    assert [row[0] for row in scores(tmp_path / "out" / "x.csv")][2:5] == ["", "", ""]


def test_a_row_number_as_time(tmp_path: Path) -> None:
    body = "".join(f"{a},{b}\n" for _, a, b in values(600))
    (tmp_path / "n.csv").write_text("a,b\n" + body)
    summary = run([tmp_path / "n.csv"], tmp_path / "out", time="row")
    assert [row[0] for row in scores(tmp_path / "out" / "n.csv")] == [str(n) for n in range(600)]
    assert summary.rejected == 0
    assert sum(summary.patterns.values()) > 0

    (tmp_path / "with.csv").write_text(
        "row,a,b\n" + "".join(f"{1000 + 2 * n},{a},{b}\n" for n, (_, a, b) in enumerate(values(600)))
    )
    run([tmp_path / "with.csv"], tmp_path / "named", time="row")
    with_column = scores(tmp_path / "named" / "with.csv")
    assert [row[0] for row in with_column] == [str(1000 + 2 * n) for n in range(600)]
    assert [row[1:] for row in with_column] == [row[1:] for row in scores(tmp_path / "out" / "n.csv")]


def test_only_the_fields_asked_for_are_judged(tmp_path: Path) -> None:
    rows = values(1000)
    (tmp_path / "two.csv").write_text("time;a;b\n" + "".join(f"{t};{a};{b}\n" for t, a, b in rows))
    (tmp_path / "one.csv").write_text("time,b\n" + "".join(f"{t},{b}\n" for t, _, b in rows))
    run([tmp_path / "two.csv"], tmp_path / "o2", delimiter=";", fields=["b"])
    run([tmp_path / "one.csv"], tmp_path / "o1")
    assert scores(tmp_path / "o2" / "two.csv") == scores(tmp_path / "o1" / "one.csv")


def test_a_tsv_file_is_split_at_its_tabs(tmp_path: Path) -> None:
    rows = values(600)
    (tmp_path / "one.tsv").write_text("time\tb\n" + "".join(f"{t}\t{b}\n" for t, _, b in rows))
    (tmp_path / "one.csv").write_text("time,b\n" + "".join(f"{t},{b}\n" for t, _, b in rows))
    run([tmp_path / "one.tsv"], tmp_path / "tabs")
    run([tmp_path / "one.csv"], tmp_path / "commas")
    assert scores(tmp_path / "tabs" / "one.csv") == scores(tmp_path / "commas" / "one.csv")


def test_common_detector_settings_hold(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", 800)
    every = [name for name, section in Settings().detect if hasattr(section, "enabled")]
    off = parse("".join(f"[detect.{name}]\nenabled = false\n" for name in every))
    summary = run([tmp_path / "a.csv"], tmp_path / "out", settings=off)
    assert sum(summary.patterns.values()) == 0
    assert {tuple(row[1:]) for row in scores(tmp_path / "out" / "a.csv")} == {("0.0", "0.0", "0.0")}


def test_an_empty_file_and_one_with_a_header_only(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.csv").write_bytes(b"")
    (tmp_path / "in" / "head.csv").write_text("time,a\n")
    summary = run([tmp_path / "in"], tmp_path / "out")
    assert summary.rows == 0
    assert scores(tmp_path / "out" / "empty.csv") == scores(tmp_path / "out" / "head.csv") == []


def test_a_damaged_file_is_replayed_up_to_there_and_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "in" / "good.csv", 300)
    write_csv(tmp_path / "in" / "cut.csv.gz", 20_000)
    whole = (tmp_path / "in" / "cut.csv.gz").read_bytes()
    (tmp_path / "in" / "cut.csv.gz").write_bytes(whole[: len(whole) // 4])
    with pytest.raises(ReplayError, match=r"cut\.csv\.gz: its gzip data break off .* what could be read was replayed into"):
        run([tmp_path / "in"], tmp_path / "out")
    assert len(scores(tmp_path / "out" / "good.csv")) == 300
    cut, good = json.loads((tmp_path / "out" / "summary.json").read_bytes())["inputs"]
    assert 1000 < cut["rows"] < 10_000
    assert "break off" in cut["error"]
    assert good["error"] == ""
    assert len(scores(tmp_path / "out" / "cut.csv")) == cut["rows"]


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", 400)
    run([tmp_path / "a.csv"], tmp_path / "out")
    write_csv(tmp_path / "a.csv", 10)
    run([tmp_path / "a.csv"], tmp_path / "out")
    assert len(scores(tmp_path / "out" / "a.csv")) == 10
    assert (tmp_path / "out" / "patterns.jsonl").read_bytes() == b""
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a.csv",
        "patterns.jsonl",
        "rejects.jsonl",
        "summary.json",
    ]


def test_mistakes_are_told_before_anything_is_written(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", 10)
    (tmp_path / "file").write_text("")
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"time": "tme"}, 'did you mean "time"'),
        ({"fields": ["c"]}, 'no column "c" for --fields'),
        ({"delimiter": ";;"}, "a delimiter is one character"),
        ({"out": tmp_path / "file" / "out"}, "cannot be written to: Not a directory; choose another --out"),
        ({"out": tmp_path / "file"}, "cannot be written to: File exists; choose another --out"),
    ]
    for options, said in mistakes:
        with pytest.raises(ReplayError, match=said):
            run([tmp_path / "a.csv"], **{"out": tmp_path / "out", **options})
    with pytest.raises(ReplayError, match="nothing to replay"):
        run([], tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "file"]


def test_a_result_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", 10)
    (tmp_path / "out" / "a.csv").mkdir(parents=True)
    with pytest.raises(ReplayError, match=r"a\.csv: cannot be written: Is a directory"):
        run([tmp_path / "a.csv"], tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.csv"]


def test_the_table_names_inputs_and_totals(tmp_path: Path) -> None:
    from rich.console import Console

    for number in range(12):
        write_csv(tmp_path / "in" / f"{number}.csv", 5)
    summary = run([tmp_path / "in"], tmp_path / "out")
    console = Console(width=80, record=True, file=(tmp_path / "screen").open("w"))
    console.print(summary.table())
    console.file.close()
    text = console.export_text()
    assert "12 inputs" in text
    assert "and 2 more in summary.json" in text


def test_settings_keep_only_the_input_as_source(tmp_path: Path) -> None:
    from qraft.replay.columns import read_columns
    from qraft.replay.inputs import find_inputs

    write_csv(tmp_path / "a.csv", 10)
    file = find_inputs([tmp_path / "a.csv"], tmp_path / "out")[0]
    common = parse('[detect]\nline = 0.7\n[sources.a]\nadapter = "host"\n[sources.a.detect]\nline = 0.9\n')
    made = replay_settings(common, file, read_columns(file, ","), "time", ["a"])
    assert list(made.sources) == ["a"]
    assert made.detect_for("a").line == 0.7
    assert made.sources["a"].fields == ["a"]


def test_an_input_can_be_judged_as_a_source_of_the_configuration(tmp_path: Path) -> None:
    write_csv(tmp_path / "in.csv", 3000)
    settings = parse(
        """
        [sources.rows]
        adapter = "external"
        exclude = ["b"]
        [[sources.rows.steps]]
        do = "features"
        of = { a = ["rolling_mean(5)"] }
        keep = false
        [[sources.rows.steps]]
        do = "filter"
        expression = "a.rolling_mean_5 IS NOT NULL"
        """
    )
    run([tmp_path / "in.csv"], tmp_path / "out", settings=settings, like="rows")
    patterns = [decode_pattern(line) for line in (tmp_path / "out" / "patterns.jsonl").read_bytes().splitlines()]
    assert patterns
    assert {(c.field, c.origin) for pattern in patterns for c in pattern.contributors} == {("a.rolling_mean_5", "a")}
    assert len(scores(tmp_path / "out" / "in.csv")) == 3000
    with pytest.raises(ReplayError, match='no source "row" is configured; configured: rows'):
        run([tmp_path / "in.csv"], tmp_path / "out2", settings=settings, like="row")
