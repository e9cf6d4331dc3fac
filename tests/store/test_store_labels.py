"""What operators said: on certain patterns, lately with the pattern's words, and the mutes that hold."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.model import Details, Feedback, Pattern, Scope, Verdict, iso_from_us
from qraft.store import Block, LabelQuery, PatternQuery, Store, StoreRejected
from qraft.store.schema import migrations, statements

START = time.time_ns() // 1_000_000_000 * 1_000_000
HOUR = 3_600_000_000
EVIL = ["'; DROP TABLE pattern_feedback; --", "\\", "'", "{id:String}", "%s", "\0", "a\tb\nc", "x" * 20_000]


def _pattern(number: int) -> Pattern:
    return Pattern(
        pattern_id=f"p{number}",
        type="drift" if number % 2 else "anomaly",
        timestamp=iso_from_us(START + number),
        source=f"s{number % 2}",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.6),
        contributors=[],
        detector="forest",
        entity="AAPL" if number == 1 else "",
        summary=f"Größe {number} went up",
    )


def _said(
    name: str,
    verdict: Verdict,
    pattern: str = "p0",
    *,
    at: int = 0,
    user: str = "ann",
    note: str = "",
    undoes: str = "",
    scope: Scope | None = None,
    until_us: int = 0,
) -> Feedback:
    return Feedback(
        feedback_id=name,
        pattern_id=pattern,
        verdict=verdict,
        timestamp=iso_from_us(START + at),
        source=f"s{pattern[1:]}" if pattern in {"p0", "p1"} else "gone",
        detector="adwin",
        note=note,
        user=user,
        undoes=undoes,
        scope=scope,
        until=iso_from_us(until_us) if until_us else "",
    )


SAID = [
    _said("a", "confirmed", at=1),
    _said("b", "note", at=2, note="It's the Nightly backup"),
    _said("c", "mute", "p1", at=3, user="bob", scope=Scope(source="s1", entity="AAPL"), until_us=START + HOUR),
    _said("d", "mute", "p1", at=4, scope=Scope(type="drift"), until_us=START + 2 * HOUR),
    _said("e", "undo", "p1", at=5, user="bob", undoes="d"),
    _said("f", "expected", "lost", at=6),
    _said("g", "undo", at=7, undoes="b"),
]


@pytest.fixture
async def full(store: Store) -> Store:
    """Two patterns, and SAID in two blocks."""
    await store.write(Block("p", START, patterns=[_pattern(0), _pattern(1)], feedback=SAID[:3]))
    await store.write(Block("q", START + 10, feedback=SAID[3:]))
    return store


async def _names(store: Store, query: LabelQuery) -> str:
    return "".join(label.feedback.feedback_id for label in await store.labels.recent(query))


async def test_scope_and_end_come_back_as_they_were(full: Store) -> None:
    assert await full.history.feedback("p1") == SAID[2:5]
    assert await full.history.feedback("p0") == [SAID[0], SAID[1], SAID[6]]


async def test_mutes_and_notes_are_no_verdicts(full: Store, ask: Callable[[str], str]) -> None:
    first, second = [await full.history.pattern(name) for name in ("p0", "p1")]
    assert first is not None
    assert second is not None
    assert (first.verdict, first.feedback_id, first.important) == ("confirmed", "a", True)
    assert (second.verdict, second.feedback_id, second.important) == (None, "", False)
    found = await full.history.patterns(PatternQuery(verdict="none"))
    assert [one.pattern.pattern_id for one in found] == ["p1"]
    assert await full.history.patterns(PatternQuery(verdict="mute")) == []


async def test_all_that_was_said_on_some_patterns(full: Store) -> None:
    assert await full.labels.of_patterns(["p1", "p0", "p1"]) == [*SAID[:5], SAID[6]]
    assert await full.labels.of_patterns(["lost", "never"]) == [SAID[5]]
    assert await full.labels.of_patterns([]) == []
    assert await full.labels.of_patterns([f"none-{n}" for n in range(1_200)] + ["p1", "lost"]) == SAID[2:6]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (LabelQuery(), "gfedcba"),
        (LabelQuery(limit=2), "gf"),
        (LabelQuery(limit=0), ""),
        (LabelQuery(user="bob"), "ec"),
        (LabelQuery(verdicts=("mute", "note")), "dcb"),
        (LabelQuery(since_us=START + 3, until_us=START + 6), "edc"),
        (LabelQuery(text="nightly BACKUP"), "b"),
        (LabelQuery(text="größe 1"), "edc"),
        (LabelQuery(text="s1/aapl", limit=1), "e"),
        (LabelQuery(text="gone/"), "f"),
        (LabelQuery(text="bob"), "ec"),
        (LabelQuery(text="nothing"), ""),
    ],
)
async def test_recent_narrows(full: Store, query: LabelQuery, names: str) -> None:
    assert await _names(full, query) == names


async def test_recent_brings_the_pattern_s_words_and_whether_it_was_undone(full: Store) -> None:
    labels = {label.feedback.feedback_id: label for label in await full.labels.recent(LabelQuery())}
    assert [label.feedback for label in labels.values()] == SAID[::-1]
    assert {name for name, label in labels.items() if label.undone} == {"b", "d"}
    mute, lost = labels["c"], labels["f"]
    assert (mute.source, mute.entity, mute.type, mute.detector) == ("s1", "AAPL", "drift", "forest")
    assert mute.summary == "Größe 1 went up"
    assert (lost.source, lost.entity, lost.type, lost.detector, lost.summary) == ("gone", "", "", "adwin", "")


@pytest.mark.parametrize("text", ["", "a"])
async def test_pages_join_without_gap_or_repeat(full: Store, text: str) -> None:
    same = [_said(f"same-{n}", "note", at=3, note="a") for n in range(9)]
    await full.write(Block("r", START + 20, feedback=same))
    whole = await full.labels.recent(LabelQuery(text=text))
    seen, before = [], ""
    while page := await full.labels.recent(LabelQuery(limit=4, text=text, before=before)):
        seen += page
        before = page[-1].cursor
    assert seen == whole
    assert len(whole) > 9
    for broken in ("x", "5_", "_a"):
        with pytest.raises(StoreRejected, match="is no cursor"):
            await full.labels.recent(LabelQuery(before=broken))


async def test_mutes_hold_until_they_end_or_are_taken_back(full: Store) -> None:
    assert await full.labels.mutes(START) == [SAID[2]]
    assert await full.labels.mutes(START + HOUR - 1) == [SAID[2]]
    assert await full.labels.mutes(START + HOUR) == []


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
async def test_hostile_input_is_only_text(full: Store, evil: str) -> None:
    scope = Scope(source=evil, entity=evil, type=evil, detector=evil)
    mute = _said(evil, "mute", "p1", at=9, user=evil, note=evil, scope=scope, until_us=START + 3 * HOUR)
    await full.write(Block(f"{evil[:20]}:1", START + 30, feedback=[mute]))
    assert await full.labels.mutes(START + HOUR) == [mute]
    assert await full.labels.of_patterns([evil]) == []
    (label,) = await full.labels.recent(LabelQuery(user=evil, text=evil))
    assert label.feedback == mute
    assert len(await full.labels.recent(LabelQuery(before=label.cursor))) == len(SAID)


async def test_feedback_stored_by_an_older_qraft_has_neither_scope_nor_end(
    clickhouse_url: str, database: str, ask: Callable[[str], str]
) -> None:
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        await store.migrate(StoreSettings())
        columns = "DROP COLUMN scope, DROP COLUMN until"
        ask(f"ALTER TABLE {database}.pattern_feedback {columns}")
        ask(
            f"INSERT INTO {database}.pattern_feedback (feedback_id, pattern_id, verdict, user, timestamp, ingested_at)"
            " VALUES ('old', 'p0', 'confirmed', 'ann', now64(6), now64(6))"
        )
        (text,) = [text for version, _, text in migrations() if version == 4]
        for statement in statements(text.replace("{database}", database)):
            ask(statement)
        (old,) = await store.labels.of_patterns(["p0"])
        assert (old.verdict, old.scope, old.until) == ("confirmed", None, "")
        assert await store.labels.mutes(0) == []
