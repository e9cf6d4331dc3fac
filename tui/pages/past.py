"""Fills the past window in view, whichever screen is in front."""

from __future__ import annotations

from typing import Final

from qraft.filter import parse
from qraft.model import SourceStats, iso_from_us
from qraft.store import EpisodeQuery, PastSource
from tui.history.base import HistoryUnavailable
from tui.pages.base import PageView
from tui.state.past import MOST_EPISODES, Past
from tui.state.store import SourceState
from tui.state.window import Window

BUCKETS: Final = 60
"""Cells of a source's sparkline over a past window."""


def ask_past(view: PageView) -> None:
    """Asks for the past window in view, where that was not done yet."""
    past = view.session.past
    if past is not None and not past.asked:
        past.asked = True
        view.run_worker(_answer_past(view, past), group="past", exclusive=True)


def episodes_in_view(view: PageView) -> EpisodeQuery:
    """The question whose answer the list of episodes shows."""
    session = view.session
    window = session.window
    return EpisodeQuery(
        filter=parse(session.filter.text),
        since_us=window.since_us if window else None,
        until_us=window.until_us if window else None,
        now_us=window.until_us if window else view.outside.now_us(),
        limit=MOST_EPISODES,
    )


async def _answer_past(view: PageView, past: Past) -> None:
    window, history = past.window, view.outside.history
    query = EpisodeQuery(since_us=window.since_us, until_us=window.until_us, now_us=window.until_us, limit=MOST_EPISODES)
    try:
        page = await history.episodes(query)
        found = await history.sources_in(window.since_us, window.until_us, BUCKETS)
    except HistoryUnavailable as error:
        past.fail(str(error))
    else:
        states = {s.source: past_source(s, window) for s in found}
        past.answer([(row.episode, row.feedback) for row in page.rows], states, page.total or len(page.rows))
        view.session.retell(past.ledger)


def past_source(seen: PastSource, window: Window) -> SourceState:
    """What a source did in a past window, in the form of what it does now."""
    seconds = max(1e-6, window.length_us / 1e6)
    stats = SourceStats(
        source=seen.source,
        state="finished",
        rate=seen.events / seconds,
        processed=seen.events,
        patterns=seen.patterns,
        entities=seen.entities,
        dead=seen.dead,
        last_event=iso_from_us(seen.last_us) if seen.events else "",
    )
    counts = tuple(float(n) for n in seen.counts)
    return SourceState(stats, "", window.until_us, buckets=counts)
