"""alerts.yml: promtool finds no fault, each alert fires when it should and rests when it should not, and is documented."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from qraft.api.meters import API_METRICS
from qraft.metrics import CATALOGUE
from tests.grafana.expressions import metrics_in

GRAFANA = Path(__file__).parents[2] / "grafana"
OPERATIONS = [Path(__file__).parents[2] / "docs" / place / "operations.md" for place in (".", "zh-CN")]
RULES = [rule for group in yaml.safe_load((GRAFANA / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian package prometheus) is not installed"
)


@dataclass(frozen=True)
class Case:
    """Series that make an alert fire by minute ``at``, and values of the first of them that let it rest.

    Values are in promtool's notation: ``a+bxn`` is a, a+b, … to a+bn, a minute apart.
    """

    fires: dict[str, str]
    rests: str
    at: int = 30
    labels: dict[str, str] = field(default_factory=dict)


I = 'instance="e:1"'  # noqa: E741 the instance of every series
S = f'{I}, source="host"'
D = f'{S}, detector="drift"'
STREAM = f'{I}, stream="events"'
DISK = f'{I}, disk="default"'
CASES = {
    "QraftEngineDown": Case({f'up{{{I}, job="qraft-engine"}}': "0x60"}, "1x60", 3),
    "QraftApiDown": Case({f'up{{{I}, job="qraft-api"}}': "0x60"}, "1x60", 5),
    "QraftApiErrors": Case(
        {
            f'qraft_api_requests_total{{{I}, status="5xx"}}': "0+10x60",
            f'qraft_api_requests_total{{{I}, status="2xx"}}': "0+90x60",
        },
        "0+1x60",
    ),
    "QraftMessagesWaiting": Case({f'qraft_alerts_waiting{{{I}, target="ops"}}': "2x60"}, "0x60"),
    "QraftMessagesLost": Case({f'qraft_alerts_deliveries_total{{{I}, target="ops", outcome="given up"}}': "0+1x60"}, "3x60"),
    "QraftArchiveFailing": Case({f"qraft_archive_failures_total{{{I}}}": "0+1x60"}, "2x60"),
    "QraftArchiveBehind": Case({f"qraft_archive_pending_partitions{{{I}}}": "3x500"}, "2x500", 450),
    "QraftEngineRestarting": Case({f"qraft_engine_start_time_seconds{{{I}}}": "0+60x60"}, "0x20 9x40", 30),
    "QraftEngineWaiting": Case({f'qraft_engine_state{{{I}, state="waiting"}}': "1x60"}, "0x60"),
    "QraftPipelineFailing": Case({f"qraft_pipeline_failures_total{{{I}}}": "0x25 1x20"}, "1x60"),
    "QraftConfigRefused": Case({f"qraft_config_valid{{{I}}}": "0x60"}, "1x60"),
    "QraftLagHigh": Case({f"qraft_lag_seconds{{{I}}}": "11x60"}, "9x60"),
    "QraftSlowToTell": Case(
        {
            f'qraft_pattern_delay_seconds_bucket{{{I}, le="10"}}': "0x60",
            f'qraft_pattern_delay_seconds_bucket{{{I}, le="30"}}': "0+5x60",
            f'qraft_pattern_delay_seconds_bucket{{{I}, le="+Inf"}}': "0+5x60",
        },
        "0+5x60",
    ),
    "QraftDegraded": Case({f"qraft_degradation_level{{{I}}}": "1x60"}, "0x60"),
    "QraftNotJudging": Case({f"qraft_degradation_level{{{I}}}": "2x60"}, "1x60"),
    "QraftStageBusy": Case({f'qraft_stage_seconds_total{{{I}, stage="detect"}}': "0+58x60"}, "0+30x60"),
    "QraftNatsAway": Case({f"qraft_nats_connected{{{I}}}": "0x60"}, "1x60"),
    "QraftClickHouseAway": Case({f"qraft_clickhouse_connected{{{I}}}": "0x60"}, "1x60"),
    "QraftStreamNearlyFull": Case(
        {f"qraft_nats_stream_bytes{{{STREAM}}}": "90x60", f"qraft_nats_stream_limit_bytes{{{STREAM}}}": "100x60"}, "70x60"
    ),
    "QraftDiskNearlyFull": Case(
        {f"qraft_clickhouse_disk_free_bytes{{{DISK}}}": "5x60", f"qraft_clickhouse_disk_size_bytes{{{DISK}}}": "100x60"},
        "50x60",
    ),
    "QraftStoreRepeats": Case({f'qraft_persist_retries_total{{{I}, server="NATS"}}': "0+1x60"}, "7x60"),
    "QraftSourceFailed": Case({f'qraft_source_state{{{S}, state="failed"}}': "1x60"}, "0x60"),
    "QraftSourceRetrying": Case({f'qraft_source_state{{{S}, state="retrying"}}': "1x60"}, "0x60"),
    "QraftSourceStale": Case(
        {
            f"qraft_source_last_arrival_timestamp_seconds{{{S}}}": "0x60",
            f'qraft_source_state{{{S}, state="running"}}': "1x60",
            f'qraft_source_state{{{S}, state="external"}}': "0x60",
        },
        "0+60x60",
    ),
    "QraftDeadLettersRising": Case(
        {
            f'qraft_source_dead_letters_total{{{S}, reason="time"}}': "0+2x60",
            f"qraft_source_read_total{{{S}}}": "0+100x60",
        },
        "0+0.5x60",
    ),
    "QraftEventsDropped": Case({f'qraft_source_dropped_total{{{S}, reason="full"}}': "0+1x60"}, "5x60"),
    "QraftEventsMissing": Case({f"qraft_source_missing_total{{{S}}}": "0+1x60"}, "5x60"),
    "QraftEventsLate": Case(
        {f"qraft_source_late_total{{{S}}}": "0+20x60", f"qraft_source_processed_total{{{S}}}": "0+100x60"}, "0+5x60", 40
    ),
    "QraftEntitiesEvicted": Case({f"qraft_source_entities_evicted_total{{{S}}}": "0+60x200"}, "0+1x200", 150),
    "QraftPatternFlood": Case({f'qraft_patterns_total{{{D}, type="drift"}}': "0+40x60"}, "0+20x60"),
    "QraftNoPatterns": Case(
        {f'qraft_patterns_total{{{D}, type="drift"}}': "4x200", f"qraft_source_processed_total{{{S}}}": "0+100000x200"},
        "0+1x200",
        150,
    ),
    "QraftFalsePositivesHigh": Case(
        {
            f'qraft_verdicts_total{{{D}, verdict="false_positive"}}': "0+1x200",
            f'qraft_verdicts_total{{{D}, verdict="confirmed"}}': "0+0.5x200",
        },
        "0+0.1x200",
        150,
    ),
}


def test_every_alert_has_a_case_here() -> None:
    assert sorted(CASES) == sorted(rule["alert"] for rule in ALERTS)


@promtool
def test_each_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    checks = []
    for name, case in CASES.items():
        first = next(iter(case.fires))
        for series, count in ((case.fires, 1), (case.fires | {first: case.rests}, 0)):
            checks.append(
                {
                    "interval": "1m",
                    "input_series": [{"series": key, "values": values} for key, values in series.items()],
                    "promql_expr_test": [
                        {
                            "expr": f'count by (alertname) (ALERTS{{alertname="{name}", alertstate="firing"}})',
                            "eval_time": f"{case.at}m",
                            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": count}] if count else [],
                        }
                    ],
                }
            )
    shutil.copy(GRAFANA / "alerts.yml", tmp_path)
    tests = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": checks}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_prometheus_takes_the_rules_and_its_configuration() -> None:
    done = subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"],
        cwd=GRAFANA,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_why_and_where_to_read_on(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{str(rule['alert']).lower()}"


@pytest.mark.parametrize("page", OPERATIONS, ids=["en", "zh"])
def test_the_operations_guide_has_a_heading_for_every_alert(page: Path) -> None:
    if not page.exists():
        pytest.skip("the operations guide is not written yet")
    headings = {
        line.lstrip("# ").strip("` ") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")
    }
    assert {rule["alert"] for rule in ALERTS} - headings == set()


def test_rules_ask_for_metrics_that_there_are() -> None:
    there = {spec.name for spec in (*CATALOGUE, *API_METRICS)}
    asked = {name for rule in RULES for name in metrics_in(rule["expr"])}
    assert asked - there == set()
