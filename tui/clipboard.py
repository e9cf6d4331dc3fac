"""Copies text to the clipboard of the terminal one sits at, over SSH and multiplexers too; what is too long goes to a file.

The way is OSC 52 (xterm, "Manipulate Selection Data"): the terminal itself puts the text on its clipboard. What may stand
between:

- tmux, `set-clipboard on`: tmux takes the sequence for a buffer of its own (`tmux show-buffer`) and passes it on to a
  terminal whose description has `Ms`. Its default `external` ignores sequences of programs.
- tmux, `allow-passthrough on` (since 3.3, off by default): what is wrapped in tmux's own DCS goes to the terminal unread.
  Either setting suffices; which is set cannot be seen from here, so both forms are sent. The terminal may get the text
  twice, which does no harm.
- GNU screen passes a DCS string on, at most 768 bytes each: the sequence is cut into pieces.

No terminal says whether it obeyed, so neither does `Copied`.
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

MAX_PAYLOAD: Final = 74_994
"""Characters of base64 sent at most: terminals drop what is too long for them without a word. The limit is that of k9s."""
SCREEN_PIECE: Final = 512
"""Characters of one DCS string under GNU screen, below its limit of 768."""
KEPT_FILES: Final = 20

_ESC: Final = "\x1b"
_ST: Final = "\x1b\\"


class CopyError(Exception):
    """Neither the terminal nor a file takes the text; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Copied:
    """Where a text went.

    Attributes:
        how: to the terminal's clipboard, or into a file because it is too long or no terminal listens.
        where: the file's path; "" for the terminal.
        bytes: size of the text in UTF-8.
    """

    how: Literal["terminal", "file"]
    where: str
    bytes: int


def sequence(text: str, environment: Mapping[str, str]) -> str:
    """The escape sequence that copies the text, as whatever stands between us and the terminal wants it."""
    payload = _payload(text)
    plain = f"{_ESC}]52;c;{payload}\a"
    if environment.get("TMUX"):
        doubled = plain.replace(_ESC, _ESC * 2)
        return f"{plain}{_ESC}Ptmux;{doubled}{_ST}"
    if environment.get("STY"):
        pieces = [plain[i : i + SCREEN_PIECE] for i in range(0, len(plain), SCREEN_PIECE)]
        return "".join(f"{_ESC}P{piece}{_ST}" for piece in pieces)
    return plain


def copy(text: str, *, write: Callable[[str], bool], environment: Mapping[str, str], folder: Path) -> Copied:
    """Copies a text.

    Args:
        text: what to copy.
        write: hands a sequence to the terminal in order with the frames (``tui.driver.Output.write``);
            False where none listens.
        environment: TMUX and STY tell what stands between us and the terminal.
        folder: the data directory; texts too long for a terminal go to ``copied/`` below it.

    Raises:
        CopyError: the file cannot be written.
    """
    size = len(text.encode("utf-8", "replace"))
    if len(_payload(text)) <= MAX_PAYLOAD and write(sequence(text, environment)):
        return Copied("terminal", "", size)
    try:
        return Copied("file", str(_file(text, folder / "copied")), size)
    except OSError as error:
        raise CopyError(f"{error.strerror or error}: {error.filename or folder}") from error


def _payload(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def _file(text: str, folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="copy-", suffix=".txt", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    older = sorted(folder.glob("copy-*.txt"), key=lambda path: path.stat().st_mtime_ns)
    for path in older[:-KEPT_FILES]:
        path.unlink(missing_ok=True)
    return Path(name)
