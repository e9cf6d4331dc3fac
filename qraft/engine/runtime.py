"""What every long-running process of Qraft does: logging and signals. It imports little, since `qraft up` is little."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys


def set_up_logging(level: str) -> None:
    """One line a record on stderr."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True
    )
    for noisy in ("httpx", "httpcore", "urllib3", "websockets", "nats", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
