"""run.json: found while what it names is alive, ignored otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from qraft.config import RunInfo, read_run, remove_run, write_run


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_what_was_written_is_read_while_one_process_lives(tmp_path: Path) -> None:
    info = RunInfo(pids={"engine": os.getpid(), "nats": dead_pid()}, nats_url="nats://127.0.0.1:4222")
    write_run(tmp_path / "new" / "folder", info)
    assert read_run(tmp_path / "new" / "folder") == info
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == ["run.json"]


def test_nothing_runs_where_all_processes_are_gone(tmp_path: Path) -> None:
    write_run(tmp_path, RunInfo(pids={"engine": dead_pid()}))
    assert read_run(tmp_path) is None
    write_run(tmp_path, RunInfo())
    assert read_run(tmp_path) is None


def test_nothing_runs_where_no_file_or_no_folder_is_or_the_file_is_broken(tmp_path: Path) -> None:
    assert read_run(tmp_path) is None
    (tmp_path / "run.json").write_text("{")
    assert read_run(tmp_path) is None
    (tmp_path / "run.json").write_text('{"pids": 3}')
    assert read_run(tmp_path) is None
    assert read_run(tmp_path / "run.json") is None


def test_removing_twice_is_no_mistake(tmp_path: Path) -> None:
    write_run(tmp_path, RunInfo(pids={"engine": os.getpid()}))
    remove_run(tmp_path)
    remove_run(tmp_path)
    assert read_run(tmp_path) is None
