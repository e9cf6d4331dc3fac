"""`qraft tune` over a real ClickHouse, and over files."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qraft import cli
from qraft.commands.tune import is_file, owner_of
from qraft.config import Settings, load, parse
from tests.commands.stored import instance, keep, stream

Run = Callable[..., tuple[int, str, str]]
CONFIG = '# mine\n[sources.s]\nadapter = "external"   # others publish\n'


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qraft", "tune", *arguments, "--data-dir", str(tmp_path / "data")])
        status = cli.main()
        output = capsys.readouterr()
        return status, output.out, output.err

    return command


@pytest.fixture
def kept(tmp_path: Path, clickhouse_url: str, database: str) -> None:
    """1200 rows of the source s with three small shifts, stored; nobody has said anything."""
    instance(tmp_path / "data", clickhouse_url, database)
    keep(clickhouse_url, database, stream(1200, "s", shifts=(400, 650, 1000), size=1.8), {}, Settings())


def write_rows(path: Path, rows: int) -> None:
    draw = random.Random(1)
    lines = [f"{n * 60},{draw.gauss(9.0 * (n // 300 % 2), 1.0)}\n" for n in range(rows)]
    path.write_text("t,v\n" + "".join(lines))


def test_a_source_is_tuned_by_volume_and_written_when_asked(run: Run, kept: None, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    common = ("s", "--budget", "8", "--workers", "1", "--target", "0.01")
    status, out, err = run(*common)
    assert (status, err) == (0, "")
    assert out.startswith("s: 1,200 rows over 19 min 59 s; ")
    assert "known: no verdicts, so this is by volume alone: at most 0.01 findings a day" in out
    assert "[sources.s.detect]" in out.splitlines()
    assert config.read_text() == CONFIG
    table = json.loads(run(*common, "--json")[1])
    assert table["proposed"]
    assert (table["mode"], table["rows"]) == ("volume", 1200)
    assert len(table["would_go"]) > len(table["would_come"])
    status, out, err = run(*common, "--write")
    assert (status, config.read_text()) == (1, CONFIG)
    assert err == "qraft: nothing was written: there is no terminal to ask at; --yes writes without asking\n"
    assert run(*common, "--write", "--yes")[0] == 0
    assert config.read_text().startswith(CONFIG)
    assert load(config).detect_for("s") == parse(CONFIG + "\n" + table["toml"].replace("[sources.s]\n", "")).detect_for("s")
    assert load(config).detect_for("s") != Settings().detect


def test_verdicts_are_what_it_goes_by(run: Run, tmp_path: Path, clickhouse_url: str, database: str) -> None:
    instance(tmp_path / "data", clickhouse_url, database)
    events = stream(1200, "s", shifts=(400, 650, 1000))
    rows = {event.event_id: str(row) for row, event in enumerate(events)}
    from qraft.pipeline import Pipeline

    found = [rows[one.event_id] for one in Pipeline(Settings()).step(events).patterns]
    keep(clickhouse_url, database, events, dict.fromkeys(found, "confirmed"), Settings())
    table = json.loads(run("s", "--budget", "4", "--workers", "1", "--target", "100000", "--json")[1])
    assert table["mode"] == "verdicts"
    now = [table["figures"][name] for name in ("now_chosen_on", "now_checked_on")]
    assert sum(one["wanted"] for one in now) == len(found)
    assert all(one["kept"] == one["wanted"] for one in now)
    assert not table["proposed"]
    out = run("s", "--budget", "2", "--workers", "1", "--target", "100000")[1]
    assert "no change helps: the settings in force are the best of those tried" in out


def test_an_unknown_source_is_said(run: Run, kept: None) -> None:
    assert run("t")[::2] == (1, 'qraft: no event of a source "t" is stored; stored: s\n')


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rows.csv"], "rows.csv: --time is missing"),
        (["none.csv", "--time", "t"], "none.csv: no such file"),
        (["rows.csv", "--time", "when"], 'no column "when" for --time'),
        (["rows.csv", "--time", "t", "--like", "x"], 'no source "x" is configured'),
        (["rows.csv", "--time", "t", "--labels", "none.json"], "none.json: cannot be read"),
        (["rows.csv", "--time", "t", "--write"], "there is no config.toml"),
        (["rows.csv", "--time", "t", "--write", "--json"], "give one of them"),
        (["s", "--time", "t"], '"s" is a source; --time'),
        (["s"], "nothing is running under"),
        (["short.csv", "--time", "t"], "100 rows are too few to tune on"),
    ],
)
def test_mistakes_are_one_sentence(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    write_rows(tmp_path / "rows.csv", 300)
    write_rows(tmp_path / "short.csv", 100)
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_file_is_tuned_against_its_labels(run: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", 1500)
    windows = [[str(n * 60), str((n + 60) * 60)] for n in range(300, 1500, 300)]
    (tmp_path / "labels.json").write_text(json.dumps({"rows.csv": windows}))
    common = ("rows.csv", "--time", "t", "--labels", "labels.json", "--budget", "6", "--workers", "1")
    table = json.loads(run(*common, "--json")[1])
    assert (table["mode"], table["trials"]) == ("labels", 6)
    figures = table["figures"]
    assert figures["now_chosen_on"]["wanted"] + figures["now_checked_on"]["wanted"] == 4
    out = run(*common)[1]
    assert "known: 4 labelled windows" in out
    assert "windows found" in out


def test_whose_detectors_are_changed() -> None:
    settings = parse('[sources.host]\nadapter = "host"\nper = ["disk"]\n')
    assert owner_of(settings, "host") == "host"
    assert owner_of(settings, "host-disks") == "host"
    assert owner_of(settings, "other") == ""
    assert [is_file(name) for name in ("host", "host-disks", "a.csv", "in/rows")] == [False, False, True, True]


def test_interrupted_it_leaves_nothing_behind(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", 30_000)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "qraft.cli", "tune", "rows.csv", "--time", "t", "--rows", "30000", "--workers", "2"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(cli.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        deadline = time.monotonic() + 40
        while not list(temporary.glob("qraft-tune-*/events.ndjson")):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=75)
        assert (process.returncode, out, err) == (130, "", "")
        assert not list(temporary.glob("qraft-*"))
        assert tempfile.gettempdir() != str(temporary)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
