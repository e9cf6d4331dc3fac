"""What the screens need from around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tui.cost import Cost
from tui.history.base import History
from tui.keymap import Keymap, resolve
from tui.state.inbox import Inbox
from tui.state.saved import SavedFilters


class Desk(Protocol):
    """What the screens may ask of the application.

    Attributes:
        ascii_only: whether only ASCII characters are drawn.
        cost: what the interface itself costs.
        saved: filters under names.
    """

    ascii_only: bool
    cost: Cost
    saved: SavedFilters

    def take(self, text: str, what: str) -> None:
        """Copies a text and says where it went; ``what`` names it in the sentence."""
        ...

    def use_theme(self, name: str) -> None:
        """Changes the colours to those of a theme."""
        ...

    def open_palette(self) -> None:
        """Opens the palette over the actions."""
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """Doors out of the interface.

    Attributes:
        inbox: filled by feed, outbox and backfill.
        history: answers questions about what is stored.
        connected: called when NATS came (back), with the time since which something may be missing, 0 for none.
        now_us: wall time, UTC microseconds.
        engine: name of the engine that is watched.
        nats_url: where it is sought.
        clickhouse_url: where the history is.
        place: what to call the place of NATS in words to people; empty names ``nats_url``.
        trouble: why the way there is cut, where somebody knows it.
        data_dir: folder for what is written on this machine: unsent verdicts, saved filters, exports.
        keymap: the keys of every action.
    """

    inbox: Inbox
    history: History
    connected: Callable[[int], None]
    now_us: Callable[[], int]
    engine: str
    nats_url: str
    clickhouse_url: str = ""
    place: str = ""
    trouble: Callable[[], str] = lambda: ""
    data_dir: Path = field(default_factory=Path)
    keymap: Keymap = field(default_factory=lambda: resolve({}))
