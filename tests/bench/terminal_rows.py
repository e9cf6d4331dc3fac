"""How long the rows of a frame take to find among 10,000 episodes: filters, orders, and a second of the live load."""

import gc
import time
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from qraft.model import Feedback, Pattern, Verdict, derive_id, iso_from_us
from tests.bench.terminal_feed import SOURCES, patterns
from tui.feed.fake import World
from tui.state.inbox import Batch
from tui.state.ordering import EPISODE_SORTS
from tui.state.session import Session
from tui.state.store import Store
from tui.state.undo import Judge

EPISODES = 10_000
GIVEN: tuple[Verdict, ...] = ("confirmed", "false_positive", "expected")
FILTERS = (
    "",
    "far from anything",
    "/cpu|latency.*before/",
    "kind:drift score>.7",
    "src:feed-0* !kind:cluster",
    "field:errors n>=1",
    "by:ann",
    "state:new age<1h",
)
LIVE_FILTER = "kind:drift score>.7"
LIVE_BATCH = 500
"""Patterns between two frames at 1000 a second and 2 frames a second."""


def filled(now_us: int) -> Session:
    """A session with 10,000 episodes of 100 sources, every tenth judged by one of two operators."""
    store = Store()
    world = World(sources=SOURCES)
    held = [msgspec.structs.replace(world.pattern(now_us - n * 1_000), entity=f"unit-{n}") for n in range(EPISODES, 0, -1)]
    verdicts = [_verdict(held[n], GIVEN[n // 10 % 3], ("ann", "bob")[n // 10 % 2]) for n in range(0, EPISODES, 10)]
    store.fold(Batch(patterns=held, feedback=verdicts, stats=[world.stats(now_us)]), now_us)
    session = Session(store, Judge("ann"), lambda _: None)
    session.frame(now_us)
    if session.board.total != EPISODES:
        raise RuntimeError(f"{session.board.total} episodes stand where {EPISODES} should")
    gc.collect()
    gc.freeze()  # as the interface does when it starts
    return session


def _verdict(pattern: Pattern, verdict: Verdict, user: str) -> Feedback:
    return Feedback(
        feedback_id=derive_id("bench", pattern.pattern_id),
        pattern_id=pattern.pattern_id,
        verdict=verdict,
        timestamp=pattern.timestamp,
        source=pattern.source,
        user=user,
    )


def changed_filter_and_order(session: Session, now_us: int, rounds: int) -> Iterator[tuple[str, str, float]]:
    """Filter, order, and CPU seconds until the frame after the change stands, for every pair, ``rounds`` times."""
    for _ in range(rounds):
        for order, (name, _) in enumerate(EPISODE_SORTS):
            for text in FILTERS:
                session.set_filter("n>0", now_us)
                session.board.order.index = order
                yield text, name, _timed(lambda text=text: _changed(session, text, now_us))  # type: ignore[misc]


def _changed(session: Session, text: str, now_us: int) -> None:
    if not session.set_filter(text, now_us):
        raise RuntimeError(f"{text}: {session.filter_error}")
    session.frame(now_us)


def live_frames(session: Session, now_us: int, frames: int) -> Iterator[tuple[float, float]]:
    """CPU seconds to fold half a second of patterns, and to find the rows of the frame after that, filtered and sorted."""
    session.board.order.index = 1
    session.set_filter(LIVE_FILTER, now_us)
    world, source = World(seed=8, sources=SOURCES), patterns(World(seed=9, sources=SOURCES), 1_000)
    for frame in range(1, frames + 1):
        now = now_us + frame * 500_000
        batch = Batch(patterns=[_at(p, now) for p in islice(source, LIVE_BATCH)])
        batch.stats.extend([world.stats(now)] if frame % 2 else [])
        folded = _timed(lambda batch=batch, now=now: session.fold(batch, now))  # type: ignore[misc]
        yield folded, _timed(lambda now=now: session.frame(now))  # type: ignore[misc]


def _at(pattern: Pattern, now_us: int) -> Pattern:
    return msgspec.structs.replace(pattern, timestamp=iso_from_us(now_us))


def _timed(work: Callable[[], object]) -> float:
    """CPU time: as long as it takes on a machine that nobody else uses."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun
