"""What the machine itself is worth at this moment: figures to read the terminal's beside, on a machine that is shared."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOOP = 2_000_000
"""Turns of the calibration loop."""
SLEEP_SECONDS = 0.05
"""How long the sleeper sleeps; the interface's own probe of its event loop does the same."""


def calibration() -> float:
    """CPU seconds of a fixed loop of plain Python. It costs more where another thread shares the core."""
    begun = time.thread_time()
    total = 0
    for number in range(LOOP):
        total += number & 7
    return time.thread_time() - begun


@contextmanager
def lateness() -> Iterator[list[float]]:
    """How many seconds late a thread that does nothing wakes up, time after time: the least lag any program has here."""
    late: list[float] = []
    over = threading.Event()

    def sleep() -> None:
        while not over.is_set():
            due = time.perf_counter() + SLEEP_SECONDS
            time.sleep(SLEEP_SECONDS)
            late.append(time.perf_counter() - due)

    thread = threading.Thread(target=sleep, name="sleeper")
    thread.start()
    try:
        yield late
    finally:
        over.set()
        thread.join()
