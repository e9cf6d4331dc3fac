"""Events through one Pipeline in memory: the same findings as a replay, each with its row."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from qraft.config import Settings, parse
from qraft.config.detect import DetectSettings
from qraft.model import decode_pattern
from qraft.replay import ReplayError, replay
from qraft.replay.rehearse import SOURCE, read_recording, rehearse, with_detectors


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    draw = random.Random(3)
    path = tmp_path / "stream.csv"
    lines = [f"2026-01-01T00:{n // 60:02d}:{n % 60:02d}Z,{draw.gauss(8.0 * (n > 700), 1.0)},x\n" for n in range(1200)]
    path.write_text("t,v,w\n" + "".join(lines[:100]) + "never,1,y\n" + "".join(lines[100:]))
    return path


def test_what_it_finds_is_what_a_replay_finds(rows: Path, tmp_path: Path) -> None:
    replay([rows], time="t", settings=Settings(), out=tmp_path / "out", workers=1, progress=False)
    patterns = [decode_pattern(line) for line in (tmp_path / "out" / "patterns.jsonl").read_bytes().splitlines()]
    recording = read_recording(rows, Settings(), time="t")
    told: list[int] = []
    found = rehearse(recording.rows, recording.settings, told.append)
    assert patterns
    assert [one.pattern for one in found] == patterns
    assert sum(told) == len(recording.rows)
    numbers = {event.event_id: number for number, event in recording.rows}
    assert [one.row for one in found] == [numbers[one.pattern.event_id] for one in found]
    assert rows.stem == SOURCE  # so that the ids are the same


def test_rows_that_could_not_be_read_count(rows: Path) -> None:
    recording = read_recording(rows, Settings(), time="t")
    assert max(number for number, _ in recording.rows) == 1200


def test_a_finding_on_a_row_of_a_step_s_making_belongs_to_the_last_row_before(rows: Path) -> None:
    step = '{ do = "window", every = "2s", aggregate = { v = ["mean"] } }'
    settings = parse(f'[sources.s]\nadapter = "external"\nsteps = [{step}]\n')
    recording = read_recording(rows, settings, time="t", like="s")
    found = rehearse(recording.rows, recording.settings, lambda _: None)
    assert found
    assert all(700 <= one.row <= 1200 for one in found)


def test_detectors_are_those_given() -> None:
    settings = parse('[sources.s]\nadapter = "external"\nentity = "sym"\n')
    made = with_detectors(settings, "s", DetectSettings(line=0.9))
    assert (made.detect_for("s").line, made.source("s").entity, settings.detect_for("s").line) == (0.9, "sym", 0.5)
    assert with_detectors(settings, "fed", DetectSettings(line=0.9)).detect_for("fed").line == 0.9


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("none.csv", {}, "no such file"),
        ("notes.md", {}, "its name does not say its format"),
        ("stream.csv", {"delimiter": ";;"}, "a delimiter is one character"),
        ("stream.csv", {"fields": ["u"]}, 'no column "u" for --fields'),
        ("stream.csv", {"like": "s"}, 'no source "s" is configured; configured: none'),
    ],
)
def test_mistakes(rows: Path, name: str, keys: dict[str, str], said: str) -> None:
    (rows.parent / "notes.md").write_text("x")
    with pytest.raises(ReplayError, match=said):
        read_recording(rows.parent / name, Settings(), time="t", **keys)  # type: ignore[arg-type]  # as the test says
