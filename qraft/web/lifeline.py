"""A child process that ends when the one that started it is gone, however that one ended."""

from __future__ import annotations

import os
import select
import signal
import threading
import time

GRACE_SECONDS = 5.0


def in_browser() -> bool:
    """Whether this process draws for a browser: textual-serve says so with Textual's choice of a driver."""
    return os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")


def end_with_parent(stdin: int = 0) -> None:
    """Ends this process when the other end of its standard input is closed, which a kill -9 of the parent does too.

    Watches without reading, so that what arrives is left to whoever reads it. First by SIGTERM, as an operator would;
    after `GRACE_SECONDS` at once.
    """
    threading.Thread(target=_watch, args=(stdin,), name="lifeline", daemon=True).start()


def _watch(stdin: int) -> None:
    hung_up = select.poll()
    hung_up.register(stdin, 0)  # no events asked for: what is left is the end of the pipe
    while not hung_up.poll():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
