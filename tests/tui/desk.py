"""The whole interface with nothing behind it but what a test puts into its inbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from textual import events
from textual.pilot import Pilot

from qraft.model import EngineStats, Feedback, Pattern, SourceStats, us_from_iso
from tui.app import QraftApp
from tui.feed.fake import FakeFeed, World
from tui.history.fake import FakeHistory
from tui.keymap import SHOWN, resolve
from tui.screens.main import MainScreen
from tui.state.inbox import Past
from tui.state.journal import Journal
from tui.state.session import Session
from tui.widgets.line_view import LineView
from tui.widgets.prompt_line import PromptInput
from tui.wiring import Wiring

NOW_US = us_from_iso("2026-11-22T14:00:00Z")
SECOND = 1_000_000
CHARACTER_OF = {name: shown for name, shown in SHOWN.items() if len(shown) == 1 and shown.isascii()} | {"space": " "}
KEY_OF = {character: name for name, character in CHARACTER_OF.items()}


class Desk:
    """An application whose clock is ``now_us``. What would go to the terminal besides the picture lands in ``written``."""

    def __init__(
        self,
        folder: Path,
        *,
        ascii_only: bool = False,
        keys: Mapping[str, str | Sequence[str]] | None = None,
        past: list[Past] | None = None,
        theme_name: str = "",
        history: FakeHistory | None = None,
    ) -> None:
        self.now_us = NOW_US
        self.folder = folder
        self.written: list[str] = []
        self.world = World()
        self.history = history or FakeHistory(past, now_us=NOW_US)
        feed, keymap = FakeFeed(self.world, rate=0), resolve(keys or {})
        self.wiring = Wiring(feed, self.history, data_dir=folder, user="me", keymap=keymap)
        outside = self.wiring.outside(engine="main", nats_url="nats://nowhere:4222", now_us=lambda: self.now_us)
        self.app = QraftApp(self.wiring.session, outside, ascii_only=ascii_only, theme_name=theme_name)
        self.app.output.write = self._wrote  # type: ignore[method-assign]  # a test has no terminal to write to

    def _wrote(self, text: str) -> bool:
        self.written.append(text)
        return True

    @property
    def session(self) -> Session:
        """What the operator sees and does."""
        return self.wiring.session

    @property
    def main(self) -> MainScreen:
        """The screen that holds everything."""
        return self.app.main

    def text(self, *names: str) -> str:
        """What the visible views of the screen in front show, or only those of these ids."""
        views = self.app.screen.query(LineView)
        return "\n".join(v.text for v in views if v.region.area and (not names or v.id in names))

    async def fold(self, pilot: Pilot[int], *patterns: Pattern, link: bool | None = None) -> None:
        """Patterns and a word of the engine arrive, and the connection comes or goes; then a frame."""
        if link is not None:
            self.wiring.inbox.link(link)
        self.wiring.inbox.patterns(list(patterns))
        source = SourceStats(source="host", state="running", rate=3.0, read=10, processed=10, warm=1.0)
        self.wiring.inbox.stats(EngineStats(engine="main", timestamp="", state="running", rate=3.0, sources=[source]))
        await self.tick(pilot)

    async def tick(self, pilot: Pilot[int]) -> None:
        """One frame."""
        self.main.tick()
        await self.settled()

    async def press(self, pilot: Pilot[int], *keys: str) -> None:
        """Keys, one after the other, and what follows from each. The pilot's own way waits some 50 ms a key."""
        for key in keys:
            name = KEY_OF.get(key, key)
            character = CHARACTER_OF.get(name, name if len(name) == 1 else None)
            self.app.post_message(events.Key(name, character))
            await self.settled()

    async def settled(self) -> None:
        """Everything that was posted is handled, and painted."""
        for _ in range(3):
            for _ in range(12):
                await asyncio.sleep(0)
            if not self.app.is_running or self.app.return_code is not None:
                return
            painted = asyncio.Event()
            self.app.screen.call_after_refresh(painted.set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(painted.wait(), 10)

    async def answered(self, pilot: Pilot[int]) -> None:
        """All questions to the database are asked and answered, and the answers are painted."""
        await self.tick(pilot)
        for _ in range(3):  # an answer may lead to another question
            while asked := [worker for worker in self.app.workers if worker.group != "cost" and not worker.is_finished]:
                await self.app.workers.wait_for_complete(asked)
                await self.settled()
            await self.tick(pilot)

    async def command(self, pilot: Pilot[int], text: str) -> None:
        """A command line."""
        await self.press(pilot, "colon")
        box = self.main.query_one(PromptInput)
        box.value = text
        await self.press(pilot, "enter")

    def unsent(self) -> list[Feedback]:
        """What waits in the journal."""
        return Journal(self.folder / "unsent").unsent()
