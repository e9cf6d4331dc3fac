"""What every screen has in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, cast

from textual.containers import Container

from qraft.model import Pattern
from tui.history.base import HistoryUnavailable
from tui.outside import Desk, Outside
from tui.state.episodes import Episode
from tui.state.pages import Page
from tui.state.session import Session
from tui.widgets.row_table import RowTable

WIDE, TALL = 100, 22
"""From this size on panes stand side by side; below, one has the screen."""


class PageView(Container):
    """The body of one screen, between banner and key bar. Only the one in front is painted."""

    page: ClassVar[Page]

    def __init__(self, session: Session, outside: Outside, *, ascii_only: bool) -> None:
        super().__init__(id=f"page-{self.page.value}", classes="page")
        self.session = session
        self.outside = outside
        self.ascii_only = ascii_only
        self._picture: object = None

    @property
    def desk(self) -> Desk:
        """The application."""
        return cast("Desk", self.app)

    @abstractmethod
    def paint(self, now_us: int) -> None:
        """Brings every visible widget up to date; each repaints only lines that changed."""

    def move(self, steps: int, now_us: int) -> None:
        """Moves the cursor, or the text where there is none."""
        self.session.move(steps, now_us)

    def edge(self, *, last: bool, now_us: int) -> None:
        """Moves to the first or last row."""
        self.session.edge(last=last, now_us=now_us)

    def enter(self, now_us: int) -> None:
        """Goes in at the cursor."""
        self.session.enter(now_us)

    @property
    def rows_in_view(self) -> int:
        """How far a page key moves."""
        return max(1, self.size.height - 3)

    def show_pane(self, number: int) -> None:
        """Brings a pane to the front."""

    def next_pane(self, steps: int) -> None:
        """Brings the next or previous pane to the front."""

    def act(self, name: str, now_us: int) -> bool:
        """Does an action in this screen's own way; False leaves it to the common one."""
        return False

    def pick(self, event: RowTable.Picked, now_us: int) -> None:
        """A row was clicked: the cursor goes there; on the row it stands on already, in."""

    def wheel(self, event: RowTable.Wheel, now_us: int) -> None:
        """The wheel was turned."""
        self.move(event.steps, now_us)

    def refresh_data(self) -> None:
        """Asks the database again."""

    def sql(self) -> str:
        """The query behind what is shown; empty where there is none."""
        return ""

    def moves_on(self) -> bool:
        """Whether what is shown may change: not while frozen, but for the one picture that a step takes."""
        frozen, before = self.session.frozen, self._picture
        self._picture = frozen
        return frozen is None or frozen is not before

    @property
    def single(self) -> bool:
        """Whether one pane has the whole screen."""
        size = self.screen.size
        return self.session.zoomed or size.width < WIDE or size.height < TALL


def ask_chart(view: PageView, episode: Episode, now_us: int) -> None:
    """Asks for the events around an episode's peak, where they are not known yet."""
    if view.session.charts.wanted(episode.peak, episode.peak_us, now_us):
        view.run_worker(_answer_chart(view, episode.peak), group="charts")


async def _answer_chart(view: PageView, pattern: Pattern) -> None:
    charts = view.session.charts
    try:
        charts.answer(pattern.pattern_id, await view.outside.history.around(pattern))
    except HistoryUnavailable as error:
        charts.answer(pattern.pattern_id, [], str(error))
