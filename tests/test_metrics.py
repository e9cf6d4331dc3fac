"""The metrics as Prometheus reads them: the catalogue, the tally, and what a scrape gives."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from qraft.metrics import CATALOGUE, MetricsServer, Reading, Tally
from qraft.model import EngineStats, SourceStats, StageStats

HOST = SourceStats(source="host", state="retrying", read=5, processed=4, lag_seconds=0.25, last_event="2026-11-22T10:00:00Z")
STATS = EngineStats(
    engine="main",
    timestamp="2026-11-22T10:00:00.000000Z",
    state="waiting",
    clickhouse=False,
    lag_seconds=1.5,
    pending=7,
    level="light",
    notice_counts={"level": 2},
    sources=[
        SourceStats(
            source="host", state="retrying", read=5, processed=4, lag_seconds=0.25, last_event="2026-11-22T10:00:00Z"
        )
    ],
    stages=[StageStats(stage="preprocess", received=4, sent=3, dropped=1, seconds=0.5, reasons={"dead": 1})],
)


def tally() -> Tally:
    """Something in every metric that is no part of the statistics."""
    filled = Tally()
    for spec in CATALOGUE:
        labels = ["host" if label == "source" else label for label in spec.labels]
        if spec.buckets:
            filled.observe(spec.name, spec.buckets[1], *labels, times=3)
        else:
            filled.set(spec.name, *labels, value=2)
    return filled


def scrape(reading: Reading, accept: str = "text/plain") -> str:
    server = MetricsServer("127.0.0.1", 0, lambda: reading)
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url, headers={"Accept": accept}), timeout=5) as answer:
            return str(answer.read(), "utf-8")
    finally:
        server.close()


def test_metrics_say_what_the_statistics_say() -> None:
    lines = set(scrape(Reading(STATS)).splitlines())
    assert {
        'qraft_engine_state{state="waiting"} 1.0',
        'qraft_engine_state{state="running"} 0.0',
        "qraft_degradation_level 1.0",
        "qraft_nats_connected 1.0",
        "qraft_clickhouse_connected 0.0",
        "qraft_lag_seconds 1.5",
        "qraft_pending_messages 7.0",
        "qraft_config_valid 1.0",
        'qraft_notices_total{kind="level"} 2.0',
        'qraft_stage_received_total{stage="preprocess"} 4.0',
        'qraft_stage_dropped_total{reason="dead",stage="preprocess"} 1.0',
        'qraft_source_read_total{source="host"} 5.0',
        'qraft_source_lag_seconds{source="host"} 0.25',
        'qraft_source_state{source="host",state="retrying"} 1.0',
        'qraft_source_state{source="host",state="running"} 0.0',
        'qraft_source_last_event_timestamp_seconds{source="host"} 1.7953416e+09',
    } <= lines


def test_a_histogram_counts_each_value_in_every_bucket_above_it() -> None:
    filled = Tally()
    filled.observe("qraft_barrier_seconds", 0.01)
    filled.observe("qraft_barrier_seconds", 0.011, times=2)
    filled.observe("qraft_barrier_seconds", 1e9)
    lines = set(scrape(Reading(STATS, filled)).splitlines())
    assert {
        'qraft_barrier_seconds_bucket{le="0.005"} 0.0',
        'qraft_barrier_seconds_bucket{le="0.01"} 1.0',
        'qraft_barrier_seconds_bucket{le="0.025"} 3.0',
        'qraft_barrier_seconds_bucket{le="300.0"} 3.0',
        'qraft_barrier_seconds_bucket{le="+Inf"} 4.0',
        "qraft_barrier_seconds_count 4.0",
        "qraft_barrier_seconds_sum 1.000000000032e+09",
    } <= lines


def test_sources_that_are_not_shown_are_one() -> None:
    filled = Tally()
    for source in ("host", "far", "further"):
        filled.count("qraft_verdicts_total", source, "drift", "confirmed", by=2)
        filled.set("qraft_alert_line", source, "drift", value=0.4)
    said = scrape(Reading(STATS, filled, SourceStats(source="_other", read=9, entities=3, lag_seconds=5)))

    def samples(name: str) -> list[tuple[str, str]]:
        return re.findall(rf'^{name}\{{.*source="(\w+)".*\}} (\S+)$', said, re.MULTILINE)

    assert samples("qraft_verdicts_total") == [("host", "2.0"), ("_other", "4.0")]
    assert samples("qraft_alert_line") == [("host", "0.4")]
    assert samples("qraft_source_read_total") == [("host", "5.0"), ("_other", "9.0")]
    assert samples("qraft_source_entities") == [("host", "0.0"), ("_other", "3.0")]
    assert samples("qraft_source_lag_seconds") == [("host", "0.25")]


def test_every_metric_of_the_catalogue_comes_with_its_labels() -> None:
    found = {family.name: family for family in read_text(scrape(Reading(STATS, tally())))}
    for spec in CATALOGUE:
        family = found[spec.family]
        assert (family.type, family.documentation) == (spec.kind, spec.text)
        assert family.samples, spec.name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(spec.labels), spec.name


def test_names_keep_the_rules_of_prometheus() -> None:
    names = [spec.name for spec in CATALOGUE]
    assert len(names) == len(set(names))
    for spec in CATALOGUE:
        assert re.fullmatch(r"qraft(_[a-z0-9]+)+", spec.name)
        assert spec.name.endswith("_total") == (spec.kind == "counter")
        assert not re.search(r"_(milliseconds|minutes|kilobytes|percent|count|sum|bucket)$", spec.name)
        assert bool(spec.buckets) == (spec.kind == "histogram")
        assert list(spec.buckets) == sorted(set(spec.buckets))
        assert spec.text.endswith(".")
        assert not {"entity", "pattern", "pattern_id", "event_id", "error", "le"} & set(spec.labels)


def test_a_scraper_may_have_openmetrics() -> None:
    said = scrape(Reading(STATS, tally()), "application/openmetrics-text; version=1.0.0")
    assert said.endswith("# EOF\n")
    families = {family.name: family for family in read_openmetrics(said)}
    assert families["qraft_stage_seconds"].unit == "seconds"
    assert {spec.family for spec in CATALOGUE} <= set(families)


def test_the_process_is_told_of_too() -> None:
    said = scrape(Reading(STATS))
    assert "process_resident_memory_bytes " in said
    assert "python_info{" in said


def test_the_tally_takes_only_what_the_catalogue_has() -> None:
    filled = Tally()
    with pytest.raises(KeyError):
        filled.count("qraft_nothing_total")
    with pytest.raises(ValueError, match="has the labels"):
        filled.count("qraft_source_filtered_total")
    with pytest.raises(ValueError, match="has the labels"):
        filled.observe("qraft_pattern_confidence", 0.5)


def test_what_is_counted_of_a_source_is_forgotten_with_it() -> None:
    filled = Tally()
    for source in ("a", "b"):
        filled.count("qraft_patterns_total", source, "drift", "adwin")
    filled.forget("a")
    assert filled.values("qraft_patterns_total") == {("b", "drift", "adwin"): 1.0}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is missing")
def test_prometheus_finds_no_fault_with_them() -> None:
    own = "\n".join(line for line in scrape(Reading(STATS, tally())).splitlines() if "qraft_" in line) + "\n"
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=own, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
