"""A session with what feeds it and what takes away what the operator says."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import locale
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from qraft.model import Feedback
from tui.feed.base import Feed
from tui.feed.outbox import Outbox
from tui.history.backfill import Backfill
from tui.history.base import History
from tui.keymap import Keymap, resolve
from tui.language import t
from tui.outside import Outside
from tui.state.inbox import Inbox
from tui.state.journal import Journal, JournalError
from tui.state.session import Session
from tui.state.store import Store
from tui.state.undo import Judge
from tui.state.verdicts import Delivery


def wall_us() -> int:
    """The time now, UTC microseconds."""
    return time.time_ns() // 1000


class Wiring:
    """Feed, history, outbox and session, brought together."""

    def __init__(self, feed: Feed, history: History, *, data_dir: Path, user: str, keymap: Keymap | None = None) -> None:
        self._keymap = keymap if keymap is not None else resolve({})
        self.inbox = Inbox()
        self.history = history
        self.data_dir = data_dir
        self._feed = feed
        self._outbox = Outbox(Journal(data_dir / "unsent"), feed, self.inbox)
        self._backfill = Backfill(history, self.inbox)
        self.session = Session(Store(), Judge(user), self._keep, keymap=self._keymap)

    def outside(
        self,
        *,
        engine: str,
        nats_url: str,
        clickhouse_url: str = "",
        place: str = "",
        trouble: Callable[[], str] = lambda: "",
        now_us: Callable[[], int] = wall_us,
    ) -> Outside:
        """What the screens need."""
        return Outside(
            inbox=self.inbox,
            history=self.history,
            connected=lambda since_us: self._backfill.want(since_us or None),
            now_us=now_us,
            engine=engine,
            nats_url=nats_url,
            clickhouse_url=clickhouse_url,
            place=place,
            trouble=trouble,
            data_dir=self.data_dir,
            keymap=self._keymap,
        )

    async def beside(self, front: Coroutine[Any, Any, int | None]) -> int:
        """Runs feed, outbox and backfill as long as ``front`` runs; its result.

        Raises:
            Exception: one of them failed, which is a mistake in this program; ``front`` is ended then.
        """
        try:
            for feedback in self._outbox.reload():
                self.session.hear(feedback, Delivery.UNSENT)
        except JournalError as error:
            self.session.say(t("unsent verdicts cannot be read: {error}", error=error), wall_us(), bad=True)
        self._backfill.want()
        main = asyncio.ensure_future(front)
        works = (self._feed.run(self.inbox), self._outbox.run(), self._backfill.run())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.wait({main, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, *([main] if not main.done() else [])):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(asyncio.CancelledError):
                await main
            await self.history.close()
        for result in results:
            if isinstance(result, Exception):
                raise result
        return main.result() or 0

    def _keep(self, feedback: Feedback) -> None:
        try:
            self._outbox.put(feedback)
        except JournalError as error:
            self.session.say(t("this is not safe until it is sent: {error}", error=error), wall_us(), bad=True)


def login_name() -> str:
    """Who gives the verdicts."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def speaks_utf8(environment: Mapping[str, str]) -> bool:
    """Whether the terminal's locale has characters beyond ASCII."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := environment.get(name):
            return "utf" in value.lower()
    return "utf" in (sys.stdout.encoding or locale.getpreferredencoding(do_setlocale=False) or "").lower()
