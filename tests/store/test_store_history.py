"""History: which patterns, in what order, with which verdict; hostile input; reads beside a long query."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import httpx
import msgspec
import pytest

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.model import CleanEvent, Details, Event, Feedback, Pattern, PatternType, Verdict, iso_from_us
from qraft.store import Block, PatternQuery, RawRow, SourceTotals, Store, StoreRejected
from qraft.store.rows import event_uuid

Ask = Callable[[str], str]

START = time.time_ns() // 1_000_000_000 * 1_000_000
KINDS: list[PatternType] = ["drift", "anomaly", "cluster_change"]
EVIL = ["'; DROP TABLE pattern_events; --", "\\", "'", "{id:String}", "%s", "%(x)s", "\0", "a\tb\nc", "🦀", "x" * 50_000]


def _pattern(number: int) -> Pattern:
    """Patterns 2n and 2n+1 share their time; source, type, detector, entity and confidence go round."""
    return Pattern(
        pattern_id=f"p{number:02}",
        type=KINDS[number % 3],
        timestamp=iso_from_us(START + number // 2),
        source=f"s{number % 2}",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=number / 100),
        contributors=[],
        detector="forest" if number % 4 == 0 else "adwin",
        entity="AAPL" if number % 5 == 0 else "",
        summary=f"Größe {number} went up",
    )


def _verdict(name: str, number: int, verdict: Verdict, *, user: str = "ann", undoes: str = "", at: int = 0) -> Feedback:
    return Feedback(
        feedback_id=name,
        pattern_id=f"p{number:02}",
        verdict=verdict,
        timestamp=iso_from_us(START + at),
        source=f"s{number % 2}",
        detector="adwin",
        note="it's so",
        user=user,
        undoes=undoes,
    )


@pytest.fixture
async def full(clickhouse_url: str, database: str) -> AsyncIterator[Store]:
    """A store with 40 patterns p00..p39."""
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        await store.migrate(StoreSettings())
        await store.write(Block("patterns", START, patterns=[_pattern(number) for number in range(40)]))
        yield store


async def _ids(store: Store, query: PatternQuery) -> list[int]:
    return [int(found.pattern.pattern_id[1:]) for found in await store.history.patterns(query)]


async def test_newest_first_in_a_stable_order(full: Store) -> None:
    assert await _ids(full, PatternQuery()) == list(range(39, -1, -1))
    assert await _ids(full, PatternQuery(limit=3)) == [39, 38, 37]
    assert await _ids(full, PatternQuery(limit=0)) == []


async def test_pages_join_without_gap_or_repeat(full: Store) -> None:
    seen: list[int] = []
    before = ""
    while page := await full.history.patterns(PatternQuery(limit=7, before=before)):
        seen += [int(found.pattern.pattern_id[1:]) for found in page]
        before = page[-1].cursor
    assert seen == list(range(39, -1, -1))
    with pytest.raises(StoreRejected, match="is no cursor"):
        await full.history.patterns(PatternQuery(before="x"))


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        (PatternQuery(types=["drift"]), lambda n: n % 3 == 0),
        (PatternQuery(types=["drift", "anomaly"]), lambda n: n % 3 < 2),
        (PatternQuery(sources=["s1"]), lambda n: n % 2 == 1),
        (PatternQuery(sources=["s0", "s1", "s2"]), lambda n: True),
        (PatternQuery(entity="AAPL"), lambda n: n % 5 == 0),
        (PatternQuery(entity=""), lambda n: n % 5 != 0),
        (PatternQuery(detector="forest"), lambda n: n % 4 == 0),
        (PatternQuery(since_us=START + 5), lambda n: n >= 10),
        (PatternQuery(until_us=START + 5), lambda n: n < 10),
        (PatternQuery(min_confidence=0.2), lambda n: n >= 20),
        (PatternQuery(text="größe 1 "), lambda n: n == 1),
        (PatternQuery(text="S1/aapl"), lambda n: n % 10 == 5),
        (PatternQuery(text="FOREST", types=["drift"], min_confidence=0.1), lambda n: n % 12 == 0 and n >= 10),
        (PatternQuery(text="nothing"), lambda n: False),
    ],
)
async def test_queries_narrow(full: Store, query: PatternQuery, holds: Callable[[int], bool]) -> None:
    assert await _ids(full, query) == [number for number in range(39, -1, -1) if holds(number)]


async def test_verdict_in_force(full: Store) -> None:
    first = [
        _verdict("a", 0, "confirmed", at=1),
        _verdict("b", 1, "false_positive", at=2),
        _verdict("c", 2, "expected", at=3),
        _verdict("d", 3, "confirmed", at=9),
        _verdict("e", 4, "confirmed", user="ann"),
    ]
    second = [
        _verdict("f", 1, "new_normal", user="bob", at=4),
        _verdict("g", 2, "undo", undoes="c"),
        _verdict("h", 3, "false_positive", user="bob", at=5),
        _verdict("i", 4, "expected", user="bob"),
        _verdict("j", 4, "undo", user="bob", undoes="i"),
    ]
    await full.write(Block("first", START + 10, feedback=first))
    await full.write(Block("second", START + 20, feedback=second))

    async def force(number: int) -> tuple[str | None, str, str, str]:
        found = await full.history.pattern(f"p{number:02}")
        assert found is not None
        return found.verdict, found.verdict_user, found.verdict_at, found.feedback_id

    assert await force(0) == ("confirmed", "ann", iso_from_us(START + 1), "a")
    assert await force(1) == ("new_normal", "bob", iso_from_us(START + 4), "f")
    assert await force(2) == (None, "", "", "")
    assert await force(3) == ("false_positive", "bob", iso_from_us(START + 5), "h")
    assert await force(4) == ("confirmed", "ann", iso_from_us(START), "e")
    assert await force(5) == (None, "", "", "")
    assert await _ids(full, PatternQuery(verdict="confirmed")) == [4, 0]
    assert await _ids(full, PatternQuery(verdict="new_normal")) == [1]
    assert await _ids(full, PatternQuery(verdict="none")) == [*range(39, 4, -1), 2]
    assert await _ids(full, PatternQuery(verdict="confirmed", limit=1)) == [4]
    listed = {found.pattern.pattern_id: found for found in await full.history.patterns(PatternQuery())}
    assert listed["p03"] == await full.history.pattern("p03")


async def test_order_of_verdicts_is_the_stream_s(full: Store) -> None:
    """Neither ids nor the operators' clocks decide, also within one block."""
    last = _verdict("a", 0, "new_normal", at=1)
    verdicts = [_verdict("z", 0, "confirmed", at=9), _verdict("m", 0, "expected", at=5), last]
    await full.write(Block("t", START, feedback=verdicts))
    assert await full.history.feedback("p00") == verdicts
    found = await full.history.pattern("p00")
    assert found is not None
    assert found.verdict == "new_normal"


async def test_unknown_ids(full: Store) -> None:
    assert await full.history.pattern("nope") is None
    assert await full.history.feedback("nope") == []


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
async def test_hostile_input_is_only_text(full: Store, evil: str) -> None:
    assert await full.history.pattern(evil) is None
    assert await full.history.feedback(evil) == []
    assert await full.history.patterns(PatternQuery(text=evil)) == []
    assert await full.history.patterns(PatternQuery(sources=[evil, "x"])) == []
    assert await full.history.patterns(PatternQuery(entity=evil, detector=evil, verdict=evil)) == []
    assert await full.history.events_around(evil, evil, START, 5, 5) == []
    pattern = msgspec.structs.replace(_pattern(50), pattern_id=evil, entity=evil)
    verdict = Feedback(feedback_id=evil, pattern_id=evil, verdict="confirmed", timestamp="", note=evil, user=evil)
    await full.write(Block(f"{evil[:20]}:1", START, patterns=[pattern], feedback=[verdict]))
    found = await full.history.pattern(evil)
    assert found is not None
    assert (found.pattern.pattern_id, found.pattern.entity, found.verdict_user, found.important) == (evil, evil, evil, True)
    assert (await full.history.patterns(PatternQuery(entity=evil)))[0] == found
    assert (await full.history.counts())["pattern_events"] == 41


async def test_sources(full: Store) -> None:
    stamps = [iso_from_us(START + number) for number in range(3)]
    raw = [
        RawRow(Event(event_id=stamp, source=source, type="", timestamp=stamp, payload={}), 0, number, START)
        for number, (source, stamp) in enumerate(zip(["s0", "s0", "quiet"], stamps, strict=True))
    ]
    await full.write(Block("1", START, raw=raw))
    await full.write(Block("2", START, raw=raw[:1]))
    assert await full.history.sources() == [
        SourceTotals("quiet", 1, iso_from_us(START + 2), 0),
        SourceTotals("s0", 2, iso_from_us(START + 1), 20),
        SourceTotals("s1", 0, "", 20),
    ]


async def test_events_around(full: Store) -> None:
    clean = [
        CleanEvent(event_id=event_uuid(f"{entity}{n}"), source="s", entity=entity, time_us=START + n, fields={"x": n})
        for entity in ("", "AAPL")
        for n in range(20)
    ]
    await full.write(Block("1", START, clean=clean))
    around = await full.history.events_around("s", "AAPL", START + 10, 3, 2)
    assert [event.fields["x"] for event in around] == [8, 9, 10, 11, 12]
    assert {event.entity for event in around} == {"AAPL"}
    assert [e.fields["x"] for e in await full.history.events_around("s", "", START + 1, 5, 0)] == [0, 1]
    assert await full.history.events_around("s", "MSFT", START, 5, 5) == []


async def test_reads_go_on_beside_a_long_query(full: Store, clickhouse_url: str) -> None:
    long = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number, 5) % 7 = 1"
    running = "SELECT count() FROM system.processes WHERE query LIKE '%(number, 5)%' AND query NOT LIKE '%processes%'"
    async with httpx.AsyncClient(base_url=clickhouse_url, timeout=60) as client:
        task = asyncio.create_task(client.post("/", params={"max_execution_time": "60"}, content=long))
        while (await client.post("/", content=running)).text != "1\n":
            await asyncio.sleep(0.02)
        pages = await asyncio.gather(*[full.history.patterns(PatternQuery(limit=5)) for _ in range(10)])
        assert all(page == pages[0] for page in pages)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
