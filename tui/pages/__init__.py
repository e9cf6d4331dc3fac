"""The screens one works on: each paints what the session says into its widgets."""

from __future__ import annotations

from typing import Final

from tui.pages.base import PageView
from tui.pages.episode import EpisodePage
from tui.pages.feedback import FeedbackPage
from tui.pages.history import HistoryPage
from tui.pages.live import LivePage
from tui.pages.pipe import PipePage
from tui.pages.sources import SourcesPage
from tui.state.pages import Page

PAGES: Final[dict[Page, type[PageView]]] = {
    Page.LIVE: LivePage,
    Page.EPISODE: EpisodePage,
    Page.HISTORY: HistoryPage,
    Page.FEEDBACK: FeedbackPage,
    Page.SOURCES: SourcesPage,
    Page.PIPE: PipePage,
}

__all__ = ["PAGES", "PageView"]
