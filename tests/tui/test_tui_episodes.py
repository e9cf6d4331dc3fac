from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, strategies as st

from qraft.model import Details, Pattern, iso_from_us
from tui.state.episodes import GAP_US, Episodes

MINUTE = 60_000_000
BASE_US = 1_800_000_000_000_000


def pattern(number: int, minute: float, source: str = "host", confidence: float = 0.5) -> Pattern:
    return Pattern(
        pattern_id=f"p{number:03d}",
        type="drift",
        timestamp=iso_from_us(BASE_US + round(minute * MINUTE)),
        source=source,
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=confidence),
        contributors=[],
        detector="drift",
    )


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[Pattern], list[Pattern]]:
    drawn = draw(
        st.lists(st.tuples(st.integers(0, 240), st.sampled_from(["a", "b"]), st.sampled_from([0.5, 0.6, 0.9])), max_size=40)
    )
    made = [pattern(i, minute / 4, source, confidence) for i, (minute, source, confidence) in enumerate(drawn)]
    return made, draw(st.permutations(made))


def view(patterns: Sequence[Pattern]) -> set[tuple[object, ...]]:
    episodes = Episodes()
    for p in patterns:
        episodes.add(p, 0)
    return {(e.source, e.first_us, e.last_us, e.n, e.peak.pattern_id) for e in episodes.newest_first()}


def expected(patterns: Sequence[Pattern]) -> set[tuple[object, ...]]:
    """Runs by sorting all patterns of a source and cutting at each gap."""
    found: set[tuple[object, ...]] = set()
    for source in {p.source for p in patterns}:
        run: list[tuple[int, Pattern]] = []
        mine = sorted(((round((_us(p))), p) for p in patterns if p.source == source), key=lambda pair: pair[0])
        for time_us, p in [*mine, (1 << 62, None)]:
            if run and time_us - run[-1][0] > GAP_US:
                peak = min(run, key=lambda pair: (-pair[1].details.confidence, pair[0], pair[1].pattern_id))[1]
                found.add((source, run[0][0], run[-1][0], len(run), peak.pattern_id))
                run = []
            if p is not None:
                run.append((time_us, p))
    return found


def _us(p: Pattern) -> int:
    from tui.state.episodes import time_of

    return time_of(p)


@given(shuffled())
def test_episodes_are_the_runs_without_a_gap_whatever_the_order_of_arrival(
    pair: tuple[list[Pattern], list[Pattern]],
) -> None:
    made, mixed = pair
    assert view(made) == view(mixed) == expected(made)


@given(shuffled())
def test_every_pattern_is_found_by_its_id_and_counted_once(pair: tuple[list[Pattern], list[Pattern]]) -> None:
    made, mixed = pair
    episodes = Episodes()
    for p in [*made, *mixed]:
        episodes.add(p, 0)
    assert sum(e.n for e in episodes.newest_first()) == len(made)
    for p in made:
        key = episodes.key_of(p.pattern_id)
        assert key is not None
        found = episodes.get(key)
        assert found is not None
        assert found.first_us <= _us(p) <= found.last_us
        assert found.source == p.source


def test_a_gap_of_more_than_five_minutes_starts_a_new_one() -> None:
    episodes = Episodes()
    episodes.add(pattern(0, 0), 0)
    episodes.add(pattern(1, 5), 0)
    assert [e.n for e in episodes.newest_first()] == [2]
    episodes.add(pattern(2, 10.01), 0)
    assert [e.n for e in episodes.newest_first()] == [1, 2]


def test_a_late_pattern_joins_two_runs_and_the_old_key_still_finds_it() -> None:
    episodes = Episodes()
    first, second = episodes.add(pattern(0, 0), 0), episodes.add(pattern(1, 8), 0)
    assert first is not None
    assert second is not None
    episodes.add(pattern(2, 4, confidence=0.9), 0)
    assert len(episodes) == 1
    assert episodes.take_merges() == [(second.key, first.key)]
    joined = episodes.get(second.key)
    assert joined is not None
    assert (joined.key, joined.n, joined.peak.pattern_id) == (first.key, 3, "p002")


def test_the_episode_touched_last_comes_first() -> None:
    episodes = Episodes()
    for number, source in enumerate("abca"):
        episodes.add(pattern(number, 0, source), 0)
    assert [e.source for e in episodes.newest_first()] == ["a", "c", "b"]


def test_stored_patterns_do_not_overtake_live_ones() -> None:
    episodes = Episodes()
    episodes.add(pattern(0, 50, "live"), BASE_US + 60 * MINUTE)
    episodes.add(pattern(1, 10, "stored"), BASE_US + 10 * MINUTE)
    episodes.settle()
    assert [e.source for e in episodes.newest_first()] == ["live", "stored"]


def test_memory_is_bounded_and_what_gave_way_is_counted() -> None:
    episodes = Episodes(limit=10, max_ids=30)
    for number in range(100):
        episodes.add(pattern(number, 0, f"source-{number}"), number)
    assert len(episodes) == 10
    assert episodes.forgotten == 90
    assert episodes.key_of("p000") is None
    assert episodes.key_of("p089") is None
    assert episodes.key_of("p099") == "p099"
    assert episodes.add(pattern(89, 0, "source-89"), 0) is None, "a forgotten pattern does not come back"


def test_a_pattern_without_a_readable_time_is_kept() -> None:
    broken = pattern(0, 0)
    episodes = Episodes()
    episodes.add(Pattern(**{f: getattr(broken, f) for f in broken.__struct_fields__} | {"timestamp": "yesterday"}), 0)
    assert [e.last_us for e in episodes.newest_first()] == [0]
