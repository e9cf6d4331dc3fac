from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.clipboard import KEPT_FILES, MAX_PAYLOAD, CopyError, copy, sequence

TEXT = "SELECT * FROM patterns -- 模式 \x1b[31m"
PLAIN = "\x1b]52;c;" + base64.b64encode(TEXT.encode()).decode() + "\a"


def test_a_terminal_gets_the_bare_sequence() -> None:
    assert sequence(TEXT, {"TERM": "xterm-256color"}) == PLAIN


def test_tmux_gets_it_bare_and_wrapped_with_escapes_doubled() -> None:
    said = sequence(TEXT, {"TMUX": "/tmp/tmux-0/default,1,0", "TERM": "screen-256color", "STY": ""})
    assert said == PLAIN + "\x1bPtmux;" + PLAIN.replace("\x1b", "\x1b\x1b") + "\x1b\\"


@pytest.mark.parametrize("length", [1, 300, 5000])
def test_screen_gets_pieces_that_fit_and_make_the_whole(length: int) -> None:
    said = sequence("x" * length, {"STY": "123.pts-0.host", "TERM": "screen"})
    pieces = re.findall("\x1bP(.*?)\x1b\\\\", said, re.DOTALL)
    assert all(len(piece) < 768 for piece in pieces)
    assert "".join(f"\x1bP{piece}\x1b\\" for piece in pieces) == said
    assert "".join(pieces) == sequence("x" * length, {})


def test_what_fits_goes_to_the_terminal_and_no_file_is_made(tmp_path: Path) -> None:
    written: list[str] = []

    def write(said: str) -> bool:
        written.append(said)
        return True

    copied = copy("a" * (MAX_PAYLOAD // 4 * 3), write=write, environment={}, folder=tmp_path)
    assert (copied.how, copied.where, copied.bytes) == ("terminal", "", MAX_PAYLOAD // 4 * 3)
    assert len(written) == 1
    assert not list(tmp_path.iterdir())


def test_what_is_too_long_goes_to_a_file_that_only_the_operator_reads(tmp_path: Path) -> None:
    text = "é" * MAX_PAYLOAD
    copied = copy(text, write=lambda _: pytest.fail("written"), environment={}, folder=tmp_path / "data")
    assert copied.how == "file"
    assert copied.bytes == 2 * MAX_PAYLOAD
    path = Path(copied.where)
    assert path.read_text(encoding="utf-8") == text
    assert path.parent == tmp_path / "data" / "copied"
    assert path.stat().st_mode & 0o077 == 0


def test_without_a_terminal_it_goes_to_a_file(tmp_path: Path) -> None:
    copied = copy("short \ud800", write=lambda _: False, environment={}, folder=tmp_path)
    assert Path(copied.where).read_text(encoding="utf-8") == "short ?"


def test_only_the_latest_files_are_kept(tmp_path: Path) -> None:
    paths = [Path(copy(str(i), write=lambda _: False, environment={}, folder=tmp_path).where) for i in range(KEPT_FILES + 5)]
    left = set((tmp_path / "copied").iterdir())
    assert len(left) == KEPT_FILES
    assert paths[-1] in left


def test_a_folder_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(CopyError, match="data"):
        copy("x", write=lambda _: False, environment={}, folder=tmp_path / "data")


# --- a real tmux


class Tmux:
    """A tmux server of its own, and inside it a second one whose terminal the first is."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.environment = {k: v for k, v in os.environ.items() if k not in ("TMUX", "TMUX_PANE")}
        self.environment |= {"TMUX_TMPDIR": str(folder), "TERM": "xterm-256color"}

    def __call__(self, *words: str, server: str = "") -> str:
        command = ["tmux", "-L", server or self.name, "-f", "/dev/null", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False).stdout

    def until(self, text: str, server: str = "") -> None:
        limit = time.monotonic() + 60
        while self("show-buffer", server=server) != text:
            assert time.monotonic() < limit, self("list-buffers", server=server)
            time.sleep(0.05)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("no tmux")
    made = Tmux("outer", tmp_path)
    yield made
    for server in ("inner", "outer"):
        made("kill-server", server=server)


def program(folder: Path, text: str) -> str:
    """A command that writes the sequence for what its environment is, and stays."""
    file = folder / "program.py"
    root = Path(__file__).resolve().parents[2]
    file.write_text(
        f"import os, sys, time\nsys.path.insert(0, {str(root)!r})\nfrom tui.clipboard import sequence\n"
        f"sys.stdout.write(sequence({text!r}, os.environ))\nsys.stdout.flush()\n"
        f"open({str(folder / 'done')!r}, 'w').close()\n"
        "time.sleep(60)\n"
    )
    return f"{sys.executable} {file}"


def test_tmux_with_set_clipboard_on_has_it_in_its_buffer(tmux: Tmux, tmp_path: Path) -> None:
    tmux("new-session", "-d", "-x", "80", "-y", "24", "sleep 60", ";", "set-option", "-g", "set-clipboard", "on")
    tmux("new-window", program(tmp_path, TEXT))
    tmux.until(TEXT)


@pytest.mark.parametrize("option", ["set-clipboard", "allow-passthrough"])
def test_either_setting_of_tmux_lets_it_through_to_the_terminal(tmux: Tmux, tmp_path: Path, option: str) -> None:
    """The terminal is another tmux that keeps what reaches it."""
    tmux("new-session", "-d", "-x", "80", "-y", "24", "sleep 60", ";", "set-option", "-g", "set-clipboard", "on")
    values = {"set-clipboard": "external", "allow-passthrough": "off", option: "on"}
    setup = "".join(f" set-option -g {name} {value} \\;" for name, value in values.items())
    ms = "set-option -as terminal-features ',*:clipboard' \\;"
    inner = f"env -u TMUX tmux -L inner -f /dev/null new-session -d 'sleep 60' \\; {ms}{setup} new-window '{{}}' \\; attach"
    attached = "until tmux list-clients | grep -q .; do sleep 0.05; done"  # before that nothing can pass through
    tmux("new-window", inner.format(f"{attached}; exec {program(tmp_path, TEXT)}"))
    tmux.until(TEXT)


def test_tmux_as_it_comes_lets_nothing_through(tmux: Tmux, tmp_path: Path) -> None:
    """Why the help names the two settings: without either, the copy is lost and nobody is told."""
    tmux("new-session", "-d", "-x", "80", "-y", "24", "sleep 60", ";", "new-window", program(tmp_path, TEXT))
    limit = time.monotonic() + 20
    while not (tmp_path / "done").exists():
        assert time.monotonic() < limit
        time.sleep(0.05)
    time.sleep(0.3)
    assert tmux("list-buffers") == ""
