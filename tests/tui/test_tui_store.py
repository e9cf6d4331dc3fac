from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qraft.model import EngineStats, Feedback, Pattern, SourceStats, iso_from_us
from tui.state.board import View
from tui.state.inbox import MAX_PATTERNS, Batch, Delivery as Delivered, Inbox, LinkChange, Past
from tui.state.store import SILENT_US, Store
from tui.state.verdicts import Delivery

SECOND = 1_000_000
MakePattern = Callable[..., Pattern]


def feedback(pattern: Pattern, **changes: Any) -> Feedback:
    values: dict[str, Any] = {
        "feedback_id": f"on-{pattern.pattern_id}",
        "pattern_id": pattern.pattern_id,
        "verdict": "confirmed",
        "timestamp": pattern.timestamp,
        "source": pattern.source,
        "user": "ann",
    }
    return Feedback(**{**values, **changes})


def stats(now_us: int, rate: float = 5.0, *, sources: tuple[str, ...] = ("host",), read: int = 10) -> EngineStats:
    return EngineStats(
        engine="main",
        timestamp=iso_from_us(now_us),
        state="running",
        rate=rate,
        sources=[SourceStats(source=name, rate=rate, read=read, state="running") for name in sources],
    )


def view(store: Store, now_us: int) -> View:
    episodes = list(store.ledger.episodes.newest_first())
    return View(episodes, store.ledger, store.sources, now_us, store.newest_us, store.version)


def test_live_patterns_become_episodes(make_pattern: MakePattern, now_us: int) -> None:
    store = Store()
    store.fold(Batch(patterns=[make_pattern(0), make_pattern(1), make_pattern(2, source="market")]), now_us)
    assert sorted((e.source, e.n) for e in store.ledger.episodes.newest_first()) == [("host", 2), ("market", 1)]
    assert store.received == 3
    assert store.data_us == now_us


def test_a_verdict_that_comes_before_its_pattern_is_not_lost(make_pattern: MakePattern, now_us: int) -> None:
    store, pattern = Store(), make_pattern()
    store.fold(Batch(feedback=[feedback(pattern)]), now_us)
    store.fold(Batch(patterns=[pattern]), now_us)
    (episode,) = store.ledger.episodes.newest_first()
    assert store.ledger.mark(episode).verdict == "confirmed"


def test_a_verdict_is_stored_before_its_pattern_is_loaded(make_pattern: MakePattern, now_us: int) -> None:
    store, pattern = Store(), make_pattern()
    store.judge(feedback(pattern), Delivery.UNSENT)
    assert store.ledger.verdicts.unsent == 1
    store.fold(Batch(deliveries=[Delivered(f"on-{pattern.pattern_id}")]), now_us)
    assert store.ledger.verdicts.unsent == 0
    store.fold(Batch(past=[Past(pattern)]), now_us)
    (episode,) = store.ledger.episodes.newest_first()
    assert store.ledger.mark(episode).delivery is Delivery.STORED
    assert store.ledger.mark(episode).verdict == "confirmed"


def test_stored_patterns_bring_their_verdicts_and_repeat_nothing(make_pattern: MakePattern, now_us: int) -> None:
    store, pattern = Store(), make_pattern()
    store.fold(Batch(patterns=[pattern]), now_us)
    store.fold(Batch(past=[Past(pattern, feedback(pattern)), Past(make_pattern(-600))]), now_us)
    newest, older = store.ledger.episodes.newest_first()
    assert (newest.n, store.ledger.mark(newest).verdict) == (1, "confirmed")
    assert older.last_us < newest.last_us
    assert store.received == 1, "stored patterns do not count as arrived"


def test_verdicts_survive_a_merge(make_pattern: MakePattern, now_us: int) -> None:
    store = Store()
    first, second, bridge = make_pattern(0), make_pattern(480), make_pattern(240)
    store.fold(Batch(patterns=[first, second], feedback=[feedback(second)]), now_us)
    store.fold(Batch(patterns=[bridge]), now_us)
    (episode,) = store.ledger.episodes.newest_first()
    assert episode.n == 3
    assert store.ledger.mark(episode).verdict == "confirmed"


def test_an_episode_closes_when_its_source_has_moved_on(make_pattern: MakePattern, now_us: int) -> None:
    store = Store()
    store.fold(Batch(patterns=[make_pattern(0)]), now_us)
    (episode,) = store.ledger.episodes.newest_first()
    assert view(store, now_us + 60 * SECOND).is_open(episode)
    assert not view(store, now_us + 301 * SECOND).is_open(episode)
    moved = SourceStats(source="host", last_event=iso_from_us(now_us + 400 * SECOND))
    store.fold(Batch(stats=[EngineStats(engine="main", timestamp="", state="running", sources=[moved])]), now_us + SECOND)
    assert not view(store, now_us + SECOND).is_open(episode), "a fast replay is long past it in event time"


def test_a_pause_of_the_engine_is_not_a_rate_of_nought(now_us: int) -> None:
    store = Store()
    for second in (0, 1, 5):
        store.fold(Batch(stats=[stats(now_us + second * SECOND, rate=second + 1.0)]), now_us + second * SECOND)
    assert store.sources["host"].rates(now_us + 6 * SECOND, 7) == [1.0, 2.0, None, None, None, 6.0, None]


def test_a_source_that_is_no_longer_named_goes(now_us: int) -> None:
    store = Store()
    store.fold(Batch(stats=[stats(now_us, sources=("host", "market"))]), now_us)
    store.fold(Batch(stats=[stats(now_us, sources=("market",))]), now_us)
    assert list(store.sources) == ["market"]


def test_when_a_source_last_brought_something(now_us: int) -> None:
    store = Store()
    for second, read in ((0, 10), (1, 11), (2, 11)):
        store.fold(Batch(stats=[stats(now_us, read=read)]), now_us + second * SECOND)
    assert store.sources["host"].changed_us == now_us + SECOND


def test_an_engine_is_silent_after_some_seconds(now_us: int) -> None:
    store = Store()
    store.fold(Batch(stats=[stats(now_us)]), now_us)
    assert not store.engines["main"].silent(now_us + SECOND)
    assert store.engines["main"].silent(now_us + SILENT_US + 1)


def test_the_link_remembers_since_when_and_whether_it_ever_was(now_us: int) -> None:
    store = Store()
    assert not store.link.tried
    store.fold(Batch(links=[LinkChange(False, "refused")]), now_us)
    store.fold(Batch(links=[LinkChange(False, "refused again")]), now_us + SECOND)
    assert (store.link.up, store.link.ever, store.link.since_us, store.link.reason) == (
        False,
        False,
        now_us,
        "refused again",
    )
    store.fold(Batch(links=[LinkChange(True), LinkChange(False)]), now_us + 2 * SECOND)
    assert (store.link.up, store.link.ever, store.link.since_us) == (False, True, now_us + 2 * SECOND)


def test_the_inbox_is_bounded_and_counts_what_it_drops(make_pattern: MakePattern, now_us: int) -> None:
    inbox, store = Inbox(), Store()
    one = make_pattern()
    inbox.patterns([one] * (MAX_PATTERNS + 7))
    inbox.patterns([one] * 3)
    batch = inbox.drain()
    assert (len(batch.patterns), batch.dropped) == (MAX_PATTERNS, 10)
    store.fold(batch, now_us)
    assert store.dropped == 10
    assert not inbox.drain()
