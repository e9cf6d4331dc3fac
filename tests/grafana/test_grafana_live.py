"""A real Prometheus reads a real engine: every query of the dashboards and every rule has something to say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import httpx
import pytest
import yaml

from qraft.bus import Bus, Publisher
from qraft.config import NatsAddress, read_run
from qraft.embedded.process import free_port
from qraft.model import Event, Feedback
from tests.e2e.harness import EngineProcess, count, until, write_rows
from tests.grafana.expressions import compared, queries, sql_of, without_variables

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus (Debian package) is not installed")

GRAFANA = Path(__file__).parents[2] / "grafana"
ROWS, LATE, BROKEN = 3500, 5, 4
WINDOW = "5m"


class Prometheus:
    """A server of the test's own, with the checked-in rules, that reads every second."""

    def __init__(self, folder: Path, engine: str, api: str) -> None:
        config = yaml.safe_load((GRAFANA / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(GRAFANA / "alerts.yml")]
        targets = {"qraft-engine": engine, "qraft-api": api}
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}/api/v1"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={address}",
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an expression now; none while the server starts."""
        try:
            answer = httpx.post(f"{self.url}/query", data={"query": expr}, timeout=30)
        except httpx.TransportError:
            return []
        assert answer.status_code == 200, f"{expr}: {answer.text}"
        return list(answer.json()["data"]["result"])

    def rules(self) -> list[dict[str, Any]]:
        groups = httpx.get(f"{self.url}/rules", timeout=30).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    write_rows(path, ROWS, seed=1)
    with path.open("a", encoding="utf-8") as out:
        out.writelines(f"{1_600_000_000 + n},1,2,3\n" for n in range(LATE))
        out.writelines(f"no time {n},1,2,3\n" for n in range(BROKEN))
    return path


@asynccontextmanager
async def running(rows: Path, nats_url: str, clickhouse_url: str, database: str) -> AsyncIterator[EngineProcess]:
    engine = EngineProcess(
        rows.parent / "engine",
        {
            "engine": {"barrier_seconds": 0.5},
            "nats": {"url": nats_url, "max_bytes": "256 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
            "sources": {
                "rows": {"adapter": "file", "path": str(rows), "mode": "replay", "time": "t"},
                "pushed": {"adapter": "external"},
            },
            "store": {"archive": {"url": str(rows.parent / "archive")}},
            "alerts": {
                "targets": {"ops": {"kind": "webhook", "url": f"http://127.0.0.1:{free_port()}"}},  # nobody answers there
                "rules": {"all": {"to": ["ops"]}},
            },
        },
    )
    engine.start()
    try:
        await until(lambda: read_run(engine.data_dir) is not None, 60, "the engine starts: " + engine.said())
        await until(lambda: count(clickhouse_url, database, "raw_events") >= ROWS + LATE, 60, "all rows: " + engine.said())
        yield engine
        assert engine.stop() == 0, engine.said()
    finally:
        if engine.alive():
            engine.kill()


async def push_twice(bus: Bus) -> None:
    """An event of a source that others feed, and its repeat."""
    event = Event(event_id="once", source="pushed", type="row", timestamp="2026-11-22T10:00:00Z", payload={"a": 1.0})
    for number in range(2):  # the bus itself knows a repeated message: two that differ, with the same event
        other = Event(event_id=f"other {number}", source="pushed", type="row", timestamp=event.timestamp, payload={"a": 2.0})
        await Publisher(bus).events("pushed", [event, other])


async def judge(bus: Bus, patterns: list[tuple[str, str, str]]) -> None:
    """The first two patterns confirmed, the third a false positive."""
    for number, (pattern, source, detector) in enumerate(patterns):
        await bus.send_feedback(
            Feedback(
                feedback_id=f"f-{number}",
                pattern_id=pattern,
                verdict="confirmed" if number < 2 else "false_positive",
                timestamp="2026-11-22T10:00:00Z",
                source=source,
                detector=detector,
            )
        )


async def test_every_query_and_every_rule_has_an_answer(
    rows: Path, nats_url: str, clickhouse_url: str, database: str, tmp_path: Path
) -> None:
    async with running(rows, nats_url, clickhouse_url, database) as engine:
        run = read_run(engine.data_dir)
        assert run is not None
        address = f"127.0.0.1:{free_port()}"
        api = serve(engine, address)
        prometheus = Prometheus(tmp_path / "prometheus", urlsplit(run.metrics_url).netloc, address)
        try:
            await until(lambda: reads(f"http://{address}/api/sources"), 60, "the REST server answers")
            bus = await Bus.connect(NatsAddress(nats_url), name="test")
            await push_twice(bus)
            engine.config.write_text(engine.config.read_text() + "\n[egnine]\n")
            await until(lambda: count(clickhouse_url, database, "pattern_events") > 2, 30, "patterns are stored")
            await until(lambda: bool(prometheus.ask("qraft_verdicts_total")), 30, "Prometheus has read the engine")
            with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
                found = client.query(
                    f"SELECT pattern_id, source, detector FROM {database}.pattern_events LIMIT 3"
                ).result_rows
            await judge(bus, [(str(one[0]), str(one[1]), str(one[2])) for one in found])
            await bus.close()
            await until(
                lambda: all(prometheus.ask(expr) for expr in settled()), 60, f"Prometheus has seen it all: {engine.said()}"
            )
            asked = [query for query in queries() if not query.sql]
            mute = [
                f"{query}: {query.text}"
                for query in asked
                if not prometheus.ask(without_variables(query.text, window=WINDOW))
            ]
            assert mute == []
            rules = prometheus.rules()
            assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
            assert [rule["name"] for rule in rules if not prometheus.ask(compared(rule["query"]))] == []
            await until(lambda: count(clickhouse_url, database, "pattern_feedback") == 3, 30, "verdicts are stored")
            assert [
                str(query) for query in queries() if query.sql and not rows_of(clickhouse_url, database, query.text)
            ] == []
        finally:
            prometheus.stop()
            api.terminate()
            api.wait(30)


def serve(engine: EngineProcess, address: str) -> subprocess.Popen[bytes]:
    """The engine's REST server."""
    host, port = address.split(":")
    command = [sys.executable, "-m", "qraft.cli", "api", "--config", str(engine.config), "--data-dir", str(engine.data_dir)]
    with (engine.folder / "api.log").open("wb") as log:
        return subprocess.Popen([*command, "--host", host, "--port", port], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def reads(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def settled() -> list[str]:
    """What must have an answer before everything has."""
    return [
        'increase(qraft_verdicts_total{verdict="confirmed"}[5m]) > 0',
        'increase(qraft_verdicts_total{verdict="false_positive"}[5m]) > 0',
        "qraft_source_duplicates_total > 0",
        "qraft_clickhouse_table_bytes",
        "qraft_config_valid == 0",
        'ALERTS{alertname="QraftConfigRefused", alertstate="pending"}',
        'count_over_time(qraft_notices_total{kind="config"}[5m]) > 1',
        "instance_source_detector:qraft_verdicts_judged:increase7d > 0",
        "instance_stage:qraft_stage_seconds:rate5m",
        "qraft_alerts_deliveries_total",
        "qraft_archive_pending_partitions",
        "qraft_api_requests_total",
        'up{job="qraft-api"} == 1',
    ]


def rows_of(url: str, database: str, sql: str) -> list[Any]:
    """What a panel's SQL gives, over all time: the rows' own time is of 2023."""
    begin, end = datetime(2023, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        return list(client.query(sql_of(sql, database=database, begin=begin, end=end)).result_rows)
