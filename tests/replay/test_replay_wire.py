"""Files of events as they travel: they keep their ids and times, and are judged as in the engine."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from qraft.config import Settings
from qraft.config.sources import FileSource
from qraft.ingest.files import read_rows
from qraft.model import Event, Pattern, decode_pattern, encode_lines, event_id, iso_from_us
from qraft.pipeline import Pipeline
from qraft.replay import replay
from qraft.replay.errors import ReplayError
from qraft.replay.wire import is_event, unwrapped

START_US = 1_795_000_000_000_000


def stream(rows: int, source: str = "s") -> list[Event]:
    draw = random.Random(3)
    return [
        Event(
            event_id=event_id(source, f"elsewhere:{row}"),
            source=source,
            type="row",
            timestamp=iso_from_us(START_US + row * 1_000_000),
            payload={
                "a": draw.gauss(6.0 * (row >= rows // 2), 1.0),
                "when": str(1_700_000_000 + row),
                "k": {"deep": row % 7},
            },
        )
        for row in range(rows)
    ]


def run(folder: Path, events: list[Event], settings: Settings = Settings(), **given: str) -> list[Pattern]:  # noqa: B008 - immutable
    path = folder / "s.ndjson"
    path.write_bytes(encode_lines(events))
    options = {"time": "", **given}
    replay([path], settings=settings, out=folder / "out", workers=1, progress=False, **options)
    return [decode_pattern(line) for line in (folder / "out/patterns.jsonl").read_bytes().splitlines()]


def test_events_keep_their_ids_and_times(tmp_path: Path) -> None:
    events = stream(600)
    found = run(tmp_path, events)
    assert found == list(Pipeline(Settings()).step(events).patterns)
    assert found, "nothing was found, so the test shows nothing"
    scores = (tmp_path / "out/s.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in scores[1:]] == [event.timestamp for event in events]


@pytest.mark.parametrize("named", ["source", "option"])
def test_a_column_of_time_counts_where_one_is_named(tmp_path: Path, named: str) -> None:
    settings = Settings(sources={"s": FileSource(adapter="file", path="x", time="when")})
    given = {"time": "when"} if named == "option" else {"like": "s"}
    found = run(tmp_path, stream(600), settings, **given)
    assert found
    assert all(pattern.timestamp.startswith("2023-11-1") for pattern in found)
    assert {pattern.pattern_id for pattern in found} == {
        one.pattern_id for one in Pipeline(settings).step(stream(600)).patterns
    }


def test_rows_need_the_name_of_their_time(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,x\n1,2\n")
    with pytest.raises(ReplayError, match=r"a\.csv: holds rows, not events; name the column of event time with --time"):
        replay([tmp_path / "a.csv"], time="", settings=Settings(), out=tmp_path / "out", progress=False)


def test_a_line_that_is_none_stays_a_row(tmp_path: Path) -> None:
    path = tmp_path / "s.ndjson"
    whole = msgspec.to_builtins(stream(1)[0])
    path.write_bytes(b"\n".join(msgspec.json.encode(one) for one in (whole, {**whole, "payload": 1}, {"a": 1})))
    rows = [row for row in read_rows(path, "s") if isinstance(row, Event)]
    assert [is_event(row.payload) for row in rows] == [True, False, False]
    assert [unwrapped(row) is row for row in rows] == [False, True, True]
    assert unwrapped(rows[0]).event_id == whole["event_id"]
