from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tui.driver import Output, driver_class

PROGRAM = """
import json, os, sys
from textual.app import App
from tui.driver import Output, driver_class

class Small(App[int]):
    def on_mount(self):
        self.set_timer(0.3, self.send)
    def send(self):
        said["attached"] = output.attached
        said["wrote"] = output.write("\\x1b]52;c;SGVsbG8=\\a")
        self.set_timer(0.3, lambda: self.exit(0))

said = {}
output = Output()
said["before"] = output.write("nobody listens")
app = Small(driver_class=driver_class(output))
app.run(mouse=False)
said |= {"after": output.write("nobody listens any more"), "bytes": output.bytes, "writes": output.writes}
said["waited"] = output.waited
with open(sys.argv[1], "w") as file:
    json.dump(said, file)
"""


def run(path: Path) -> bytes:
    """What the program wrote to its terminal."""
    fd, inner = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TEXTUAL_DRIVER")} | {"TERM": "xterm-256color"}
    command = [sys.executable, "-c", PROGRAM, str(path)]
    child = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=env, start_new_session=True)
    os.close(inner)
    output, limit = b"", time.monotonic() + 40
    try:
        while time.monotonic() < limit:
            if not select.select([fd], [], [], 0.2)[0]:
                if child.poll() is not None:
                    break
                continue
            try:
                data = os.read(fd, 65536)
            except OSError:  # on Linux the end of a terminal is an error
                break
            output += data
        assert child.wait(5) == 0, output[-2000:]
    finally:
        child.kill()
        child.wait()
        os.close(fd)
    return output


def test_it_counts_what_the_terminal_got_and_writes_between_frames(tmp_path: Path) -> None:
    import json

    output = run(tmp_path / "said.json")
    said = json.loads((tmp_path / "said.json").read_text())
    assert (said["before"], said["attached"], said["wrote"], said["after"]) == (False, True, True, False)
    assert b"\x1b]52;c;SGVsbG8=\a" in output
    assert b"nobody" not in output
    assert said["bytes"] == len(output.replace(b"\r\n", b"\n"))  # the terminal's line discipline turns \\n into \\r\\n
    assert said["writes"] > 5
    assert 0 <= said["waited"] < 40


def test_another_driver_asked_for_is_left_alone() -> None:
    assert driver_class(Output(), {"TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver"}) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no such driver there")
def test_each_output_has_a_driver_of_its_own() -> None:
    one, other = driver_class(Output(), {}), driver_class(Output(), {})
    assert one is not None
    assert other is not None
    assert one is not other


def test_wide_characters_count_in_bytes() -> None:
    output = Output()
    output.note("─模", 0.5)
    assert (output.bytes, output.writes, output.waited) == (6, 1, 0.5)
