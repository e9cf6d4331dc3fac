"""What is kept of a replay, and how two are compared."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qraft.config import ConfigError, Settings, parse
from qraft.replay import InputSummary, Summary
from qraft.replay.errors import ReplayError
from qraft.replay.experiments import Book, Experiment, best, compare, detectors_of, experiment_of, less_is_better, scores
from qraft.replay.experiments.record import InputFile, code_digest, config_text, figures_of

PATTERNS = {"drift": 1, "anomaly": 2, "cluster_change": 0}


def summary(**keys: Any) -> Summary:
    one = InputSummary(file="a.csv", source="a", scores="a.csv", seconds=0.5, rows=3, patterns=PATTERNS)
    return Summary(seconds=1.5, inputs=[one], rows=3, patterns=PATTERNS, **keys)


def record(tmp_path: Path, settings: Settings | None = None, **keys: Any) -> Experiment:
    (tmp_path / "a.csv").write_text("t,v\n0,1\n")
    given: dict[str, Any] = {"settings": settings or Settings(), "like": "", "arguments": {"time": "t", "fields": ""}}
    return experiment_of(
        summary(), inputs=[tmp_path / "a.csv"], out=tmp_path / "out", **{"when": "2026-01-01T00:00:00Z", **given, **keys}
    )


def made(name: str, when: int = 0, inputs: str = "x", **figures: float) -> Experiment:
    return Experiment(
        id=name,
        when=f"2026-01-01T00:00:0{when}Z",
        seconds=1.0,
        version="1",
        code="",
        config=config_text(Settings(), ""),
        config_digest="",
        arguments={},
        inputs=[InputFile(file="a.csv", sha256=inputs)],
        figures={key.replace("__", "."): value for key, value in figures.items()},
    )


def test_a_record_holds_what_decides_and_what_came(tmp_path: Path) -> None:
    one = record(tmp_path, parse("[detect]\nline = 0.7\n"))
    assert one.inputs == [InputFile(file="a.csv", sha256=hashlib.sha256(b"t,v\n0,1\n").hexdigest())]
    table = tomllib.loads(one.config)
    assert table.keys() == {"detect", "feedback"}
    assert table["detect"]["line"] == 0.7
    assert one.config_digest == hashlib.sha256(one.config.encode()).hexdigest()
    assert one.arguments == {"time": "t"}
    assert one.figures["patterns.anomaly"] == 2
    assert one.figures["a.csv: rows"] == 3
    assert len(one.id) == 12
    assert detectors_of(one).line == 0.7


def test_the_id_is_made_of_all_the_rest(tmp_path: Path) -> None:
    ids = {
        record(tmp_path).id,
        record(tmp_path, when="2026-01-01T00:00:01Z").id,
        record(tmp_path, parse("[detect]\nline = 0.7\n")).id,
        record(tmp_path, arguments={"time": "u"}).id,
    }
    assert len(ids) == 4
    assert record(tmp_path).id == record(tmp_path).id


def test_like_a_source_its_own_part_counts_too(tmp_path: Path) -> None:
    text = '[sources.s]\nadapter = "external"\nentity = "sym"\n[sources.s.detect]\nline = 0.8\n'
    one = record(tmp_path, parse(text), like="s")
    table = tomllib.loads(one.config)
    assert (table["detect"]["line"], table["source"]["entity"], one.arguments["like"]) == (0.8, "sym", "s")
    assert detectors_of(one).line == 0.8


def test_labels_are_an_input(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text("{}")
    one = record(tmp_path, labels=[tmp_path / "labels.json"])
    assert [file.file for file in one.inputs] == ["a.csv", "labels labels.json"]


def test_an_input_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no such file"):
        experiment_of(
            summary(),
            settings=Settings(),
            like="",
            inputs=[tmp_path / "none.csv"],
            out=tmp_path / "out",
            when="",
            arguments={},
        )


def test_the_code_digest_is_of_a_checkout_only_and_of_every_module(tmp_path: Path) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "a.py").write_text("x = 1\n")
    assert code_digest(package) == ""
    (tmp_path / "pyproject.toml").write_text("")
    first = code_digest(package)
    assert len(first) == 64
    (package / "notes.txt").write_text("no code")
    assert code_digest(package) == first
    (package / "a.py").write_text("x = 2\n")
    assert code_digest(package) != first


def test_figures_are_every_number_by_its_name() -> None:
    table = msgspec.to_builtins(summary(labelled={"standard": 70.5, "best": {"low_fp": 3}, "note": "x", "ok": True}))
    figures = figures_of(table)
    assert figures["labelled.standard"] == 70.5
    assert figures["labelled.best.low_fp"] == 3
    assert not {"labelled.note", "labelled.ok", "file"} & figures.keys()
    assert scores(made("a", labelled__standard=1.0, rows=3.0, patterns__drift=0.0)) == ["labelled.standard"]


def test_a_book_keeps_finds_and_removes(tmp_path: Path) -> None:
    book = Book(tmp_path)
    assert book.all() == []
    with pytest.raises(ReplayError, match="none is recorded yet"):
        book.find("ab")
    for one in (made("abc1", 1), made("abd2", 3), made("ffff", 2)):
        book.add(one)
    assert [one.id for one in book.all()] == ["abd2", "ffff", "abc1"]
    assert book.find("abc") == made("abc1", 1)
    assert book.find("F").id == "ffff"
    with pytest.raises(ReplayError, match="several ids: abd2, abc1; give more letters"):
        book.find("ab")
    with pytest.raises(ReplayError, match='no experiment "" '):
        book.find("")
    book.remove(book.find("abd"))
    assert [one.id for one in book.all()] == ["ffff", "abc1"]
    (book.folder / "bad.json").write_text("{")
    with pytest.raises(ReplayError, match=r"bad\.json: cannot be read as an experiment"):
        book.all()


def test_nothing_is_left_of_a_record_that_could_not_be_written(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.folder.mkdir(parents=True)
    (book.folder / "abc1.json").mkdir()  # so that the file cannot get its name
    with pytest.raises(OSError, match="abc1"):
        book.add(made("abc1"))
    assert [path.name for path in book.folder.iterdir()] == ["abc1.json"]


def test_compare_names_what_differs_and_every_figure(tmp_path: Path) -> None:
    a = record(tmp_path)
    b = record(tmp_path, parse("[detect]\nline = 0.7\n"), arguments={"time": "u"})
    b = msgspec.structs.replace(b, code="f00", inputs=[InputFile(file="b.csv", sha256="0")], figures={"rows": 3.0, "x": 1.0})
    found = compare(a, b)
    assert [(d.name, d.a, d.b) for d in found.config] == [("detect.line", 0.5, 0.7)]
    assert [d.name for d in found.code] == ["code"]
    assert [(d.name, d.a, d.b) for d in found.arguments] == [("time", "t", "u")]
    assert [(d.name, d.b) for d in found.inputs] == [("a.csv", None), ("b.csv", "0")]
    assert {d.name for d in found.figures} == {*a.figures, "x"}
    same = compare(a, a)
    assert [same.config, same.code, same.arguments, same.inputs] == [[]] * 4


def test_the_best_is_among_those_over_the_same_inputs() -> None:
    old = made("other", 0, "y", labelled__standard=99.0)
    some = [made("c", 3, labelled__standard=60.0), made("b", 2, labelled__standard=70.0), made("n", 1), old]
    assert best(some, "").id == "b"
    seconds = [made("c", 3, seconds=2.0), made("b", 2, seconds=1.0)]
    assert best(seconds, "seconds").id == "b"
    with pytest.raises(ReplayError, match=r'did you mean "labelled\.standard"'):
        best(some, "labeled.standard")
    with pytest.raises(ReplayError, match="best by which figure"):
        best([made("a", rows=1.0)], "")


@pytest.mark.parametrize(
    ("figure", "less"),
    [
        ("seconds", True),
        ("labelled.delay.rows", True),
        ("labelled.abnormal.false_alarm_rate", True),
        ("a.csv: patterns.drift", True),
        ("labelled.standard", False),
        ("labelled.low_fp", False),
        ("labelled.precision", False),
        ("rows", False),
    ],
)
def test_the_name_of_a_figure_tells_its_direction(figure: str, less: bool) -> None:
    assert less_is_better(figure) == less


def test_settings_that_no_longer_exist_are_named() -> None:
    one = msgspec.structs.replace(made("abc"), config="[detect]\nlime = 0.5\n[feedback]\n")
    with pytest.raises(ConfigError, match=r'experiment abc:2: detect\.lime: unknown key; did you mean "line"'):
        detectors_of(one)
