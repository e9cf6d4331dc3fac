"""Episodes by SQL are the terminal's episodes, a filter says the same of both; pages, windows, the statement to paste."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.filter import parse
from qraft.model import Contributor, Details, Feedback, Pattern, Verdict, iso_from_us, us_from_iso
from qraft.store import Block, EpisodeQuery, Store, StoredEpisode, StoreRejected
from qraft.store.episodes import GAP_US, MARGIN_US, Order
from tests.conftest import run_apart
from tui.state import episodes as terminal, filter as terminal_filter
from tui.state.ledger import Ledger
from tui.state.verdicts import Delivery

BASE_US = us_from_iso("2026-11-22T10:00:00Z")
SECOND = 1_000_000
ORDERS: list[Order] = ["last", "score", "n", "source"]
TEXTS = ["moved for good", 'it\'s \\ "odd" {f0:String} 100 %', "价格 上涨 — Größe", "line\nbreak\ttab", "", "ÉTÉ_42 [x]"]
FILTERS = [
    "moved", "!moved", "it's", "\\", '"odd"', "{f0:String}", "%", "价格", "!价格", "grösse", "größe", "ÉTÉ_42", "[x]", "été",
    "/价格?.上/",
    "/^host/", "!/good/", r"/\d+ %/", "/line.break/", r"/(?s)line.break/", r"/\bodd\b/", r"/P0\d\Z/", r"/[É]t/",
    "src:host", "src:h?st*", "src:[hb]*", "src:*/btc*", "src:[!h]*", "!src:host", "src:HOST/", "src:a]*,[",
    "entity:比*", "entity:btc", "!entity:*", "field:cpu", "field:*[!a-z]", "field:it's", "!field:cpu,价",
    "kind:drift", "!kind:drift,anomaly", "what:mean", "what:s?l*", "!what:*", "det:for*,drift", "!det:forest",
    "by:an*", "!by:ann", "state:new", "state:fp,confirmed", "!state:new", "state:unsent", "state:unsent,new",
    "score>.5", "score=.6", "!score>=0.9", "n>=2", "n<2", "n=3", "age<10m", "age>900", "!age<=5m", "!!moved",
]  # fmt: skip
GAPS = [0, 0, 1, SECOND, GAP_US - 1, GAP_US, GAP_US + 1, 2 * GAP_US, 30 * SECOND]
JUDGING: list[Verdict] = ["confirmed", "false_positive", "expected", "new_normal", "mute", "note"]


def pattern(number: int, at_us: int, **changes: Any) -> Pattern:
    confidence = changes.pop("confidence", 0.8)
    values: dict[str, Any] = {
        "pattern_id": f"p{number:02}",
        "type": "drift",
        "timestamp": iso_from_us(at_us),
        "source": "host",
        "details": Details(prev_state={"mean": 1.5}, new_state={}, metrics={"z": 4.0}, confidence=confidence),
        "contributors": [Contributor(field="cpu", score=1.0, before=1.0)],
        "detector": "drift",
    }
    return Pattern(**{**values, **changes})


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Pattern], list[Feedback]]:
    """Patterns of a few groups with all kinds of gaps, and what operators said on them."""
    patterns = []
    at_us = BASE_US
    numbers = draw(st.permutations(range(draw(st.integers(1, 24)))))
    for number in numbers:
        at_us += draw(st.sampled_from(GAPS))
        patterns.append(
            pattern(
                number,
                at_us,
                source=draw(st.sampled_from(["host", "Binance"])),
                entity=draw(st.sampled_from(["", "BTC-USD", "比特币"])) if draw(st.booleans()) else "",
                type=draw(st.sampled_from(["drift", "drift", "anomaly"])),
                detector=draw(st.sampled_from(["drift", "drift", "Forest"])),
                confidence=draw(st.sampled_from([0.5, 0.6, 0.6, 0.9, 0.1 + 0.2])),
                summary=draw(st.sampled_from(TEXTS)),
                kind=draw(st.sampled_from(["", "mean", "silence"])),
                contributors=[
                    Contributor(field=field, score=0.5)
                    for field in draw(st.lists(st.sampled_from(["cpu", "CPU_2", "it's", "价"]), max_size=2))
                ],
            )
        )
    said: list[Feedback] = []
    for number in range(draw(st.integers(0, 8))):
        undone = draw(st.sampled_from(said)) if said and draw(st.booleans()) else None
        said.append(
            Feedback(
                feedback_id=f"f{number}",
                pattern_id=undone.pattern_id if undone else draw(st.sampled_from(patterns)).pattern_id,
                verdict="undo" if undone else draw(st.sampled_from(JUDGING)),
                timestamp=iso_from_us(BASE_US + draw(st.integers(0, 3)) * SECOND),
                user=draw(st.sampled_from(["Ann", "bob", ""])),
                undoes=undone.feedback_id if undone else "",
                note="so",
            )
        )
    return patterns, said


def fold(patterns: list[Pattern], said: list[Feedback]) -> Ledger:
    ledger = Ledger()
    for one in patterns:
        ledger.add(one, 0)
    for one in said:
        ledger.judge(one, Delivery.STORED)
    return ledger


def on_screen(ledger: Ledger, text: str, now_us: int) -> set[tuple[object, ...]]:
    wanted = terminal_filter.parse(text)
    return {
        (e.key, e.name, e.type, e.detector, e.n, e.first_us, e.last_us, e.peak.pattern_id, mark.feedback)
        for e in ledger.episodes.newest_first()
        for mark in [ledger.verdicts.mark(e.key)]
        if wanted.matches(e, mark, now_us)
    }


def in_store(ledger: Ledger, found: list[StoredEpisode]) -> set[tuple[object, ...]]:
    rows = [
        (
            ledger.episodes.key_of(e.key),
            f"{e.peak.source}/{e.peak.entity}" if e.peak.entity else e.peak.source,
            e.peak.type,
            e.peak.detector,
            e.n,
            e.first_us,
            e.last_us,
            e.peak.pattern_id,
            e.feedback,
        )
        for e in found
    ]
    assert len(rows) == len(set(map(repr, rows)))
    return set(rows)


async def refill(store: Store, patterns: list[Pattern], said: list[Feedback], token: str) -> None:
    """The patterns, half of them stored twice, and the verdicts."""
    await store.write(Block(f"{token}a", BASE_US, patterns=patterns, feedback=said))
    await store.write(Block(f"{token}b", BASE_US + 1, patterns=patterns[::2]))


@pytest.fixture
def empty(clickhouse_url: str, database: str) -> Callable[[], None]:
    """Makes the tables, and empties them when called."""

    async def migrate() -> None:
        async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
            await store.migrate(StoreSettings())

    run_apart(migrate())

    def truncate() -> None:
        for table in ("pattern_events", "pattern_feedback"):
            sql = f"TRUNCATE TABLE {database}.{table}"
            httpx.post(clickhouse_url, content=sql, timeout=30).raise_for_status()

    return truncate


def test_the_gap_is_the_terminals() -> None:
    assert GAP_US == terminal.GAP_US


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=stories(), texts=st.lists(st.sampled_from(FILTERS), min_size=5, max_size=5, unique=True))
def test_episodes_and_filters_say_the_same_as_on_the_screen(
    clickhouse_url: str,
    database: str,
    empty: Callable[[], None],
    story: tuple[list[Pattern], list[Feedback]],
    texts: list[str],
) -> None:
    patterns, said = story
    ledger = fold(patterns, said)
    now_us = max(us_from_iso(one.timestamp) for one in patterns) + SECOND
    lines = ["", *texts, " ".join(texts[:2])]

    async def ask() -> None:
        async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
            await refill(store, patterns, said, f"{next(TOKENS)}")
            for line in lines:
                query = EpisodeQuery(filter=parse(line), now_us=now_us, limit=1000)
                found = await store.episodes.list(query)
                assert in_store(ledger, found) == on_screen(ledger, line, now_us), line
            assert await store.episodes.total(query) == len(found)

    empty()
    run_apart(ask())


TOKENS = itertools.count()


async def test_every_filter_says_the_same_of_one_story(store: Store) -> None:
    patterns = [
        pattern(
            at, BASE_US + at * 4 * 60 * SECOND, summary=text, source=source, entity=entity, kind=kind, contributors=fields
        )
        for at, (text, (source, entity), kind, fields) in enumerate(
            itertools.product(
                TEXTS,
                [("host", ""), ("Binance", "BTC-USD"), ("host", "比特币")],
                ["mean", "silence"],
                [[Contributor(field="CPU_2", score=1.0)], [Contributor(field="it's", score=1.0)]],
            )
        )
    ]
    said = [
        Feedback(
            feedback_id=f"f{at}", pattern_id=f"p{at * 5:02}", verdict=JUDGING[at % 4], timestamp=iso_from_us(BASE_US), user=u
        )
        for at, u in enumerate(["Ann", "bob", "ann"] * 4)
    ]
    await refill(store, patterns, said, "story")
    ledger = fold(patterns, said)
    now_us = us_from_iso(patterns[-1].timestamp)
    for line in FILTERS:
        found = await store.episodes.list(EpisodeQuery(filter=parse(line), now_us=now_us, limit=1000))
        assert in_store(ledger, found) == on_screen(ledger, line, now_us), line


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("descending", [True, False])
async def test_pages_join_without_gap_or_repeat(store: Store, order: Order, descending: bool) -> None:
    patterns = [
        pattern(
            number, BASE_US + number % 3 * SECOND, source=f"s{number % 7}", entity=f"e{number}", confidence=number % 2 / 3
        )
        for number in range(20)
    ]
    await store.write(
        Block("pages", BASE_US, patterns=[*patterns, *(pattern(20 + at, BASE_US, entity="e3") for at in range(3))])
    )
    query = EpisodeQuery(order=order, descending=descending, limit=1000)
    whole = [e.key for e in await store.episodes.list(query)]
    ranks = [rank(e, order) for e in await store.episodes.list(query)]
    assert ranks == sorted(ranks, reverse=descending)
    assert len(whole) == 21

    seen: list[str] = []
    after = ""
    while page := await store.episodes.list(EpisodeQuery(order=order, descending=descending, limit=4, after=after)):
        seen += [e.key for e in page]
        after = page[-1].cursor
    assert seen == whole

    other: Order = "n" if order != "n" else "last"
    for cursor in (after, "nonsense", "[]"):
        with pytest.raises(StoreRejected, match="is no cursor of episodes by"):
            await store.episodes.list(EpisodeQuery(order=other, after=cursor))


def rank(e: StoredEpisode, order: Order) -> tuple[object, ...]:
    name = f"{e.peak.source}/{e.peak.entity}" if e.peak.entity else e.peak.source
    return {
        "last": (e.last_us, e.key),
        "score": (e.peak.details.confidence, e.last_us, e.key),
        "n": (e.n, e.last_us, e.key),
        "source": (name, -e.last_us, e.key),
    }[order]


async def test_a_window_cuts_no_episode_in_two(store: Store) -> None:
    step = 4 * 60 * SECOND
    far = 2 * MARGIN_US
    run = [pattern(number, BASE_US + number * step) for number in range(10)]
    lone = [pattern(50, BASE_US - far, source="lone"), pattern(51, BASE_US + far, source="lone")]
    await store.write(Block("window", BASE_US, patterns=run + lone))

    async def seen(since_us: int | None, until_us: int | None) -> list[tuple[str, int]]:
        found = await store.episodes.list(EpisodeQuery(since_us=since_us, until_us=until_us, descending=False))
        return [(e.key, e.n) for e in found]

    last_us = BASE_US + 9 * step
    assert await seen(BASE_US + 4 * step + 1, BASE_US + 4 * step + 2) == [("p00", 10)]
    assert await seen(last_us, last_us + 1) == [("p00", 10)]
    assert await seen(last_us + 1, last_us + 2) == []
    assert await seen(BASE_US - 1, BASE_US) == []
    assert await seen(BASE_US, BASE_US + 1) == [("p00", 10)]
    assert await seen(None, BASE_US) == [("p50", 1)]
    assert await seen(BASE_US, None) == [("p00", 10), ("p51", 1)]


@pytest.mark.parametrize(
    "text", ["", "it's", "\\", "{f0:String}", "价格 !/x/ n>=1 state:new src:* age<9d", '/"odd"/ by:ann']
)
async def test_the_statement_of_a_list_gives_that_list(store: Store, ask: Callable[[str], str], text: str) -> None:
    patterns = [pattern(at, BASE_US + at * 2 * GAP_US, summary=summary) for at, summary in enumerate(TEXTS)]
    said = Feedback(feedback_id="f", pattern_id="p01", verdict="expected", timestamp=iso_from_us(BASE_US), user="ann")
    await store.write(Block("sql", BASE_US, patterns=patterns, feedback=[said]))
    first = await store.episodes.list(EpisodeQuery(limit=1))
    query = EpisodeQuery(
        filter=parse(text),
        since_us=BASE_US - 1,
        until_us=BASE_US + MARGIN_US,
        now_us=BASE_US + MARGIN_US,
        after=first[0].cursor,
    )
    statement = store.episodes.sql(query)
    assert "\t" not in statement
    rows = [line.split("\t") for line in ask(statement).splitlines()]
    found = await store.episodes.list(query)
    assert [(row[-1], row[-2]) for row in rows] == [(e.key, e.peak.pattern_id) for e in found]
    assert text == "" or len(found) < len(patterns) - 1
    assert [row[0] for row in rows] == [iso_from_us(e.first_us).replace("T", " ").rstrip("Z") for e in found]


async def test_a_regex_the_store_does_not_have_is_said(store: Store) -> None:
    await store.write(Block("regex", BASE_US, patterns=[pattern(1, BASE_US)]))
    for typed in ("/(?=x)y/", r"/(x)\1/", "/x{1001}/"):
        with pytest.raises(StoreRejected, match=r"^/.*/ cannot be looked for in the store: its regular expressions \(RE2\)"):
            await store.episodes.list(EpisodeQuery(filter=parse(typed)))


async def test_a_peak_comes_back_whole(store: Store) -> None:
    one = pattern(1, BASE_US, event_id="e", summary="s", kind="mean", line=0.25)
    await store.write(Block("whole", BASE_US, patterns=[one]))
    assert (await store.episodes.list(EpisodeQuery()))[0].peak == one
