"""The Textual application: theme, wiring, life cycle. Everything it knows stands in ``tui.state``, everything it shows in
``tui.views``.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import locale
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from textual.app import App
from textual.theme import Theme

from qraft.model import Feedback
from tui.feed.base import Feed
from tui.feed.outbox import Outbox
from tui.history.backfill import Backfill
from tui.history.base import History
from tui.screens.live import LiveScreen
from tui.screens.live_actions import Outside
from tui.state.clock import FrameClock
from tui.state.inbox import Inbox
from tui.state.journal import Journal, JournalError
from tui.state.session import Session
from tui.state.store import Store
from tui.state.undo import Judge
from tui.state.verdicts import Delivery

THEME = Theme(
    name="qraft",
    primary="#5ccfe6",
    secondary="#6cb6ff",
    accent="#5ccfe6",
    foreground="#c5cdd8",
    background="#10141a",
    surface="#10141a",
    panel="#1a212b",
    success="#7fd99a",
    warning="#ffd173",
    error="#ff7b7b",
    variables={
        "dim": "#7f8b99",
        "bright": "#f2f5f9",
        "rule": "#3d4957",
        "cursor": "#22303f",
        "spark": "#3f8f9f",
        "drift": "#6cb6ff",
        "anomaly": "#ffa657",
        "cluster": "#d2a8ff",
    },
)


def wall_us() -> int:
    """The time now, UTC microseconds."""
    return time.time_ns() // 1000


class QraftApp(App[int]):
    """The terminal interface over a session; whoever makes it also feeds the inbox of ``outside``."""

    TITLE = "Qraft"
    CSS_PATH = "styles/qraft.tcss"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False

    def __init__(self, session: Session, outside: Outside, *, remote: bool = False, ascii_only: bool = False) -> None:
        # With NO_COLOR Textual must be told before it starts that colours are the terminal's own: its other filter fails on
        # segments without a style.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.register_theme(THEME)
        self.theme = THEME.name
        self.set_class(ascii_only, "ascii")
        self._live = LiveScreen(session, outside, FrameClock(remote=remote), ascii_only=ascii_only)

    def on_mount(self) -> None:
        """Opens the live screen."""
        self.push_screen(self._live)


class Wiring:
    """A session with what feeds it and what takes its verdicts away."""

    def __init__(self, feed: Feed, history: History, *, data_dir: Path, user: str) -> None:
        self.inbox = Inbox()
        self.history = history
        self._feed = feed
        self._outbox = Outbox(Journal(data_dir / "unsent"), feed, self.inbox)
        self._backfill = Backfill(history, self.inbox)
        self.session = Session(Store(), Judge(user), self._keep)

    def outside(self, *, engine: str, nats_url: str, now_us: Callable[[], int] = wall_us) -> Outside:
        """What the live screen needs."""
        return Outside(self.inbox, self.history, self._backfill.want, now_us, engine, nats_url)

    async def beside(self, front: Coroutine[Any, Any, int | None]) -> int:
        """Runs feed, outbox and backfill as long as ``front`` runs; its result.

        Raises:
            Exception: one of them failed, which is a mistake in this program; ``front`` is ended then.
        """
        try:
            for feedback in self._outbox.reload():
                self.session.store.judge(feedback, Delivery.UNSENT)
        except JournalError as error:
            self.session.say(f"unsent verdicts cannot be read: {error}", wall_us(), bad=True)
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
            self.session.say(f"the verdict is not safe until it is sent: {error}", wall_us(), bad=True)


def run(
    *,
    nats_url: str,
    clickhouse_url: str,
    database: str,
    user: str,
    password: str,
    data_dir: Path,
    engine: str,
    ascii_only: bool = False,
) -> int:
    """Shows the interface until the operator leaves; its exit status.

    Args:
        nats_url: where live data comes from and verdicts go.
        clickhouse_url: HTTP address of the database.
        database: name of Qraft's database.
        user: the database's user.
        password: that user's password.
        data_dir: folder below which unsent verdicts are kept.
        engine: name of the engine to watch.
        ascii_only: draw with ASCII characters only; a terminal without UTF-8 gets them in any case.
    """
    from tui.feed.nats import NatsFeed
    from tui.history.clickhouse import ClickHouseHistory

    history = ClickHouseHistory(clickhouse_url, database=database, user=user, password=password)
    wiring = Wiring(NatsFeed(nats_url), history, data_dir=data_dir, user=login_name())
    outside = wiring.outside(engine=engine, nats_url=nats_url)
    remote = "SSH_CONNECTION" in os.environ
    app = QraftApp(wiring.session, outside, remote=remote, ascii_only=ascii_only or not speaks_utf8(os.environ))
    status = asyncio.run(_front(app, wiring))
    if unsent := wiring.session.store.verdicts.unsent:
        word = "verdicts are" if unsent > 1 else "verdict is"
        print(f"{unsent} {word} not sent yet; kept in {data_dir}, sent by the next `qraft tui`", file=sys.stderr)
    return status


async def _front(app: QraftApp, wiring: Wiring) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        loop.add_signal_handler(number, app.exit, 0)
    return await wiring.beside(app.run_async(mouse=False))


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
