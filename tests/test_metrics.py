"""The metrics as Prometheus reads them."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request

import pytest

from qraft.metrics import MetricsServer
from qraft.model import EngineStats, SourceStats, StageStats

STATS = EngineStats(
    engine="main",
    timestamp="2026-11-22T10:00:00.000000Z",
    state="waiting",
    clickhouse=False,
    lag_seconds=1.5,
    pending=7,
    sources=[SourceStats(source="host", state="running", read=5, processed=4, lag_seconds=0.25)],
    stages=[StageStats(stage="preprocess", received=4, sent=3, dropped=1, seconds=0.5, reasons={"dead": 1})],
)


def scrape() -> str:
    server = MetricsServer("127.0.0.1", 0, lambda: STATS)
    try:
        with urllib.request.urlopen(server.url, timeout=5) as answer:
            return str(answer.read(), "utf-8")
    finally:
        server.close()


def test_metrics_say_what_the_statistics_say() -> None:
    lines = set(scrape().splitlines())
    assert {
        "qraft_up 0.0",
        "qraft_nats_connected 1.0",
        "qraft_clickhouse_connected 0.0",
        "qraft_lag_seconds 1.5",
        "qraft_pending_messages 7.0",
        'qraft_stage_received_total{stage="preprocess"} 4.0',
        'qraft_stage_dropped_total{reason="dead",stage="preprocess"} 1.0',
        'qraft_source_read_total{source="host"} 5.0',
        'qraft_source_lag_seconds{source="host"} 0.25',
        'qraft_source_running{source="host"} 1.0',
    } <= lines


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian package prometheus) is not installed")
def test_prometheus_finds_no_fault_with_them() -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape(), capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
