"""An interrupted replay ends all its processes and leaves the output folder as it was."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from qraft.replay.errors import ReplayError
from qraft.replay.workers import run_all

SCRIPT = """
import sys
from pathlib import Path
from qraft.config import Settings
from qraft.replay import replay
if __name__ == "__main__":
    try:
        replay([Path(sys.argv[1])], time="time", settings=Settings(), out=Path(sys.argv[2]), workers=2)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def begin(tmp_path: Path) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """A replay that would take long, once both its workers write scores."""
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "b.csv"):
        with (tmp_path / "in" / name).open("w") as text:
            text.write("time,v\n")
            text.writelines(f"{n},{n % 17}.5\n" for n in range(2_000_000))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").write_text("earlier result\n")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "in"), str(tmp_path / "out")],
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    drafts = tmp_path / "out" / ".partial"
    until(lambda: all((drafts / f"{n}.csv").is_file() and (drafts / f"{n}.csv").stat().st_size > 0 for n in range(2)))
    return parent, psutil.Process(parent.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_ctrl_c_ends_all_and_changes_nothing(tmp_path: Path) -> None:
    parent, children = begin(tmp_path)
    try:
        assert len(children) >= 2
        os.killpg(parent.pid, signal.SIGINT)
        _, said = parent.communicate(timeout=30)
        assert parent.returncode == 130
        assert said == b""
        until(lambda: gone(children), 10)
        assert [(p.name, p.read_text()) for p in (tmp_path / "out").iterdir()] == [("a.csv", "earlier result\n")]
    finally:
        if parent.poll() is None:
            os.killpg(parent.pid, signal.SIGKILL)
            parent.communicate()


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    parent, children = begin(tmp_path)
    try:
        parent.kill()
        parent.communicate()
        until(lambda: gone(children), 10)
        assert (tmp_path / "out" / "a.csv").read_text() == "earlier result\n"
    finally:
        for child in children:
            if child.is_running():
                child.kill()


def square(job: int, advance: Callable[[int], None]) -> int:
    advance(job)
    if job == 13:
        raise ValueError("thirteen")
    if job == 99:
        os.kill(os.getpid(), signal.SIGKILL)
    return job * job


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    told: list[int] = []
    assert run_all(square, [3, 1, 2], workers=workers, tell=told.append) == [9, 1, 4]
    assert told[-1] == 6
    assert told == sorted(told)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_error_comes_out(workers: int) -> None:
    with pytest.raises(ValueError, match="thirteen"):
        run_all(square, [1, 13, 2, 3], workers=workers, tell=lambda _: None)


def test_a_killed_worker_is_one_sentence() -> None:
    with pytest.raises(ReplayError, match="a worker process was killed"):
        run_all(square, [99, 1], workers=2, tell=lambda _: None)
