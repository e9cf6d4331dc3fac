"""What `qraft status` and `qraft sources` say of an engine that is behind, refused an edit, or lost something."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from qraft import cli
from qraft.config import RunInfo, write_run
from qraft.model import EngineStats, Notice, SourceStats
from tests.test_cli_live import prepare, speaking

REASON = "config.toml:3: sources.market.url: is required and missing"
STATS = EngineStats(
    engine="main",
    timestamp="2026-11-22T14:00:00Z",
    state="running",
    level="light",
    lag_seconds=12.0,
    config_error=REASON,
    notices=[
        Notice(timestamp=f"2026-11-22T14:00:0{n}Z", source="market", kind="gap", text=f"gap {n}\x1b") for n in range(7)
    ],
    notice_counts={"gap": 7},
    sources=[
        SourceStats(source="host", state="running"),
        SourceStats(source="market", state="running", dropped=1204, missing=17),
    ],
)


@pytest.fixture
def data_dir(tmp_path: Path, nats_url: str, clickhouse_url: str, database: str) -> Path:
    asyncio.run(prepare(nats_url, clickhouse_url, database))
    info = RunInfo(pids={"engine": os.getpid()}, nats_url=nats_url, clickhouse_url=clickhouse_url, database=database)
    write_run(tmp_path / "data", info)
    return tmp_path / "data"


def run(monkeypatch: pytest.MonkeyPatch, capsys: Any, nats_url: str, stats: EngineStats, *arguments: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["qraft", *arguments])
    with speaking(nats_url, stats):
        status = cli.main()
    output = capsys.readouterr()
    return status, output.out, output.err


def test_status_says_what_gives_way_was_refused_and_is_lost(
    data_dir: Path, nats_url: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(data_dir)
    status, out, err = run(monkeypatch, capsys, nats_url, STATS, "status", "--data-dir", str(data_dir))
    assert status == 1
    assert "  detection:  light: the engine is behind, so novelty, forest and clusters rest\n" in out
    assert f"  refused:    {REASON}; the configuration before stays in force\n" in out
    assert "  market: 1204 dropped, 17 missing from the feed\n" in out
    assert "  notices since it started: gap 7; the latest:\n" in out
    assert [line.split(": ")[-1] for line in out.splitlines() if "  market: gap: " in line] == [
        f"gap {n}\N{REPLACEMENT CHARACTER}" for n in range(2, 7)
    ]
    assert "engine main does not judge in full: level light; engine main refused the configuration" in err
    status, out, _ = run(monkeypatch, capsys, nats_url, STATS, "status", "--json", "--data-dir", str(data_dir))
    engine = json.loads(out)["engines"][0]
    assert (engine["level"], engine["config_error"], len(engine["notices"])) == ("light", REASON, 7)
    assert engine["sources"][1]["dropped"] == 1204


def test_sources_shows_losses_only_where_there_are_any(
    data_dir: Path, nats_url: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(data_dir)
    arguments = ("sources", "--data-dir", str(data_dir))
    status, out, _ = run(monkeypatch, capsys, nats_url, STATS, *arguments)
    assert status == 0
    head, *rows = out.splitlines()
    assert head.split()[-2:] == ["DROPPED", "MISSING"]
    assert [row.split()[-2:] for row in rows if row.startswith(("host", "market"))] == [["-", "-"], ["1204", "17"]]
    _, out, _ = run(monkeypatch, capsys, nats_url, STATS, *arguments, "--json")
    assert {view["source"]: (view["dropped"], view["missing"]) for view in json.loads(out)}["market"] == (1204, 17)
    calm = EngineStats(
        engine="main", timestamp="2026-11-22T14:00:00Z", state="running", sources=[SourceStats(source="host")]
    )
    _, out, _ = run(monkeypatch, capsys, nats_url, calm, *arguments)
    assert "DROPPED" not in out
