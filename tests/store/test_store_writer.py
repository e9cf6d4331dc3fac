"""Writing blocks: complete, exact, once; what verdicts make of a pattern."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.embedded.clickhouse import start_clickhouse
from qraft.model import (
    CleanEvent,
    Contributor,
    DeadLetter,
    Details,
    Event,
    Feedback,
    Pattern,
    Verdict,
    event_id,
    iso_from_us,
    pattern_id,
)
from qraft.store import Block, PatternQuery, RawRow, Store, StoreRejected
from qraft.store.rows import TABLES, event_uuid

Ask = Callable[[str], str]

ARRIVED = time.time_ns() // 1_000_000 * 1000 + 456


def _event(number: int) -> Event:
    return Event(
        event_id=event_id("s", str(number)),
        source="s",
        type="tick",
        timestamp=iso_from_us(ARRIVED - 5_000_000 + number),
        payload={"x": number + 0.1, "text": 'it\'s "quoted" \\ \n\t\0 ü'},
        meta={"version": "1.0", "cursor": str(number)},
    )


def _pattern(number: int, confidence: float = 0.6) -> Pattern:
    event = _event(number)
    return Pattern(
        pattern_id=pattern_id(event.event_id, "adwin", "drift"),
        type="drift",
        timestamp=event.timestamp,
        source="s",
        details=Details(
            prev_state={"x": {"mean": 0.1, "n": 200}}, new_state={"x": None}, metrics={"p": 1e-300}, confidence=confidence
        ),
        contributors=[
            Contributor(field="x", score=0.7, before=0.1, after=-5e-324),
            Contributor(field="y", score=0.3, origin="z"),
        ],
        detector="adwin",
        event_id=event.event_id,
        entity="e",
        line=0.55,
        summary="x went up",
    )


def _verdict(number: int, verdict: Verdict, name: str, *, user: str = "ann", undoes: str = "") -> Feedback:
    return Feedback(
        feedback_id=name,
        pattern_id=_pattern(number).pattern_id,
        verdict=verdict,
        timestamp=iso_from_us(ARRIVED),
        source="s",
        user=user,
        undoes=undoes,
    )


def _block(first: int, last: int, token: str = "") -> Block:
    """A block with events first..last, a pattern at each tenth, one verdict and one dead letter."""
    numbers = range(first, last + 1)
    events = [_event(number) for number in numbers]
    return Block(
        token=token or f"qraft:3:{first}-{last}",
        ingested_at=ARRIVED + last,
        raw=[RawRow(event, 3, number, ARRIVED + number) for event, number in zip(events, numbers, strict=True)],
        clean=[
            CleanEvent(event_id=event.event_id, source="s", entity="e", time_us=ARRIVED + number, fields={"x": number + 0.1})
            for event, number in zip(events, numbers, strict=True)
        ],
        patterns=[_pattern(number) for number in numbers if number % 10 == 0],
        feedback=[_verdict(first, "expected", f"f{first}")],
        dead=[DeadLetter(dead_id=f"d{first}", source="s", timestamp="", stage="bus", reason="bad", original=b'\xff\x00{"')],
    )


def _physical(ask: Ask) -> dict[str, int]:
    return {table: int(ask(f"SELECT count() FROM {table}")) for table in TABLES}


async def test_every_column_holds_what_was_given(store: Store, ask: Ask) -> None:
    await store.write(_block(10, 10))
    raw = json.loads(ask("SELECT * FROM raw_events FORMAT JSONEachRow"))
    event = _event(10)
    assert json.loads(raw.pop("payload")) == event.payload
    assert json.loads(raw.pop("meta")) == event.meta
    assert raw == {
        "event_id": event.event_id,
        "source": "s",
        "type": "tick",
        "timestamp": event.timestamp.replace("T", " ").rstrip("Z"),
        "ingested_at": iso_from_us(ARRIVED)[:-4].replace("T", " "),
        "partition": 3,
        "seq": 10,
        "position": 0,
    }
    clean = json.loads(ask("SELECT *, toUnixTimestamp64Micro(timestamp) AS us FROM clean_events FORMAT JSONEachRow"))
    assert (clean["event_id"], clean["entity"], clean["fields"], clean["us"]) == (
        event.event_id,
        "e",
        {"x": 10.1},
        ARRIVED + 10,
    )
    dead = ask("SELECT dead_id, source, stage, reason, hex(original), timestamp = ingested_at FROM dead_letters")
    assert dead == "d10\ts\tbus\tbad\tFF007B22\t0\n"
    assert [found.pattern for found in await store.history.patterns(PatternQuery())] == [_pattern(10)]


async def test_same_block_again_changes_nothing(store: Store, ask: Ask) -> None:
    block = _block(0, 99)
    await store.write(block)
    once = _physical(ask)
    assert once == {"raw_events": 100, "clean_events": 100, "pattern_events": 10, "pattern_feedback": 1, "dead_letters": 1}
    for _ in range(3):
        await store.write(block)
    assert _physical(ask) == once == await store.history.counts()


async def test_token_alone_decides(store: Store, ask: Ask) -> None:
    """The same token with other rows is dropped; other tokens with some of the same rows add rows that collapse by id."""
    await store.write(_block(0, 99))
    await store.write(_block(100, 199, token="qraft:3:0-99"))
    assert _physical(ask)["raw_events"] == 100
    await store.write(_block(50, 149))
    assert _physical(ask)["raw_events"] == _physical(ask)["clean_events"] == 200
    counts = await store.history.counts()
    assert counts == {"raw_events": 150, "clean_events": 150, "pattern_events": 15, "pattern_feedback": 2, "dead_letters": 2}


async def test_half_written_block_is_completed(store: Store, ask: Ask) -> None:
    block = _block(0, 99)
    await store.write(Block(block.token, block.ingested_at, raw=block.raw, dead=block.dead))
    await store.write(block)
    assert _physical(ask)["raw_events"] == 100
    assert _physical(ask)["clean_events"] == 100


async def test_event_sent_again_at_another_time_collapses(store: Store, ask: Ask) -> None:
    for number, stamp in enumerate(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]):
        event = Event(event_id=event_id("s", "1"), source="s", type="t", timestamp=stamp, payload={})
        await store.write(Block(f"t{number}", ARRIVED, raw=[RawRow(event, 0, number, ARRIVED + number * 86_400_000_000)]))
    assert ask("SELECT count() FROM raw_events FINAL") == "1\n"


async def test_empty_block_writes_nothing(store: Store, ask: Ask) -> None:
    await store.write(Block("empty", ARRIVED))
    assert set(_physical(ask).values()) == {0}


async def test_odd_ids_and_times_stop_no_block(store: Store, ask: Ask) -> None:
    """Any program may publish an event: an id that is no UUID, a time that is none or out of ClickHouse's range."""
    wrong = ["yesterday", "", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z"]
    stamps = [*wrong, "2299-12-31T23:59:59.999999Z", "1900-01-01T00:00:00Z"]
    rows = [
        RawRow(Event(event_id=f"id {number}", source="s", type="", timestamp=stamp, payload={}), 0, number, ARRIVED)
        for number, stamp in enumerate(stamps)
    ]
    clean = [
        CleanEvent(event_id=f"id {number}", source="s", entity="", time_us=time_us, fields={})
        for number, time_us in enumerate([-(10**18), 10**18])
    ]
    await store.write(Block("odd", ARRIVED, raw=rows, clean=clean))
    arrival = iso_from_us(ARRIVED).replace("T", " ").rstrip("Z")
    assert ask("SELECT timestamp FROM raw_events ORDER BY seq").splitlines() == [
        *[arrival] * 4,
        "2299-12-31 23:59:59.999999",
        "1900-01-01 00:00:00.000000",
    ]
    assert ask("SELECT timestamp FROM clean_events ORDER BY timestamp").splitlines() == [
        "1900-01-01 00:00:00.000000",
        "2299-12-31 23:59:59.999999",
    ]
    assert ask("SELECT event_id FROM raw_events WHERE seq = 0") == event_uuid("id 0") + "\n"


def test_event_uuid_keeps_uuids() -> None:
    real = str(uuid.uuid4())
    assert event_uuid(real) == real
    assert uuid.UUID(event_uuid("x")) == uuid.UUID(event_uuid("x")) != uuid.UUID(event_uuid("y"))


finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(fields=st.dictionaries(texts, finite, max_size=5), share=finite, before=st.none() | finite, text=texts)
async def test_numbers_and_texts_come_back_bit_for_bit(
    store: Store, fields: dict[str, float], share: float, before: float | None, text: str
) -> None:
    name = uuid.uuid4().hex
    pattern = Pattern(
        pattern_id=name,
        type="anomaly",
        timestamp=iso_from_us(ARRIVED),
        source=name,
        details=Details(prev_state={text: before}, new_state={}, metrics=fields, confidence=0.1 + 0.2),
        contributors=[Contributor(field=text, score=share, before=before, after=share)],
        summary=text,
    )
    clean = CleanEvent(event_id=str(uuid.uuid4()), source=name, entity=text, time_us=ARRIVED, fields=fields)
    await store.write(Block(name, ARRIVED, clean=[clean], patterns=[pattern]))
    found = await store.history.pattern(name)
    assert found is not None
    assert found.pattern == pattern
    back = await store.history.events_around(name, text, ARRIVED, 1, 1)
    assert back == [clean]
    assert {name: repr(value) for name, value in back[0].fields.items()} == {
        name: repr(value) for name, value in fields.items()
    }


async def _important(store: Store, number: int = 0) -> bool:
    found = await store.history.pattern(_pattern(number).pattern_id)
    assert found is not None
    return found.important


async def test_confident_patterns_are_important(store: Store) -> None:
    await store.migrate(StoreSettings(important_confidence=0.8))
    await store.write(Block("t", ARRIVED, patterns=[_pattern(0, 0.79), _pattern(1, 0.8)]))
    assert not await _important(store, 0)
    assert await _important(store, 1)


async def test_confirmation_makes_important_and_undo_takes_it_back(store: Store, ask: Ask) -> None:
    blocks = [
        Block("1", ARRIVED, patterns=[_pattern(0), _pattern(1)], feedback=[_verdict(0, "confirmed", "a")]),
        Block("2", ARRIVED + 1, feedback=[_verdict(0, "undo", "b", undoes="a")]),
        Block("3", ARRIVED + 2, feedback=[_verdict(0, "confirmed", "c"), _verdict(0, "false_positive", "d", user="bob")]),
        Block("4", ARRIVED + 3, feedback=[_verdict(0, "undo", "e", user="bob", undoes="d")]),
    ]
    seen = []
    for block in blocks:
        for _ in range(3):
            await store.write(block)
        seen.append(await _important(store))
    assert seen == [True, False, False, True]
    assert not await _important(store, 1)
    assert _physical(ask)["pattern_events"] == 2 + 3
    for block in blocks:
        await store.write(block)
    assert _physical(ask)["pattern_events"] == 2 + 3
    assert (await store.history.counts())["pattern_events"] == 2
    assert ask("SELECT uniqExact(ingested_at) FROM pattern_events") == "1\n"


async def test_mutes_and_notes_leave_importance_alone(store: Store, ask: Ask) -> None:
    said = [_verdict(0, "confirmed", "a"), _verdict(0, "note", "b"), _verdict(0, "mute", "c")]
    await store.write(Block("1", ARRIVED, patterns=[_pattern(0), _pattern(1)], feedback=said))
    assert await _important(store)
    before = _physical(ask)["pattern_events"]
    await store.migrate(StoreSettings(important_confidence=0.5))
    await store.write(Block("2", ARRIVED + 1, feedback=[_verdict(1, "note", "d")]))
    assert _physical(ask)["pattern_events"] == before
    assert not await _important(store, 1)


async def test_undo_leaves_a_confident_pattern_important(store: Store) -> None:
    await store.write(Block("1", ARRIVED, patterns=[_pattern(0, 0.95)], feedback=[_verdict(0, "confirmed", "a")]))
    await store.write(Block("2", ARRIVED + 1, feedback=[_verdict(0, "undo", "b", undoes="a")]))
    assert await _important(store)


async def test_verdict_on_an_unknown_pattern_is_stored(store: Store, ask: Ask) -> None:
    await store.write(Block("1", ARRIVED, feedback=[_verdict(7, "confirmed", "a")]))
    assert _physical(ask)["pattern_feedback"] == 1
    assert _physical(ask)["pattern_events"] == 0


async def test_writing_before_the_tables_are_made_is_refused(clickhouse_url: str, database: str) -> None:
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        with pytest.raises(StoreRejected, match=f"database {database} lacks Qraft's tables; start the engine once"):
            await store.write(_block(0, 1))


async def test_kill_of_the_server_keeps_acknowledged_blocks(tmp_path: Path) -> None:
    """Each block is written, the server killed, and the same block written again, as an engine does that got no answer."""
    folder = tmp_path / "data"
    server = await start_clickhouse(folder, log=tmp_path / "log")
    port = int(server.url.rpartition(":")[2])
    try:
        for number in range(3):
            async with await Store.connect(ClickHouseAddress(server.url), database="q") as store:
                await store.migrate(StoreSettings())
                await store.write(_block(number * 100, number * 100 + 99))
                await server.kill()
                server = await start_clickhouse(folder, port=port, log=tmp_path / "log")
                await store.write(_block(number * 100, number * 100 + 99))
                counts = await store.history.counts()
                assert counts["raw_events"] == counts["clean_events"] == (number + 1) * 100
                physical = await store.history._client.query("SELECT count() FROM q.raw_events")
                assert physical == [((number + 1) * 100,)]
    finally:
        await server.stop()
