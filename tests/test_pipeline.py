"""The core's law: the same events give the same patterns, byte for byte, however cut and interrupted, in any process."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import Phase, given, settings, strategies as st

from qraft.config import Settings
from qraft.config.detect import AdwinSettings, DetectSettings, ForestSettings
from qraft.config.settings import FeedbackSettings
from qraft.config.sources import FileSource, Source
from qraft.detect import DETECTORS
from qraft.model import Event, Feedback, Scope, Verdict, encode, iso_from_us, pattern_id
from qraft.pipeline import Pipeline, Result, Scores
from tests.detect.streams import START_US, by_sensor, cycle, eventful, events, noise, walk

Item = Event | Feedback


def said(results: Sequence[Result]) -> list[bytes | Scores | None]:
    """Everything the pipeline says, each kind in order, to the bit."""
    out: list[bytes | Scores | None] = [score for result in results for score in result.scores]
    for kind in ("patterns", "dead", "clean", "feedback", "late", "duplicates", "filtered"):
        out += [encode(one) for result in results for one in getattr(result, kind)]
    return out


def cut(pipeline: Pipeline, items: Sequence[Item], size: int) -> list[Result]:
    return [pipeline.step(items[at : at + size]) for at in range(0, len(items), size)]


def with_verdicts(stream: list[Event]) -> list[Item]:
    """The stream with repeats, late and broken events, and verdicts on what was found in it, some of them undone."""
    draw = Random(5)
    out: list[Item] = list(stream)
    for at in range(500, len(out), 517):
        out[at] = out[at - 3]
    for at in range(700, len(out), 1201):
        event = out[at]
        assert isinstance(event, Event)
        out[at] = msgspec.structs.replace(event, timestamp=iso_from_us(START_US - 10**11))
    for at in range(900, len(out), 1303):
        event = out[at]
        assert isinstance(event, Event)
        out[at] = msgspec.structs.replace(
            event, payload={"x": float("inf"), "note": "broken"} if at % 2 else {"note": "broken"}
        )
    found = Pipeline(by_sensor()).step(stream).patterns
    known = {event.event_id: at for at, event in enumerate(stream)}
    verdicts: list[Verdict] = ["false_positive", "confirmed", "expected"]
    for number, pattern in enumerate(found):
        stamp = pattern.timestamp
        verdict = Feedback(
            feedback_id=f"v{number}", pattern_id=pattern.pattern_id, verdict=draw.choice(verdicts), timestamp=stamp
        )
        undo = Feedback(
            feedback_id=f"u{number}", pattern_id=pattern.pattern_id, verdict="undo", timestamp=stamp, undoes=f"v{number}"
        )
        out.insert(known[pattern.event_id] + 2 * number + 5, verdict)
        if number % 3 == 0:
            out.append(undo)
    return out


@cache
def long_stream() -> list[Item]:
    return with_verdicts(events(eventful(20_000)))


@cache
def short_stream() -> list[Item]:
    return with_verdicts(events(eventful(4_500)))


@cache
def undisturbed(stream: str) -> list[bytes | Scores | None]:
    items = long_stream() if stream == "long" else short_stream()
    return said([Pipeline(by_sensor()).step(items)])


def test_the_stream_has_everything_in_it() -> None:
    result = Pipeline(by_sensor()).step(long_stream())
    assert {pattern.detector for pattern in result.patterns} == set(DETECTORS) - {"adwin", "ddm"}
    assert {pattern.type for pattern in result.patterns} == {"drift", "anomaly", "cluster_change"}
    assert {pattern.entity for pattern in result.patterns} == {"0.0", "1.0"}
    assert len({pattern.line for pattern in result.patterns}) > 3
    assert result.dead
    assert result.late
    assert result.duplicates
    assert result.dropped_fields["s"] > 0
    assert len(result.scores) == sum(isinstance(item, Event) for item in long_stream())
    assert result.scores.count(None) == len(result.dead) + len(result.late) + len(result.duplicates)
    assert len(result.clean) == len(result.scores) - result.scores.count(None)


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_twenty_thousand_rows_however_cut(size: int) -> None:
    assert said(cut(Pipeline(by_sensor()), long_stream(), size)) == undisturbed("long")


def test_snapshot_and_restore_at_any_point_change_nothing() -> None:
    items, pipeline, results, at = long_stream(), Pipeline(by_sensor()), [], 0
    draw = Random(2)
    while at < len(items):
        size = draw.choice((1, 3, 50, 200, 700))
        results.append(pipeline.step(items[at : at + size]))
        at += size
        snapshot = pipeline.snapshot()
        pipeline = Pipeline(by_sensor())
        pipeline.restore(snapshot)
    assert said(results) == undisturbed("long")


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(st.tuples(st.integers(1, 1500), st.booleans()), min_size=1, max_size=20))
def test_any_cuts_and_restore_points(cuts: list[tuple[int, bool]]) -> None:
    items, pipeline, results, at = short_stream(), Pipeline(by_sensor()), [], 0
    for size, restored in [*cuts, (len(short_stream()), False)]:
        results.append(pipeline.step(items[at : at + size]))
        at += size
        if restored:
            snapshot = pipeline.snapshot()
            pipeline.step(items[at : at + 40])  # what happens after a snapshot leaves no trace in it
            pipeline = Pipeline(by_sensor())
            pipeline.restore(snapshot)
    assert said(results) == undisturbed("short")


_IN_ANOTHER_PROCESS = """
import hashlib, sys
from tests.test_pipeline import by_sensor, cut, said, short_stream
from qraft.pipeline import Pipeline
pipeline = Pipeline(by_sensor())
pipeline.restore(sys.stdin.buffer.read())
print(hashlib.sha256(repr(said(cut(pipeline, short_stream()[1000:], 77))).encode()).hexdigest())
"""


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_another_process_with_another_hash_seed_says_the_same(seed: str) -> None:
    pipeline = Pipeline(by_sensor())
    pipeline.step(short_stream()[:1000])
    snapshot = pipeline.snapshot()
    expected = hashlib.sha256(repr(said([pipeline.step(short_stream()[1000:])])).encode()).hexdigest()
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _IN_ANOTHER_PROCESS],
        input=snapshot,
        capture_output=True,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    assert done.stdout.decode().strip() == expected, done.stderr.decode()[-2000:]


def test_sources_do_not_touch_each_other() -> None:
    one, other = events(eventful(2500), "one"), events(noise(2500, 2, seed=9), "other")
    together = [item for pair in zip(one, other, strict=True) for item in pair]
    apart = [*Pipeline(Settings()).step(one).patterns, *Pipeline(Settings()).step(other).patterns]
    mixed = Pipeline(Settings()).step(together).patterns
    assert mixed
    assert sorted(map(encode, mixed)) == sorted(map(encode, apart))


def test_a_pattern_has_all_of_it() -> None:
    stream = events(eventful(6000))
    times = {event.event_id: event.timestamp for event in stream}
    for pattern in Pipeline(Settings()).step(stream).patterns:
        assert pattern.pattern_id == pattern_id(pattern.event_id, pattern.detector, pattern.type)
        assert pattern.timestamp == times[pattern.event_id]
        assert pattern.source == "s"
        assert pattern.line == 0.5 <= pattern.details.confidence <= 1.0
        assert pattern.summary
        assert pattern.details.prev_state["label"]
        assert pattern.details.new_state["label"]
        assert sum(one.score for one in pattern.contributors) == pytest.approx(1.0)


def shift_with(verdicts: list[Verdict], by: float = 1.1) -> list[float]:
    """Lines of the patterns on small shifts, after so many verdicts on ADWIN."""
    rows = noise(9000, 1, seed=4)
    for at, row in enumerate(rows):
        row["f0"] += by * (at // 1000 % 2)
    pipeline = Pipeline(Settings(detect=DetectSettings(adwin=AdwinSettings(enabled=True, min_effect=0.8))))
    first = pipeline.step(
        [
            Feedback(
                feedback_id=f"{at}",
                pattern_id=f"p{at}",
                verdict=one,
                timestamp="2024-01-01T00:00:00Z",
                source="s",
                detector="adwin",
            )
            for at, one in enumerate(verdicts)
        ]
    )
    assert len(first.feedback) == len(verdicts)
    return [pattern.line for pattern in pipeline.step(events(rows)).patterns if pattern.detector == "adwin"]


def test_verdicts_change_what_is_found_next() -> None:
    usual = shift_with([])
    doubted = shift_with(["false_positive"] * 9)
    trusted = shift_with(["confirmed"] * 9)
    assert set(usual) == {0.5}
    assert len(trusted) > len(doubted)
    assert all(line == FeedbackSettings().min_line for line in trusted)


def test_a_verdict_without_detector_finds_its_pattern_and_an_undo_restores() -> None:
    pipeline = Pipeline(Settings())
    pattern = pipeline.step(events(eventful(2500))).patterns[0]
    verdict = Feedback(feedback_id="v", pattern_id=pattern.pattern_id, verdict="false_positive", timestamp=pattern.timestamp)
    pipeline.step([verdict])
    assert pipeline.line("s", pattern.detector) == pytest.approx(0.5987, abs=1e-4)
    other = Pipeline(Settings())
    other.restore(pipeline.snapshot())
    other.step([Feedback(feedback_id="u", pattern_id="", verdict="undo", timestamp=pattern.timestamp, undoes="v")])
    assert other.line("s", pattern.detector) == 0.5


def test_mutes_notes_and_their_undo_are_passed_on_and_change_nothing_else() -> None:
    plain, spoken = Pipeline(by_sensor()), Pipeline(by_sensor())
    mute = Feedback(
        feedback_id="m",
        pattern_id="p",
        verdict="mute",
        timestamp="2024-01-01T00:00:00Z",
        source="s",
        detector="adwin",
        scope=Scope(source="s"),
        until="2024-01-02T00:00:00Z",
    )
    note = msgspec.structs.replace(mute, feedback_id="n", verdict="note", note="hm", scope=None, until="")
    undo = msgspec.structs.replace(note, feedback_id="u", verdict="undo", undoes="m")
    stream = events(eventful(3000))
    expected = plain.step(stream)
    said: list[Item] = [mute, *stream[:1000], note, undo, *stream[1000:]]
    result = spoken.step(said[:500])
    found = result.patterns
    other = Pipeline(by_sensor())
    other.restore(spoken.snapshot())
    rest = other.step(said[500:])
    assert [encode(p) for p in [*found, *rest.patterns]] == [encode(p) for p in expected.patterns]
    assert expected.patterns
    assert [*result.feedback, *rest.feedback] == [mute, note, undo]
    assert other.lines() == plain.lines()


@pytest.mark.parametrize("data", [b"", b"nonsense" * 100, bytes(2000)], ids=["empty", "text", "zeros"])
def test_foreign_bytes_are_refused_and_change_nothing(data: bytes) -> None:
    pipeline = Pipeline(by_sensor())
    first = pipeline.step(short_stream()[:2000])
    with pytest.raises(ValueError, match="snapshot"):
        pipeline.restore(data)
    rest = pipeline.step(short_stream()[2000:])
    assert said([first, rest]) == undisturbed("short")


def test_a_damaged_snapshot_is_refused() -> None:
    pipeline = Pipeline(Settings())
    pipeline.step(events(noise(50)))
    snapshot = pipeline.snapshot()
    for at in range(0, len(snapshot), len(snapshot) // 23):
        with pytest.raises(ValueError, match="snapshot"):
            Pipeline(Settings()).restore(snapshot[:at] + bytes([snapshot[at] ^ 255]) + snapshot[at + 1 :])


def warmth(pipeline: Pipeline, source: str, at: int) -> float:
    scores = pipeline.step(events([{"f0": 0.0, "f1": 0.0, "f2": 0.0}], source, at)).scores[0]
    assert scores is not None
    return scores.warm


def own(**changes: object) -> dict[str, Source]:
    one = FileSource.model_validate({"adapter": "file", "path": "x", **changes})
    return {"one": one, "two": FileSource(adapter="file", path="y")}


@pytest.mark.parametrize(
    ("changes", "fresh"),
    [
        ({}, False),
        ({"path": "z", "mode": "replay", "rate": 5.0}, False),
        ({"detect": DetectSettings(line=0.7, max_entities=3)}, False),
        ({"detect": DetectSettings(forest=ForestSettings(trees=3))}, True),
        ({"fields": ["f0"]}, True),
        ({"exclude": ["f0"]}, True),
        ({"entity": "host"}, True),
    ],
)
def test_only_what_its_settings_touch_starts_fresh(changes: dict[str, object], fresh: bool) -> None:
    before, after = Settings(sources=own()), Settings(sources=own(**changes))
    pipeline = Pipeline(before)
    for source in ("one", "two"):
        pipeline.step(events(noise(600), source))
    snapshot = pipeline.snapshot()
    pipeline.reconfigure(after)
    restored = Pipeline(after)
    restored.restore(snapshot)
    for changed in (pipeline, restored):
        assert (warmth(changed, "one", 600) < 0.05) == fresh
        assert warmth(changed, "two", 600) == 1.0
        assert len(changed.step(events(noise(1), "one", 600)).duplicates) == 1


def test_a_changed_line_is_judged_by_at_once() -> None:
    pipeline = Pipeline(Settings())
    pipeline.step(events(noise(100)))
    pipeline.reconfigure(Settings(detect=DetectSettings(line=0.9)))
    assert pipeline.line("s", "forest") == 0.9
    patterns = pipeline.step(events(eventful(5000), start=100)).patterns
    assert patterns
    assert all(pattern.line == 0.9 <= pattern.details.confidence for pattern in patterns)


@pytest.mark.parametrize(("stream", "most"), [(noise, 2), (walk, 8), (cycle, 2)])
def test_quiet_streams(stream: object, most: int) -> None:
    assert callable(stream)
    assert len(Pipeline(Settings()).step(events(stream(20_000, seed=31))).patterns) <= most


def test_rivers_shuttle_is_told_of_soon_and_seldom() -> None:
    with gzip.open(str(files("river.datasets") / "shuttle.csv.gz"), "rt") as text:
        rows = [row for row, _ in zip(csv.DictReader(text), range(20_000), strict=False)]
    stream = events(rows)
    found = (
        Pipeline(Settings(sources={"s": FileSource(adapter="file", path="x", exclude=["anomaly"])})).step(stream).patterns
    )
    at = {event.event_id: number for number, event in enumerate(stream)}
    assert 1 <= len(found) <= 80
    assert at[found[0].event_id] < 4000


def test_an_empty_batch_and_an_empty_snapshot() -> None:
    pipeline = Pipeline(Settings())
    assert pipeline.step([]) == Result([], [], [], [], [], [], [])
    other = Pipeline(Settings())
    other.restore(pipeline.snapshot())
    assert other.entities("s") == 0


STEPS = [
    {"do": "entity", "fields": ["sensor"]},
    {"do": "derive", "fields": {"spread": "f0 - f1", "f2": "COALESCE(f2, f1)"}},
    {"do": "filter", "expression": "ABS(f0) < 2.5 OR f0 > 30 OR f0 IS NULL"},
    {"do": "fill", "fields": ["late"], "max_rows": 3},
    {"do": "features", "of": {"f1": ["diff", "rolling_mean(5)"]}},
]
WINDOW = {"do": "window", "every": "3s", "aggregate": {"f0": ["ohlc"], "f1": ["mean"]}}


def with_steps() -> Settings:
    """A source with steps, one with windows, and one without either."""
    sources: dict[str, Source] = {
        "s": FileSource.model_validate({"adapter": "file", "path": "x", "steps": STEPS}),
        "w": FileSource.model_validate({"adapter": "file", "path": "y", "steps": [WINDOW]}),
    }
    return Settings(sources=sources)


@cache
def mixed_stream() -> list[Item]:
    """The short stream, with two other sources between its events."""
    windows, plain = events(eventful(2500, seed=8), "w"), events(eventful(2500, seed=9), "plain")
    out: list[Item] = []
    for at, item in enumerate(short_stream()):
        out.append(item)
        out += windows[at : at + 1] + plain[at : at + 1]
    return out


@cache
def mixed_undisturbed() -> list[bytes | Scores | None]:
    return said([Pipeline(with_steps()).step(mixed_stream())])


def test_the_mixed_stream_has_everything_in_it() -> None:
    result = Pipeline(with_steps()).step(mixed_stream())
    assert {pattern.source for pattern in result.patterns} == {"s", "w", "plain"}
    assert result.dead
    assert result.late
    assert result.duplicates
    assert result.filtered
    assert len(result.scores) == sum(isinstance(item, Event) for item in mixed_stream())
    rows = sum(clean.source == "w" for clean in result.clean)
    assert 700 < rows < 900
    origins = {(one.field, one.origin) for pattern in result.patterns for one in pattern.contributors}
    assert {("spread", "f0, f1"), ("f1.diff", "f1"), ("f2", "f1, f2")} & origins
    assert ("f0.close", "f0") in origins
    assert all(origin == "" for field, origin in origins if field in ("f0", "f1", "late"))


@pytest.mark.parametrize("size", [1, 64, 3000])
def test_steps_however_cut(size: int) -> None:
    assert said(cut(Pipeline(with_steps()), mixed_stream(), size)) == mixed_undisturbed()


def test_steps_however_interrupted() -> None:
    items, pipeline, results, at = mixed_stream(), Pipeline(with_steps()), [], 0
    draw = Random(4)
    while at < len(items):
        size = draw.choice((1, 7, 300, 900))
        results.append(pipeline.step(items[at : at + size]))
        at += size
        snapshot = pipeline.snapshot()
        pipeline = Pipeline(with_steps())
        pipeline.restore(snapshot)
    assert said(results) == mixed_undisturbed()


def test_which_source_gives_way_does_not_depend_on_the_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qraft.pipeline.MAX_SOURCES", 3)
    steps = [{"do": "features", "of": {"f0": ["diff", "lag(3)"]}}]
    names = [f"s{at}" for at in range(5)]
    configured = Settings(
        sources={name: FileSource.model_validate({"adapter": "file", "path": "x", "steps": steps}) for name in names[:4]}
    )
    draw = Random(6)
    stream = [event for at in range(400) for event in events(noise(1, 2, seed=at), draw.choice(names), at)]
    whole = said([Pipeline(configured).step(stream)])
    for size in (1, 2, 5, 50):
        assert said(cut(Pipeline(configured), stream, size)) == whole


def test_steps_rest_at_the_level_archive() -> None:
    pipeline, stream = Pipeline(with_steps()), events(noise(10))
    archived = pipeline.step(stream, level="archive")
    assert (archived.archived, archived.clean, archived.scores) == (10, [], [None] * 10)
    assert len(pipeline.step(stream).duplicates) == 0  # nothing was touched


@pytest.mark.parametrize(
    ("before", "after", "fresh", "kept"),
    [
        (STEPS, STEPS, False, True),
        ([], STEPS, True, False),
        (STEPS, [], True, False),
        (STEPS, STEPS[:-1], True, False),
        ([WINDOW], [{**WINDOW, "every": "4s"}], True, False),
    ],
)
def test_other_steps_start_fresh_and_know_repeats_still(
    before: list[dict[str, object]], after: list[dict[str, object]], fresh: bool, kept: bool
) -> None:
    pipeline = Pipeline(Settings(sources=own(steps=before)))
    for source in ("one", "two"):
        pipeline.step(events(noise(600), source))
    snapshot = pipeline.snapshot()
    pipeline.reconfigure(Settings(sources=own(steps=after)))
    restored = Pipeline(Settings(sources=own(steps=after)))
    restored.restore(snapshot)
    for changed in (pipeline, restored):
        assert len(changed.step(events(noise(1), "one", 599)).duplicates) == 1
        assert (changed.entities("one") == 0) == fresh
        rows = changed.step(events([{"f0": 0.0, "f1": 1.0, "f2": 0.0}], "one", 600)).clean
        assert any("f1.diff" in row.fields for row in rows) == kept
        assert warmth(changed, "two", 600) == 1.0


def test_the_pipeline_without_steps_loads_no_polars() -> None:
    program = (
        "import sys\nfrom qraft.config import Settings\nfrom qraft.pipeline import Pipeline\n"
        "from tests.detect.streams import events, noise\n"
        "assert len(Pipeline(Settings()).step(events(noise(3))).clean) == 3\n"
        "assert 'polars' not in sys.modules\n"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, cwd=root, text=True)
    assert done.returncode == 0, done.stderr
