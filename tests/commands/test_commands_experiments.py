"""`qraft replay` records, `qraft experiments` shows, compares, promotes and removes."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qraft import cli
from qraft.config import load

CONFIG = """# mine
[detect]
line = 0.7   # stricter than most

[sources.host]
adapter = "host"
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(1)
    rows = [f"{n},{draw.gauss(9.0 * (n > 500), 1.0)}\n" for n in range(900)]
    (tmp_path / "a.csv").write_text("t,v\n" + "".join(rows))

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qraft", *arguments])
        capsys.readouterr()
        status = cli.main()
        output = capsys.readouterr()
        return status, output.out, output.err

    return command


@pytest.fixture
def two(run: Run, tmp_path: Path) -> list[str]:
    """The ids of two recorded replays, the newest first: with the defaults, and with a higher line."""
    replay = ("replay", "a.csv", "--time", "t", "--out", "out", "--workers", "1", "-d", "data")
    (tmp_path / "config.toml").write_text(CONFIG)
    assert run(*replay)[0] == 0
    (tmp_path / "config.toml").unlink()
    status, out, _ = run(*replay)
    assert status == 0
    listed = json.loads(run("experiments", "-d", "data", "--json")[1])
    assert f"recorded as experiment {listed[0]['id'][:8]}" in out
    return [one["id"] for one in listed]


def test_each_replay_is_listed_and_shown(run: Run, two: list[str]) -> None:
    status, out, _ = run("experiments", "-d", "data", "--figure", "patterns.drift")
    assert status == 0
    head, *rows = out.splitlines()
    assert head.split() == ["id", "when", "inputs", "rows", "patterns", "patterns.drift", "config", "code", "seconds"]
    assert [row.split()[0] for row in rows] == [one[:8] for one in two]
    status, out, _ = run("experiments", "show", two[1][:5], "-d", "data")
    assert status == 0
    assert "  line = 0.7" in out.splitlines()
    assert any(line.endswith("  a.csv") for line in out.splitlines())


def test_two_are_compared(run: Run, two: list[str]) -> None:
    status, out, _ = run("experiments", "compare", two[1], two[0][:6], "-d", "data")
    assert status == 0
    said = [line.split() for line in out.splitlines()]
    assert ["detect.line", "0.7", "0.5"] in said
    assert ["inputs:", "the", "same"] in said
    assert ["rows", "900", "900", "0"] in said
    table = json.loads(run("experiments", "compare", two[1], two[0], "-d", "data", "--json")[1])
    assert (table["a"], table["b"], table["inputs"]) == (two[1], two[0], [])
    assert run("experiments", "compare", two[1], "zz", "-d", "data")[0] == 1


def test_promote_changes_the_file_as_a_person_would(run: Run, two: list[str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    status, _, err = run("experiments", "promote", two[0], "-d", "data", "--yes")
    assert (status, err) == (1, f"qraft: there is no config.toml in {tmp_path}; name a file with --config\n")
    config.write_text(CONFIG)
    status, out, err = run("experiments", "promote", two[0], "-d", "data")
    assert (status, config.read_text()) == (1, CONFIG)
    assert "+line = 0.5   # stricter than most" in out.splitlines()
    assert err == "qraft: nothing was written: there is no terminal to ask at; --yes writes without asking\n"
    assert run("experiments", "promote", two[0], "-d", "data", "--yes")[0] == 0
    assert config.read_text() == CONFIG.replace("0.7", "0.5")
    status, out, _ = run("experiments", "promote", two[0], "-d", "data", "--yes")
    assert (status, out) == (0, "config.toml: says so already; nothing to change\n")


def test_the_best_is_promoted(run: Run, two: list[str], tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("# nothing yet\n")
    status, _, err = run("experiments", "promote", "best", "-d", "data", "--yes")
    assert status == 1
    assert err.startswith("qraft: best by which figure? None was scored against labels; give --by; there are: rows,")
    assert run("experiments", "promote", "best", "--by", "seconds", "-d", "data", "--yes")[0] == 0
    assert load(tmp_path / "config.toml").detect.line in (0.5, 0.7)


def test_scores_against_labels_are_recorded(run: Run, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"a.csv": [["500", "560"]]}')
    status, _, err = run(
        *("replay", "a.csv", "--time", "t", "--out", "out", "--workers", "1", "-d", "data", "--labels", "labels.json")
    )
    assert (status, err) == (0, "")
    (one,) = json.loads(run("experiments", "-d", "data", "--json")[1])
    assert "labelled.standard" in one["figures"]
    assert [file["file"] for file in one["inputs"]] == ["a.csv", "labels labels.json"]
    (tmp_path / "config.toml").write_text("# nothing yet\n")
    status, out, _ = run("experiments", "promote", "best", "-d", "data", "--yes")
    assert status == 0
    assert out.startswith(f"best of those over the same inputs: {one['id'][:8]} (labelled.standard ")


def test_removed_is_gone(run: Run, two: list[str]) -> None:
    assert run("experiments", "remove", two[0][:6], two[1], "-d", "data")[0] == 0
    assert run("experiments", "-d", "data")[1] == "no experiments; each `qraft replay` records one\n"
    status, _, err = run("experiments", "show", two[0], "-d", "data")
    assert status == 1
    assert err.startswith(f'qraft: no experiment "{two[0]}" is in ')


def test_no_record_records_nothing(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("replay", "a.csv", "--time", "t", "--out", "out", "--workers", "1", "-d", "data", "--no-record")
    assert status == 0
    assert "recorded" not in out
    assert not (tmp_path / "data").exists()


def test_a_record_that_cannot_be_written_is_one_line_of_warning(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    status, out, err = run("replay", "a.csv", "--time", "t", "--out", "out", "--workers", "1", "-d", "data", "--json")
    assert status == 0
    assert json.loads(out)["rows"] == 900
    assert err == f"qraft: this replay was not recorded: {tmp_path}/data/experiments: Not a directory\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_may_not_be_written_is_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    status, _, err = run("replay", "a.csv", "--time", "t", "--out", "out", "--workers", "1", "-d", "data")
    assert status == 0
    assert err.endswith("Permission denied\n")
