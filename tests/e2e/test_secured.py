"""The whole of Qraft over a NATS and a ClickHouse that want TLS and a login, by configuration alone."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from qraft.config import read_run
from tests.e2e.harness import EngineProcess, count, until, write_rows
from tests.secured import Authority, Operator, behind_tls, nats_server

ROWS = 6000
PASSWORD = "n0-file-holds-this"


@dataclass
class Secured:
    """An engine's configuration over secured servers, and what it takes to break it."""

    folder: Path
    authority: Authority
    config: dict[str, Any]
    plain_clickhouse: str
    database: str

    def engine(self) -> EngineProcess:
        return EngineProcess(self.folder / "engine", self.config)


@pytest.fixture
async def secured(
    tmp_path: Path, clickhouse_url: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Secured]:
    monkeypatch.setenv("QRAFT_TEST_PASSWORD", PASSWORD)
    folder = tmp_path / "engine"
    authority, operator = Authority(folder / "tls"), Operator()
    pem, client = authority.issue("server"), authority.issue("client", "engine@qraft", days=5)
    operator.credentials(folder / "qraft.creds")
    tls = f'tls {{ cert_file: "{pem}", key_file: "{pem}", ca_file: "{authority.file}", verify: true, timeout: 5 }}'
    write_rows(tmp_path / "rows.csv", ROWS, seed=3)
    async with (
        nats_server(tmp_path / "nats", f"{operator.config}\n{tls}") as nats,
        behind_tls(clickhouse_url, pem, clients=authority.file, login=("operator", PASSWORD)) as port,
    ):
        config = {
            "engine": {"partitions": 2, "barrier_seconds": 0.5},
            "nats": {
                "url": nats.url.replace("nats://", "tls://"),
                "max_bytes": "64 MiB",
                "credentials_file": "qraft.creds",
                "tls_ca_file": "tls/ca.pem",
                "tls_cert_file": f"tls/{client.name}",
            },
            "clickhouse": {
                "url": f"https://127.0.0.1:{port}",
                "database": database,
                "user": "operator",
                "password_env": "QRAFT_TEST_PASSWORD",
                "ca_file": "tls/ca.pem",
                "cert_file": f"tls/{client.name}",
            },
            "sources": {"rows": {"adapter": "file", "path": str(tmp_path / "rows.csv"), "time": "t"}},
        }
        yield Secured(tmp_path, authority, config, clickhouse_url, database)


def qraft(made: EngineProcess, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qraft.cli", *arguments]
    where = ["--config", str(made.config), "--data-dir", str(made.data_dir)]
    kept = {key: value for key, value in os.environ.items() if environment.get(key) != ""}
    return subprocess.run(
        [*command, *where], capture_output=True, text=True, timeout=90, env={**kept, **environment}, check=False
    )


async def test_engine_commands_and_rest_over_tls_with_logins(secured: Secured) -> None:
    made = secured.engine()
    made.start()
    api: subprocess.Popen[bytes] | None = None
    try:
        url, database = secured.plain_clickhouse, secured.database
        await until(lambda: count(url, database, "clean_events") >= ROWS, 90, made.said())
        await until(lambda: count(url, database, "pattern_events") > 0, 30, made.said())

        status = await asyncio.to_thread(qraft, made, "status", "--json")
        assert status.returncode == 0, status.stdout + status.stderr
        assert json.loads(status.stdout)["engines"][0]["state"] == "running"
        patterns = await asyncio.to_thread(qraft, made, "patterns", "--json")
        assert '"source":"rows"' in patterns.stdout.replace(" ", ""), patterns.stderr
        sent = await asyncio.to_thread(_send, made)
        assert sent.returncode == 0, sent.stderr
        doctor = await asyncio.to_thread(qraft, made, "doctor")
        assert "ok    NATS: tls://" in doctor.stdout
        assert "ok    ClickHouse: https://" in doctor.stdout
        assert "ok    NATS server certificate: valid for 8" in doctor.stdout
        assert "warn  NATS client certificate" in doctor.stdout
        assert "valid for 4 days more" in doctor.stdout

        api = await asyncio.to_thread(_rest, made)
        await until(lambda: bool((run := read_run(made.data_dir)) and run.api_url), 60, "no REST interface")
        run = read_run(made.data_dir)
        assert run is not None
        async with httpx.AsyncClient(base_url=run.api_url, timeout=30, trust_env=False) as client:
            async with asyncio.timeout(60):
                while (await client.get("/readyz")).status_code != httpx.codes.OK:
                    await asyncio.sleep(0.1)
            assert (await client.get("/api/patterns")).json()["patterns"]
    finally:
        if api is not None:
            api.terminate()
            api.wait(30)
        assert made.stop() == 0
    told = made.said() + (made.folder / "api.log").read_text(encoding="utf-8", errors="replace")
    kept = "".join(path.read_text(errors="replace") for path in made.data_dir.rglob("*") if path.is_file())
    for text in (told, kept, status.stdout, doctor.stdout):
        assert PASSWORD not in text
        assert "NKEY SEED" not in text


def _rest(made: EngineProcess) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "qraft.cli", "api", "--port", "0", "--config", str(made.config)]
    with (made.folder / "api.log").open("wb") as log:
        return subprocess.Popen([*command, "--data-dir", str(made.data_dir)], stdout=log, stderr=log)


def _send(made: EngineProcess) -> subprocess.CompletedProcess[str]:
    """Lines by `qraft ingest`, from an account that knows nothing of the database."""
    rows = made.folder / "more.ndjson"
    rows.write_text('{"v": 1}\n{"v": 2}\n', encoding="utf-8")
    return qraft(made, "ingest", "--source", "more", str(rows), QRAFT_TEST_PASSWORD="")


@pytest.mark.parametrize(
    ("section", "change", "told"),
    [
        ("clickhouse", {"password_env": "QRAFT_TEST_UNSET"}, "the environment variable QRAFT_TEST_UNSET is not set"),
        ("clickhouse", {"user": "nobody"}, "refuses the user nobody; check clickhouse.user and clickhouse.password_env"),
        ("clickhouse", {"ca_file": ""}, "set clickhouse.ca_file to the certificate of the authority"),
        ("nats", {"credentials_file": "other.creds"}, "check nats.credentials_file"),
        ("nats", {"tls_cert_file": ""}, "set nats.tls_cert_file and nats.tls_key_file"),
    ],
)
async def test_an_engine_that_is_not_let_in_says_so_and_ends(
    secured: Secured, section: str, change: dict[str, str], told: str
) -> None:
    Operator().credentials(secured.folder / "engine" / "other.creds")
    secured.config[section] |= change
    made = secured.engine()
    done = await asyncio.to_thread(qraft, made, "engine")
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stderr
