"""The screens of the terminal."""

from __future__ import annotations

import enum
from typing import Final

from tui.language import N_


class Page(enum.Enum):
    """A screen, by the name of its ``:`` command."""

    LIVE = "live"
    EPISODE = "episode"
    SOURCES = "sources"
    HISTORY = "history"
    FEEDBACK = "feedback"
    PIPE = "pipe"


PAGE_NAME: Final = {
    Page.LIVE: N_("LIVE"),
    Page.EPISODE: N_("EPISODE"),
    Page.SOURCES: N_("SOURCES"),
    Page.HISTORY: N_("HISTORY"),
    Page.FEEDBACK: N_("FEEDBACK"),
    Page.PIPE: N_("PIPE"),
}


class Pane(enum.IntEnum):
    """The panes of the live screen, by the number that opens them."""

    SOURCES = 1
    EPISODES = 2
    DETAIL = 3
