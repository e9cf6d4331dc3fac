"""Ticks and rows of others let time pass: who is silent is told, a source as a whole before its entities."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from qraft.config import Settings
from qraft.config.detect import DetectSettings
from qraft.config.sources import FileSource
from qraft.detect.silence.arrivals import MOST_AWAY
from qraft.model import TICK, Event, Pattern, event_id, iso_from_us
from qraft.pipeline import Pipeline
from tests.detect.streams import START_US

SECOND = 1_000_000
SECTIONS = [name for name, value in DetectSettings() if hasattr(value, "enabled")]
QUIET = DetectSettings.model_validate({name: {"enabled": name == "silence"} for name in SECTIONS})
"""No other detector speaks."""


def settings_of(entity: str = "") -> Settings:
    return Settings(detect=QUIET, sources={"s": FileSource(adapter="file", path="rows.csv", entity=entity)})


def row(time_us: int, number: int, **payload: object) -> Event:
    return Event(
        event_id=event_id("s", str(number)),
        source="s",
        type="row",
        timestamp=iso_from_us(time_us),
        payload={"x": float(number % 7), **payload},
    )


def tick(time_us: int, **payload: object) -> Event:
    return Event(
        event_id=event_id("s", f"tick:{time_us}"), source="s", type=TICK, timestamp=iso_from_us(time_us), payload=payload
    )


def rows(count: int, start_us: int = START_US, first: int = 0) -> list[Event]:
    return [row(start_us + at * SECOND, first + at) for at in range(count)]


def sensors(count: int, start_us: int = START_US, without: str = "", first: int = 0) -> list[Event]:
    """Three sensors, each once a second."""
    return [
        row(start_us + at * SECOND + turn * 300_000, first + 3 * at + turn, sensor=name)
        for at in range(count)
        for turn, name in enumerate("abc")
        if name != without
    ]


def said(patterns: list[Pattern]) -> list[tuple[str, str]]:
    return [(pattern.entity, pattern.kind) for pattern in patterns]


LAST = START_US + 199 * SECOND


def test_ticks_tell_a_silence_and_the_row_after_it_the_return() -> None:
    pipeline = Pipeline(settings_of())
    assert pipeline.step(rows(200)).patterns == []
    quiet = pipeline.step([tick(LAST + 2 * SECOND)])
    assert not quiet.patterns
    assert not quiet.scores
    assert not quiet.clean
    result = pipeline.step([tick(LAST + after * SECOND) for after in range(3, 60, 3)])
    (silence,) = result.patterns
    assert result.scores == []
    assert result.archived == 0
    assert silence.kind == "silence"
    assert silence.type == "anomaly"
    assert silence.detector == "silence"
    assert silence.summary.startswith("no row for ")
    assert silence.summary.endswith("; usual gap 1 s")
    assert silence.began == iso_from_us(LAST + SECOND)
    assert silence.timestamp <= iso_from_us(LAST + 12 * SECOND)
    after = pipeline.step(rows(500, LAST + 250 * SECOND, 200))
    assert [(one.kind, one.summary) for one in after.patterns] == [("return", "back after 4 min 10 s")]


def test_a_gap_without_ticks_is_told_at_the_row_that_ends_it() -> None:
    result = Pipeline(settings_of()).step([*rows(200), *rows(300, LAST + 250 * SECOND, 200)])
    (silence,) = result.patterns
    assert silence.kind == "silence"
    assert silence.timestamp == iso_from_us(LAST + 250 * SECOND)
    assert silence.details.metrics["gap_seconds"] == 250.0
    assert [scores is not None and scores.anomaly >= 0.5 for scores in result.scores].index(True) == 200
    assert sum(scores is not None and scores.anomaly >= 0.5 for scores in result.scores) == 1


def test_one_entity_is_told_by_the_rows_of_others() -> None:
    pipeline = Pipeline(settings_of("sensor"))
    assert pipeline.step(sensors(200)).patterns == []
    missing = pipeline.step(sensors(60, LAST + SECOND, without="b", first=600))
    assert said(missing.patterns) == [("b", "silence")]
    assert missing.patterns[0].timestamp < iso_from_us(LAST + 15 * SECOND)
    back = pipeline.step(sensors(200, LAST + 61 * SECOND, first=900))
    assert said(back.patterns) == [("b", "return")]


def test_a_silent_source_is_told_once_for_all_its_entities() -> None:
    pipeline = Pipeline(settings_of("sensor"))
    pipeline.step(sensors(200))
    result = pipeline.step([tick(LAST + after * SECOND) for after in range(1, 400)])
    assert said(result.patterns) == [("", "silence")]
    back = pipeline.step(sensors(200, LAST + 400 * SECOND, first=600))
    assert said(back.patterns) == [("", "return")]


def test_a_gap_of_the_whole_source_in_a_file_is_told_once() -> None:
    result = Pipeline(settings_of("sensor")).step([*sensors(200), *sensors(200, LAST + 400 * SECOND, first=600)])
    assert said(result.patterns) == [("", "silence")]


def test_several_that_fall_silent_at_once_have_ids_of_their_own() -> None:
    pipeline = Pipeline(settings_of("sensor"))
    pipeline.step(sensors(200))
    rest = [row(LAST + at * SECOND, 600 + at, sensor="a") for at in range(1, 60)]
    result = pipeline.step(rest)
    assert sorted(said(result.patterns)) == [("b", "silence"), ("c", "silence")]
    assert len({pattern.pattern_id for pattern in result.patterns}) == 2


@pytest.mark.parametrize("entity", ["", "sensor"])
def test_the_time_nobody_listened_is_no_silence(entity: str) -> None:
    pipeline = Pipeline(settings_of(entity))
    pipeline.step(sensors(200))
    assert pipeline.step([tick(LAST + 3600 * SECOND, interrupted=True), tick(LAST + 3600 * SECOND)]).patterns == []
    assert pipeline.step(sensors(200, LAST + 3600 * SECOND, first=600)).patterns == []
    end = LAST + 3800 * SECOND
    assert len(pipeline.step([tick(end + after * SECOND) for after in range(60)]).patterns) == 1


def test_an_entity_that_does_not_come_back_after_an_interruption_is_told() -> None:
    pipeline = Pipeline(settings_of("sensor"))
    pipeline.step(sensors(200))
    pipeline.step([tick(LAST, interrupted=True)])
    result = pipeline.step(sensors(60, LAST + 3600 * SECOND, without="c", first=600))
    assert said(result.patterns) == [("c", "silence")]
    assert result.patterns[0].details.metrics["gap_seconds"] < 60


def test_rows_that_were_not_judged_are_not_missed() -> None:
    pipeline = Pipeline(settings_of())
    pipeline.step(rows(200))
    pipeline.step(rows(400, LAST + SECOND, 200), level="archive")
    assert pipeline.step(rows(200, LAST + 401 * SECOND, 600)).patterns == []


def test_awkward_ticks_do_nothing() -> None:
    pipeline = Pipeline(settings_of())
    before = pipeline.snapshot()
    strange = Event(event_id="t", source="s", type=TICK, timestamp="tomorrow", payload={})
    assert pipeline.step([strange, tick(LAST)]).patterns == []
    assert pipeline.snapshot() == before
    pipeline.step(rows(200))
    assert pipeline.step([strange]).patterns == []


def test_a_row_from_the_future_makes_nobody_late() -> None:
    pipeline = Pipeline(settings_of("sensor"))
    stream = sensors(200)
    stream.insert(300, row(LAST + 86_400 * SECOND, 10_000, sensor="a"))
    assert not {("b", "silence"), ("c", "silence")} & set(said(pipeline.step(stream).patterns))


def test_a_row_from_the_future_does_not_stop_the_time() -> None:
    pipeline = Pipeline(settings_of())
    pipeline.step([*rows(200), row(LAST + 86_400 * SECOND, 10_000), *rows(100, LAST + SECOND, 200)])
    (silence,) = pipeline.step([tick(LAST + 100 * SECOND + after * SECOND) for after in range(60)]).patterns
    assert silence.summary.endswith("usual gap 1 s")


def test_entities_that_come_and_go_are_told_a_few_times_only() -> None:
    pipeline, patterns = Pipeline(settings_of("sensor")), []
    for turn in range(60):
        begun = START_US + turn * 100 * SECOND
        stream = [row(begun + at * SECOND, 1000 * turn + at, sensor="stays") for at in range(100)]
        stream += [row(begun + at * SECOND, 1000 * turn + 500 + at, sensor=f"short{turn}") for at in range(80)]
        patterns += pipeline.step(sorted(stream, key=lambda event: event.timestamp)).patterns
    assert {pattern.kind for pattern in patterns} == {"silence"}
    assert len(patterns) == MOST_AWAY


def test_one_pattern_in_a_hundred_thousand_rows_at_most() -> None:
    draw, at, stream = Random(4), START_US, []
    for number in range(30_000):
        at += round(draw.expovariate(1.0) * SECOND)
        stream.append(row(at, number, sensor=draw.choice("abcdefgh")))
        if number % 10 == 0:
            stream.append(tick(at + 100_000))
    assert Pipeline(settings_of("sensor")).step(stream).patterns == []


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(1, 1400), st.booleans()), max_size=8), seed=st.integers(0, 5))
def test_any_cut_and_any_restart_say_the_same(cuts: list[tuple[int, bool]], seed: int) -> None:
    stream = eventful_time(seed)
    whole = Pipeline(settings_of("sensor")).step(stream)
    assert len(whole.patterns) >= 3
    pipeline, begin, patterns = Pipeline(settings_of("sensor")), 0, []
    for cut, restart in [*sorted(cuts), (len(stream), False)]:
        patterns += pipeline.step(stream[begin:cut]).patterns
        begin = max(begin, cut)
        if restart:
            state = pipeline.snapshot()
            pipeline = Pipeline(settings_of("sensor"))
            pipeline.restore(state)
    assert patterns == whole.patterns


def eventful_time(seed: int) -> list[Event]:
    """Three sensors with everything: one silent, all silent, an interruption, ticks between."""
    draw = Random(seed)
    stream = sensors(200)
    stream += sensors(40, LAST + SECOND, without=draw.choice("abc"), first=1000)
    stream += sensors(60, LAST + 41 * SECOND, first=2000)
    at = LAST + 101 * SECOND
    stream += [tick(at + after * SECOND) for after in range(100)]
    stream += sensors(60, at + 100 * SECOND, first=3000)
    stream += [tick(at + 170 * SECOND, interrupted=True)]
    stream += sensors(60, at + 600 * SECOND, without="b", first=4000)
    stream += [tick(at + 660 * SECOND + after * SECOND) for after in range(30)]
    return stream
