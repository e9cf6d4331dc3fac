"""The Textual application: theme, palette, clipboard, life cycle. Everything it knows stands in ``tui.state``, everything it
shows in ``tui.views`` and ``tui.pages``; ``run`` is what the command line calls.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.command import CommandPalette, Provider

from qraft.config import ClickHouseAddress, NatsAddress
from tui import theme
from tui.clipboard import CopyError, copy
from tui.cost import STATS_VARIABLE, Cost, probe, process_usage, report
from tui.driver import Output, driver_class
from tui.language import Language, t, tn, use
from tui.outside import Outside
from tui.screens.main import with_keys
from tui.screens.palette import Actions
from tui.state.clock import FrameClock
from tui.state.saved import SavedFilters
from tui.state.session import Session
from tui.typed import TypedInOrder
from tui.views.text import quantity
from tui.wiring import Wiring, login_name, speaks_utf8
from tui.zone import ZoneName, use_zone


class Palette(CommandPalette):
    """The palette, from which one may quit as from anywhere."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "app.quit", show=False, priority=True)]


class QraftApp(TypedInOrder, inherit_bindings=False):
    """The terminal interface over a session; whoever makes it also feeds the inbox of ``outside``."""

    TITLE = "Qraft"
    CSS_PATH = "styles/qraft.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {Actions}
    COMMAND_PALETTE_BINDING = ""
    ALLOW_SELECT = False

    def __init__(
        self,
        session: Session,
        outside: Outside,
        *,
        remote: bool = False,
        ascii_only: bool = False,
        theme_name: str = "",
        fps: int = 4,
    ) -> None:
        chosen = theme.choose(theme_name, os.environ, theme.colors_of(os.environ))
        self.output = Output()
        # The theme holds what NO_COLOR asks for; Textual's own filters would work on its stock widgets only.
        no_color = os.environ.pop("NO_COLOR", None)
        super().__init__(driver_class=driver_class(self.output))
        if no_color is not None:
            os.environ["NO_COLOR"] = no_color
        self.use_theme(chosen)
        self.ascii_only = ascii_only
        self.saved = SavedFilters(outside.data_dir)
        self.cost = Cost(lambda: process_usage(lambda: (self.output.bytes, self.output.waited)))
        self._outside = outside
        self._session = session
        clock = FrameClock(remote=remote, most=fps)
        self.main = with_keys(outside.keymap)(session, outside, clock, self.cost, ascii_only=ascii_only)

    def on_mount(self) -> None:
        """Opens the main screen; measures what all of it costs."""
        self.push_screen(self.main)
        self.run_worker(probe(self.cost), group="cost")
        if path := os.environ.get(STATS_VARIABLE):
            self.run_worker(report(self.cost, Path(path)), group="cost")

    def use_theme(self, name: str) -> None:
        """Changes the colours to those of a theme."""
        if name not in self.available_themes:
            self.register_theme(theme.textual_theme(theme.load(name)))
        self.theme = name

    async def action_quit(self) -> None:
        """Ends the interface."""
        self.exit(0)

    def open_palette(self) -> None:
        """Opens the palette over the actions."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(Palette(placeholder=t("an action, a screen, a source …")))

    def take(self, text: str, what: str) -> None:
        """Copies a text and says where it went; ``what`` names it in the sentence."""
        now = self._outside.now_us()
        if not text:
            return
        if self.is_web:
            self.copy_to_clipboard(text)
            self._session.say(t("{what} copied", what=what), now)
            return
        try:
            copied = copy(text, write=self.output.write, environment=os.environ, folder=self._outside.data_dir)
        except CopyError as error:
            self._session.say(str(error), now, bad=True)
            return
        size = quantity(copied.bytes)
        if copied.how == "terminal":
            self._session.say(t("{what} copied ({size} bytes)", what=what, size=size), now)
        else:
            said = t(
                "{what} is too long for the terminal ({size} bytes); it is in {path}",
                what=what,
                size=size,
                path=copied.where,
            )
            self._session.say(said, now)


def run(
    *,
    nats: NatsAddress,
    clickhouse: ClickHouseAddress,
    database: str,
    data_dir: Path,
    engine: str,
    ascii_only: bool = False,
    theme_name: str = "",
    language: Language = "en",
    keys: Mapping[str, str | list[str]] | None = None,
    zone: ZoneName = "UTC",
    fps: int = 4,
    mouse: bool = False,
    place: str = "",
    trouble: Callable[[], str] = lambda: "",
) -> int:
    """Shows the interface until the operator leaves; its exit status.

    Args:
        nats: where live data comes from and verdicts go.
        clickhouse: the database.
        database: name of Qraft's database.
        data_dir: folder below which unsent verdicts and saved filters are kept.
        engine: name of the engine to watch.
        ascii_only: draw with ASCII characters only; a terminal without UTF-8 gets them in any case.
        theme_name: one of ``tui.theme.NAMES``; empty for what suits the terminal.
        language: of the interface.
        keys: by action, keys in place of its own.
        zone: in which times are shown at first.
        place: what to call the place of the engine, where ``nats`` is only the near end of a tunnel.
        trouble: why the way there is cut, empty as long as it is not.
        fps: most pictures a second, 1 to 4.
        mouse: whether the mouse works; it is never needed, and takes away the terminal's own way to select text.

    Raises:
        KeymapError: ``keys`` cannot be used.
        ThemeError: there is no such theme.
    """
    from tui.feed.nats import NatsFeed
    from tui.history.clickhouse import ClickHouseHistory
    from tui.keymap import resolve

    plain = ascii_only or not speaks_utf8(os.environ)
    use("en" if plain else language)  # Chinese has no ASCII form
    use_zone(zone)
    keymap = resolve(keys or {})
    history = ClickHouseHistory(clickhouse, database=database)
    wiring = Wiring(NatsFeed(nats), history, data_dir=data_dir, user=login_name(), keymap=keymap)
    outside = wiring.outside(engine=engine, nats_url=nats.url, clickhouse_url=clickhouse.url, place=place, trouble=trouble)
    app = QraftApp(
        wiring.session,
        outside,
        remote="SSH_CONNECTION" in os.environ,
        ascii_only=plain,
        theme_name=theme_name,
        fps=fps,
    )
    in_browser = "TEXTUAL_DRIVER" in os.environ
    gc.collect()
    gc.freeze()  # what was loaded stays; collections then look at what comes and goes
    status = asyncio.run(_front(app, wiring, mouse=mouse or in_browser))
    if unsent := wiring.session.store.ledger.verdicts.unsent:
        said = tn("{n} verdict is not sent yet", "{n} verdicts are not sent yet", unsent)
        print(
            t("{verdicts}; kept in {path}, sent by the next `qraft tui`", verdicts=said, path=str(data_dir)), file=sys.stderr
        )
    return status


async def _front(app: QraftApp, wiring: Wiring, *, mouse: bool) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        loop.add_signal_handler(number, app.exit, 0)
    return await wiring.beside(app.run_async(mouse=mouse))
