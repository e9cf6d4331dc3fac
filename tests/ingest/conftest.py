"""A sink that keeps what it gets, and blocks or fails on demand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from qraft.config.sources import WhenFull
from qraft.model import DeadLetter, Event


class Collected:
    """Keeps the batches it was sent; while `open` is not set, a send waits."""

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []
        self.letters: list[DeadLetter] = []
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()
        self.changed = asyncio.Event()
        self.fault: Exception | None = None
        self.is_ready = False
        self.when_full: WhenFull = "block"
        self.pressed = False
        self.given_up: Counter[str] = Counter()
        self.gaps = 0
        self.notices: list[tuple[str, str]] = []

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]

    def ready(self) -> None:
        self.is_ready = True

    async def send(self, events: Sequence[Event]) -> None:
        self.entered.set()
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        self.batches.append(list(events))
        self.changed.set()

    async def dead(self, letters: Sequence[DeadLetter]) -> None:
        await self.open.wait()
        self.letters.extend(letters)
        self.changed.set()

    def dropped(self, reason: str, count: int = 1) -> None:
        self.given_up[reason] += count

    def missing(self, count: int) -> None:
        self.gaps += count

    def notice(self, kind: str, text: str) -> None:
        self.notices.append((kind, text))
        self.changed.set()

    async def until(self, reached: Callable[[], bool], seconds: float = 20.0) -> None:
        """Waits until ``reached`` holds; it is looked at after each send."""
        async with asyncio.timeout(seconds):
            while not reached():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def sink() -> Collected:
    return Collected()


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The recorded streams; a test that needs them is skipped where they are not."""
    path = Path(__file__).parents[3] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"the recorded data are not at {path.name}/ beside the repository")
    return path
