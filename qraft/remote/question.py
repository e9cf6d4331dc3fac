"""What is asked over there: a loop of the other machine's POSIX shell that answers each line with run.json.

Nothing of Qraft needs to be on the PATH there. The loop ends with its input, so it outlives neither this process nor
the line.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final

import msgspec

from qraft.config import RunInfo
from qraft.remote.errors import RemoteError

# One line without quotation marks, "!" or backslashes, so that any login shell hands it on to sh as it stands.
_SCRIPT: Final = (
    "d=$1; case $d in [~]) d=$HOME;; [~]/*) d=$HOME/${d#??};; esac; f=$d/run.json; "
    "while read -r n; do "
    'if [ -r "$f" ]; then s=here; elif [ -e "$f" ]; then s=closed; '
    'elif [ -d "$d" ]; then if [ -x "$d" ]; then s=none; else s=closed; fi; else s=none; fi; '
    'echo "$n $s"; if [ $s = here ]; then cat <"$f"; fi; echo; echo "$n end"; done'
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands over there: ``state`` is "here" (with the text of run.json), "none" or "closed" (may not be read)."""

    state: str
    text: bytes = b""

    def run(self, place: str) -> RunInfo:
        """The instance that run.json describes.

        Args:
            place: data directory and host, as errors name them.

        Raises:
            RemoteError: there is none, or it cannot be read.
        """
        if self.state == "none":
            raise RemoteError(f"nothing is running under {place}; start it with `qraft up` there")
        if self.state == "closed":
            raise RemoteError(f"run.json under {place} may not be read by this user there; log in as the one who runs Qraft")
        try:
            return msgspec.json.decode(self.text, type=RunInfo)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RemoteError(
                f"run.json under {place} cannot be read ({error}); is Qraft there of another version than here?"
            ) from None


def command(data_dir: str) -> str:
    """The command line for the other machine's login shell that answers for the data directory ``data_dir`` there."""
    return f"exec sh -c {shlex.quote(_SCRIPT)} qraft {shlex.quote(data_dir)}"


def find_answer(output: bytes, mark: str) -> Answer | None:
    """The answer to the line ``mark`` within what was written so far; whatever a login script wrote is passed over."""
    name = re.escape(mark.encode())
    found = re.search(rb"^%b (here|none|closed)\n(.*?)\n%b end\n" % (name, name), output, re.DOTALL | re.MULTILINE)
    return Answer(found[1].decode(), found[2]) if found else None
