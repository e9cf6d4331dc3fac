"""Runs one function over many inputs on several processes, and ends them all whatever happens.

Workers are fresh processes (spawn), since what they import runs threads that do not survive a fork. They do not see Ctrl-C,
the parent tells them to stop; when the parent dies, however it does, they end by themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event as Flag
from typing import TypeVar

from qraft.replay.errors import ReplayError

Job = TypeVar("Job")
Done = TypeVar("Done")

_POLL_SECONDS = 0.1


class Stopped(Exception):
    """The replay was interrupted; what this worker had begun is not finished."""


Advance = Callable[[int], None]
"""Counts so many bytes as done; raises ``Stopped`` when the replay was interrupted."""


@dataclass(slots=True)
class _Shared:
    """What parent and workers share: bytes done over all workers, and whether to stop."""

    bytes_done: Synchronized[int]
    stop: Flag

    def advance(self, size: int) -> None:
        if self.stop.is_set():
            raise Stopped
        with self.bytes_done.get_lock():
            self.bytes_done.value += size


_shared: _Shared | None = None


def run_all(
    function: Callable[[Job, Advance], Done], jobs: Sequence[Job], *, workers: int, tell: Callable[[int], None]
) -> list[Done]:
    """``function`` of each job, in the order of the jobs; those first in ``jobs`` begin first.

    Args:
        function: a module's function; called as ``function(job, advance)``.
        jobs: what it is called with.
        workers: how many processes; with 1 the work is done in this one.
        tell: called with the bytes done so far, every now and then.

    Raises:
        ReplayError: a worker was killed from outside.
        Exception: what a job raised first; the others are stopped.
    """
    return _run_here(function, jobs, tell) if workers == 1 else _run_apart(function, jobs, workers, tell)


def _run_here(function: Callable[[Job, Advance], Done], jobs: Sequence[Job], tell: Callable[[int], None]) -> list[Done]:
    bytes_done = 0

    def advance(size: int) -> None:
        nonlocal bytes_done
        bytes_done += size
        tell(bytes_done)

    return [function(job, advance) for job in jobs]


def _run_apart(
    function: Callable[[Job, Advance], Done], jobs: Sequence[Job], workers: int, tell: Callable[[int], None]
) -> list[Done]:
    context = multiprocessing.get_context("spawn")
    shared = _Shared(bytes_done=context.Value("q", 0), stop=context.Event())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(shared,))
    try:
        # A blocked signal stays blocked in children, so Ctrl-C reaches the parent alone, from a worker's first instant on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            futures = [pool.submit(_call, function, job) for job in jobs]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            tell(shared.bytes_done.value)
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise ReplayError("a worker process was killed, most likely for want of memory; try fewer workers") from None
    finally:
        shared.stop.set()
        pool.shutdown(cancel_futures=True)


def _start(shared: _Shared) -> None:
    global _shared  # noqa: PLW0603 - a pool's initializer has no other place to leave something for its jobs
    _shared = shared
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[[Job, Advance], Done], job: Job) -> Done:
    if _shared is None:
        raise RuntimeError("called outside a worker")
    return function(job, _shared.advance)
