"""What a step of a pipeline adds to the metrics."""

from __future__ import annotations

from typing import Any

import pytest

from qraft.config import Settings
from qraft.detect import LINED
from qraft.engine.counting import DETECTOR_TYPES, Memory, count_published, count_step, show_memory
from qraft.engine.judge import Judge
from qraft.engine.meters import SOURCES_SHOWN, Meters
from qraft.model import Details, Event, Feedback, Notice, Pattern, iso_from_us
from qraft.pipeline import Result

NOW_US = 1_800_000_000_000_000
MOMENT = "2026-11-22T10:00:00Z"


@pytest.fixture
def meters() -> Meters:
    return Meters("main", monotonic=lambda: 5.0, now_us=lambda: NOW_US)


def events(count: int, source: str = "s", **payload: Any) -> list[Event]:
    return [
        Event(
            event_id=f"{source}{n}",
            source=source,
            type="row",
            timestamp=iso_from_us(NOW_US + n * 1_000_000),
            payload={"a": float(n % 3), **payload},
        )
        for n in range(count)
    ]


def pattern(source: str = "s", detector: str = "drift", event_id: str = "s0") -> Pattern:
    details = Details(prev_state={}, new_state={}, metrics={}, confidence=0.8)
    return Pattern(
        pattern_id="p", type="drift", timestamp=iso_from_us(NOW_US), source=source, details=details, contributors=[],
        detector=detector, event_id=event_id,
    )  # fmt: skip


def test_every_detector_has_its_type_here() -> None:
    assert set(DETECTOR_TYPES) == set(LINED)


def test_a_pattern_counts_under_the_type_that_its_detector_is_said_to_have(meters: Meters) -> None:
    """Else a counter would begin at 0 that nothing ever adds to."""
    judge = Judge("lane", Settings(), meters, lambda: 0.0)
    rows = [msg for n, msg in enumerate(events(900)) if n]
    shifted = [
        Event(**{**_plain(one), "payload": {"a": one.payload["a"] + (40.0 if n > 600 else 0.0)}})
        for n, one in enumerate(rows)
    ]
    found = judge.step(shifted).patterns
    assert found
    assert all(DETECTOR_TYPES[one.detector] == one.type for one in found)


def _plain(event: Event) -> dict[str, Any]:
    return {"event_id": event.event_id, "source": event.source, "type": event.type, "timestamp": event.timestamp}


def test_delays_are_those_of_the_events(meters: Meters) -> None:
    batch = events(3)
    arrived = [NOW_US - 20_000, NOW_US - 20_000, NOW_US - 9_000_000]
    result = Result([], [], [], [], [None] * 3, [], [])
    count_step(meters, list(zip(batch, arrived, strict=True)), result)
    counts, total = meters.tally.histograms("qraft_event_delay_seconds")[()]
    assert sum(counts) == 3
    assert total == pytest.approx(9.04)
    count_step(meters, [(one, NOW_US - 20_000) for one in batch], result)  # all in one bucket
    counts, total = meters.tally.histograms("qraft_event_delay_seconds")[()]
    assert sum(counts) == 6
    assert total == pytest.approx(9.1)


def test_a_patterns_delay_is_that_of_its_event_or_of_the_newest(meters: Meters) -> None:
    batch = [(one, NOW_US - 1_000_000 * (3 - n)) for n, one in enumerate(events(3))]
    count_published(meters, [pattern(event_id="s0"), pattern(event_id="tick")], batch, NOW_US - 500_000)
    counts, total = meters.tally.histograms("qraft_pattern_delay_seconds")[()]
    assert (sum(counts), total) == (2, pytest.approx(3.5))
    assert meters.publish.sent == 2


def test_statistics_and_tally_agree(meters: Meters) -> None:
    judge = Judge("lane", Settings(), meters, lambda: 0.0)
    batch = [*events(5), *events(2), Event(**{**_plain(events(1)[0]), "event_id": "bad", "payload": {}})]
    count_step(meters, [(one, NOW_US) for one in batch], judge.step(batch))
    [stats] = meters.stats().sources
    assert (stats.processed, stats.duplicates, stats.dead) == (8, 2, 1)
    letters = meters.tally.values("qraft_source_dead_letters_total")
    assert letters["s", "no_numbers"] == 1
    assert sum(letters.values()) == stats.dead
    assert sum(meters.tally.values("qraft_patterns_total").values()) == stats.patterns == 0
    assert meters.preprocess.dropped == {"late": 0, "duplicate": 2, "dead": 1, "filtered": 0, "archived": 0}


def test_a_verdict_counts_by_source_and_detector_if_there_are_such(meters: Meters) -> None:
    meters.source("s")

    def said(detector: str, source: str = "s") -> Feedback:
        return Feedback(
            feedback_id="f",
            pattern_id="p",
            verdict="confirmed",
            timestamp=MOMENT,
            source=source,
            detector=detector,
        )

    result = Result([], [], [], [said("drift"), said("made up"), said(""), said("drift", "nowhere")], [], [], [])
    count_step(meters, [], result)
    assert meters.tally.values("qraft_verdicts_total") == {
        ("s", "drift", "confirmed"): 1.0,
        ("s", "_other", "confirmed"): 2.0,
        ("_other", "drift", "confirmed"): 1.0,
    }


def test_the_first_verdict_on_a_detector_is_an_increase(meters: Meters) -> None:
    count_step(meters, [], Result([], [pattern()], [], [], [], [], []))
    verdicts = meters.tally.values("qraft_verdicts_total")
    assert verdicts["s", "drift", "confirmed"] == verdicts["s", "drift", "false_positive"] == 0.0


def test_what_gives_way_is_shown(meters: Meters) -> None:
    settings = Settings.model_validate(
        {
            "detect": {"max_entities": 2},
            "sources": {
                "s": {
                    "adapter": "external",
                    "entity": "who",
                    "steps": [{"do": "features", "of": {"a": ["rolling_mean(10s)"]}, "max_rows": 3, "max_entities": 2}],
                }
            },
        }
    )
    judge = Judge("lane", settings, meters, lambda: 0.0)
    batch = [Event(**{**_plain(one), "payload": {"a": 1.0, "who": "abc"[n // 8]}}) for n, one in enumerate(events(24))]
    judge.step(batch)
    memory = judge.memory("s")
    assert memory is not None
    show_memory(meters, "s", memory)
    assert (memory.entities, memory.evicted, memory.features_evicted) == (2, 1, 1)
    assert memory.features_shortened > 0
    assert meters.tally.values("qraft_source_entities_evicted_total") == {("s",): 1.0}
    assert meters.tally.values("qraft_source_features_shortened_total") == {("s",): float(memory.features_shortened)}
    assert meters.tally.values("qraft_alert_line")["s", "drift"] == settings.detect.line
    assert judge.memory("nobody") is None


def test_a_source_that_goes_takes_its_counts_with_it(meters: Meters) -> None:
    count_step(meters, [(events(1)[0], NOW_US)], Result([], [], [], [], [None], [], []))
    show_memory(meters, "s", Memory(1, 0, 0, 0, {"drift": 0.5}))
    meters.forget("s")
    assert meters.tally.values("qraft_alert_line") == {}
    assert meters.stats().sources == []


def test_sources_beyond_those_shown_are_added_up(meters: Meters) -> None:
    for n in range(SOURCES_SHOWN + 2):
        meters.source(f"s{n}").read = 3
    reading = meters.reading()
    assert len(reading.stats.sources) == SOURCES_SHOWN
    assert reading.rest is not None
    assert (reading.rest.source, reading.rest.read) == ("_other", 6)


def test_kinds_and_reasons_of_others_stay_few(meters: Meters) -> None:
    for n in range(200):
        meters.notice(Notice(timestamp=MOMENT, source="s", kind=f"kind{n}", text=""))
        meters.dropped("s", f"reason{n}", 1)
    assert len(meters.notice_counts) == 65
    assert meters.tally.values("qraft_source_dropped_total") == {("s", "_other"): 200.0}


def test_an_edit_is_counted_by_what_came_of_it(meters: Meters) -> None:
    meters.reloaded("config.toml, line 3: no such key")
    assert meters.stats().config_error
    meters.reloaded("")
    assert meters.tally.values("qraft_config_reloads_total") == {("applied",): 1.0, ("refused",): 1.0}
    assert meters.tally.values("qraft_config_last_reload_success_timestamp_seconds") == {(): NOW_US / 1e6}
    assert not meters.stats().config_error
