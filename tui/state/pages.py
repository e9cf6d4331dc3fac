"""The screens of the terminal."""

from __future__ import annotations

import enum


class Page(enum.Enum):
    """A screen, by the name of its ``:`` command."""

    LIVE = "live"
    EPISODE = "episode"
    SOURCES = "sources"
    HISTORY = "history"
    FEEDBACK = "feedback"
    PIPE = "pipe"


class Pane(enum.IntEnum):
    """The panes of the live screen, by the number that opens them."""

    SOURCES = 1
    EPISODES = 2
    DETAIL = 3
