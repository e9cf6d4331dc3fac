"""Every command of the documentation is run, in the order of its page, against a real instance.

A block without a language (or ``sh``) is a list of commands; what cannot run as written stands in commands.toml with the
reason. So a new command in a page is run, or fails here until it can be.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import typer

from qraft.cli import app
from qraft.config import read_run
from tests.docs.pages import PAGES, ROOT, Statement, blocks, commands, inline_calls, qraft_calls, twin

TABLE = tomllib.loads((Path(__file__).parent / "commands.toml").read_text(encoding="utf-8"))
SKIPPED = {entry["command"]: entry["why"] for entry in TABLE["skip"]}
CHANGED = {entry["text"]: entry["by"] for entry in TABLE["change"]}
SHOWING = [page for page in PAGES if commands(page)]
ROWS = 1500

FUNCTIONS = r"""
experiment() { qraft experiments --json | python -c "import json, sys; print(json.load(sys.stdin)[$1]['id'])"; }
ended() { kill -INT $1; wait $1; local status=$?; [ $status = 130 ] || return $status; }
until_listening() {
    "$@" > listening.txt 2>&1 & local child=$!
    for _ in $(seq 600); do grep -q http listening.txt && break; kill -0 $child 2>/dev/null || break; sleep 0.1; done
    cat listening.txt; grep -q http listening.txt || return 1
    ended $child
}
"""
"""What commands.toml may call: the id of a recorded replay, newest first; a command that serves until Ctrl-C ends it."""


SHIFT = """
[[case]]
name = "a shift is told"
stream = { rows = 1000, fault = [{ kind = "shift", row = 700, size = 8.0 }] }
expect = [{ type = "drift", rows = [700, 750] }]
"""
"""A test case for detectors."""


def table_of_rows(path: Path, *, rows: int = ROWS) -> None:
    """A CSV of two fields, a row a minute; the level of one moves by far after two thirds, and its spread at the end."""
    rng = random.Random(7)
    start = datetime(2026, 3, 2, tzinfo=UTC)
    lines = ["timestamp,machine,flow,pressure"]
    for row in range(rows):
        flow = rng.gauss(40 if row < 2 * rows // 3 else 60, 1)
        pressure = rng.gauss(6, 0.1 if row < rows - 300 else 0.5)
        lines.append(f"{start + timedelta(minutes=row):%Y-%m-%dT%H:%M:%SZ},m1,{flow:.3f},{pressure:.3f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Instance:
    """`qraft up` in a home of its own, so that commands find it where they look by themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.data_dir = self.home / ".local" / "share" / "qraft"
        self.data_dir.mkdir(parents=True)
        programs = folder / "bin"
        programs.mkdir()
        for name, call in (("qraft", "-m qraft.cli "), ("python", "")):
            path = programs / name
            path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {call}"$@"\n', encoding="utf-8")
            path.chmod(0o755)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("QRAFT_")} | {
            "HOME": str(self.home),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "EDITOR": "true",
            "TERM": "dumb",
        }
        table_of_rows(folder / "host.csv")
        (folder / "instance.toml").write_text(
            "[detect.peers]\nenabled = false\n"
            '[sources.host]\nadapter = "file"\npath = "host.csv"\nmode = "replay"\nrate = 1500.0\ntime = "timestamp"\n'
            '[sources.sensors]\nadapter = "external"\n',
            encoding="utf-8",
        )

    def start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "up.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "qraft.cli", "up", "--no-tui", "--config", "instance.toml"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def first_pattern(self, process: subprocess.Popen[bytes]) -> str:
        """The id of a pattern that is stored; waits until there is one."""
        deadline = time.monotonic() + 90
        while process.poll() is None and time.monotonic() < deadline:
            run = read_run(self.data_dir)
            if run is not None and run.api_url:
                try:
                    found = httpx.get(f"{run.api_url}/api/patterns", timeout=10).json().get("patterns")
                except httpx.HTTPError:
                    found = None
                if found:
                    return str(found[0]["pattern_id"])
            time.sleep(0.2)
        raise AssertionError((self.folder / "up.log").read_text(encoding="utf-8", errors="replace"))


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    one = Instance(tmp_path_factory.mktemp("documented"))
    process = one.start()
    try:
        pattern = one.first_pattern(process)
        one.environment |= {"PATTERN": pattern, "PATTERN_START": pattern[:8]}
        yield one
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def prepared(folder: Path, page: str) -> Path:
    """A folder with what the pages take for granted, and with the files that the page itself shows."""
    folder.mkdir()
    shutil.copy(ROOT / "config.toml", folder)
    table_of_rows(folder / "recordings" / "pump.csv")
    table_of_rows(folder / "sensors.csv", rows=200)
    (folder / "windows.json").write_text(
        '{"pump.csv": [["2026-03-02T16:30:00Z", "2026-03-02T18:00:00Z"]]}', encoding="utf-8"
    )
    (folder / "app.ndjson").write_text('{"latency": 3.5}\n{"latency": 3.7}\n', encoding="utf-8")
    (folder / "tests").mkdir()
    (folder / "tests" / "shift.test.toml").write_text(SHIFT, encoding="utf-8")
    for block in blocks(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    return folder


def to_run(page: str) -> list[tuple[Statement, str]]:
    """The commands of a page that are run, each with the text that is."""
    found = []
    for statement in commands(page):
        if statement.text in SKIPPED:
            continue
        text = statement.text
        for old, new in CHANGED.items():
            text = text.replace(old, new)
        found.append((statement, text))
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", SHOWING)
def test_every_command_of_the_page_runs(page: str, instance: Instance, tmp_path: Path) -> None:
    given = to_run(page)
    if not given:
        pytest.skip("nothing of it can run as written; commands.toml says why")
    folder = prepared(tmp_path / "work", page)
    logs = tmp_path / "logs"
    logs.mkdir()
    script = [FUNCTIONS]
    for n, (_, text) in enumerate(given):
        script.append(f"{{ {text}\n}} > {logs}/{n} 2>&1 < /dev/null; echo $? $SECONDS >> {logs}/status")
    (tmp_path / "page.sh").write_text("\n".join(script), encoding="utf-8")
    process = subprocess.Popen(
        ["bash", str(tmp_path / "page.sh")], cwd=folder, env=instance.environment, start_new_session=True
    )
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(360)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the session made for it: what a page leaves in the background
        process.wait()
    said = [int(line.split()[0]) for line in (logs / "status").read_text(encoding="utf-8").splitlines()]
    faults = []
    for n, (statement, text) in enumerate(given):
        log = (logs / str(n)).read_text(encoding="utf-8", errors="replace") if (logs / str(n)).exists() else "not reached"
        if n >= len(said) or said[n] or "Traceback" in log:
            faults.append(f"{statement.place}: {text}\n  status {said[n] if n < len(said) else '?'}\n{log}")
    assert not faults, "\n".join(faults)


def fault_of_call(call: str) -> str:
    """What is wrong with a call of qraft: an unknown command or option. Empty where nothing is."""
    group = typer.main.get_command(app)
    words = shlex.split(call.replace("…", ""), comments=True)
    command = group
    while words and isinstance(command, typer.core.TyperGroup) and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in command.commands:
            return f"no command {name}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    strange = [word for word in words if re.match(r"--?[A-Za-z]", word) and word.partition("=")[0] not in known]
    return f"no option {strange[0]}" if strange else ""


def fault_of_skipped(text: str) -> str:
    """What is wrong with a command that is not run."""
    if found := re.match(r"make (\S+)", text):
        return (
            "" if re.search(rf"^{found[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE) else "no target"
        )
    if found := re.match(r"python -m (\S+)", text):
        return "" if importlib.util.find_spec(found[1]) is not None else "no module"
    return next((fault for call in qraft_calls(text) if (fault := fault_of_call(call))), "")


@pytest.mark.parametrize("page", [*PAGES, *(twin(page) for page in PAGES if page != "CONTRIBUTING.md")])
def test_commands_that_are_not_run_could_be_given(page: str) -> None:
    shown = [*commands(page), *(Statement(f"qraft {call}", page, 0) for call in inline_calls(page))]
    faults = [f"{one.place}: {one.text}: {fault}" for one in shown if (fault := fault_of_skipped(one.text))]
    assert not faults, "\n".join(faults)


def test_what_is_listed_is_needed() -> None:
    every = [one.text for page in PAGES for one in commands(page)]
    assert [command for command in SKIPPED if command not in every] == []
    ran = [text for text in every if text not in SKIPPED]
    assert [text for text in CHANGED if not any(text in one for one in ran)] == []
    assert all(entry["why"] for entry in (*TABLE["skip"], *TABLE["change"]))
    assert len(ran) > 30
