"""Figure (e): how long a command takes to start, beside an interpreter that does nothing."""

import subprocess
import sys
from pathlib import Path

from tests.bench.measure import figure, interleaved, seconds


def start_times(runs: int) -> None:
    """Prints the start time of ``qraft --help`` and of ``import qraft.cli`` beside ``python -c pass``."""
    qraft = str(Path(sys.executable).parent / "qraft")
    for name, command in (
        ("cli_help_seconds", [qraft, "--help"]),
        ("import_cli_seconds", [sys.executable, "-c", "import qraft.cli"]),
    ):
        _run(command)  # the first run writes byte code
        ours, bare = interleaved(lambda c=command: _run(c), lambda: _run([sys.executable, "-c", "pass"]), runs)  # type: ignore[misc]
        figure(name, ours, "s", reference=bare, of="python -c pass")


def _run(command: list[str]) -> float:
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))
