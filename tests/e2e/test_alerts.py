"""Alerts of a real engine: killed at any instant it tells everything at least once; rules edited live; the commands."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from qraft.bus import Bus, BusError, Publisher
from qraft.config import NatsAddress
from qraft.model import derive_id
from tests.alerts.findings import finding
from tests.alerts.receiver import SECRET, Receiver, receiving
from tests.e2e.harness import EngineProcess, until, write_rows

ALERTS = 30
KILLS = 2


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with receiving() as receiver:
        yield receiver


class Alerting:
    """An engine with alerts, the file it follows, and its commands."""

    def __init__(self, folder: Path, nats_url: str, clickhouse_url: str, database: str) -> None:
        self.table: dict[str, Any] = {
            "engine": {"barrier_seconds": 0.3, "partitions": 2},
            "nats": {"url": nats_url, "max_bytes": "64 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
        }
        self.nats_url = nats_url
        self.engine = EngineProcess(folder, self.table)

    def put(self, hook: Receiver, **rule: Any) -> None:
        target = {"kind": "webhook", "url": hook.url, "secret_env": "HOOK_SECRET"}
        self.table["alerts"] = {"targets": {"hook": target}, "rules": {"r": {"to": ["hook"], **rule}}}
        draft = self.engine.config.with_suffix(".new")
        draft.write_text(tomli_w.dumps(self.table))
        draft.replace(self.engine.config)

    async def following(self) -> None:
        """Returns once the engine follows findings."""
        async with asyncio.timeout(90):
            bus = await Bus.connect(NatsAddress(self.nats_url), name="test")
            try:
                while True:
                    try:
                        if (await bus.request("alerts", timeout=1))["following"]:
                            return
                    except BusError:
                        pass
                    await asyncio.sleep(0.1)
            finally:
                await bus.close()

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = ["--config", str(self.engine.config), "--data-dir", str(self.engine.data_dir)]
        command = [sys.executable, "-m", "qraft.cli", *arguments, *options]
        return await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=False, env={**os.environ}
        )


async def test_killed_at_any_instant_it_tells_everything_at_least_once(
    tmp_path: Path, nats_url: str, clickhouse_url: str, database: str, hook: Receiver
) -> None:
    draw = random.Random(11)
    one = Alerting(tmp_path, nats_url, clickhouse_url, database)
    one.put(hook, close_after="3s", at_most="")
    hook.answers = [*[200] * 5, 500, *[200] * 30, 503, 200]
    one.engine.start()
    try:
        await one.following()
        bus = await Bus.connect(NatsAddress(nats_url), name="test")
        for round_ in range(KILLS):
            before = len(hook.received)
            await Publisher(bus).patterns([finding(n, 0.8, source=f"s{n}") for n in range(round_, ALERTS, KILLS)])
            some = before + draw.randint(1, 8)
            await until(lambda least=some: len(hook.received) >= least, 90, "nothing more is told")  # type: ignore[misc]
            one.engine.kill()
            one.engine.start()
        await bus.close()

        def closed() -> set[str]:
            return {m["alert_id"] for m in hook.messages if m["transition"] == "close"}

        await until(lambda: len(closed()) == ALERTS, 120, f"all are closed: {len(closed())}\n{one.engine.said()[-2000:]}")
    finally:
        one.engine.stop()
    expected = {derive_id("alert", "r", f"pattern-{n}") for n in range(ALERTS)}
    for transition in ("open", "close"):
        told = {(m["alert_id"], m["notification_id"]) for m in hook.messages if m["transition"] == transition}
        assert told == {(alert, derive_id("notification", "r", alert, transition, "")) for alert in expected}
    assert {m["transition"] for m in hook.messages} == {"open", "close"}
    assert all(received.signed() and received.identity == received.message["notification_id"] for received in hook.received)
    first = {alert: next(m["transition"] for m in hook.messages if m["alert_id"] == alert) for alert in expected}
    assert set(first.values()) == {"open"}


async def test_a_rule_that_is_edited_in_is_told_of_what_is_found_and_the_commands_show_it(
    tmp_path: Path, nats_url: str, clickhouse_url: str, database: str, hook: Receiver
) -> None:
    one = Alerting(tmp_path, nats_url, clickhouse_url, database)
    rows = tmp_path / "rows.csv"
    one.engine.start()
    try:
        bus = await Bus.connect(NatsAddress(nats_url), name="test")
        async with asyncio.timeout(90):
            while True:
                try:
                    await bus.request("status", timeout=1)
                    break
                except BusError:
                    await asyncio.sleep(0.1)
        await bus.close()
        write_rows(rows, 8000, seed=3)
        one.put(hook, group=[], source=["rows"])
        await one.following()
        one.table["sources"] = {"rows": {"adapter": "file", "path": str(rows), "mode": "replay", "time": "t"}}
        one.put(hook, group=[], source=["rows"])
        await until(lambda: len(hook.received) > 0, 90, f"nothing is told: {one.engine.said()[-2000:]}")
        assert hook.messages[0]["transition"] == "open"
        assert hook.messages[0]["top"]["source"] == "rows"
        assert hook.received[0].signed()

        listed: dict[str, Any] = {}

        async def ask() -> bool:
            listed.update(json.loads((await one.run("alerts", "list", "--json")).stdout))
            return bool(listed["deliveries"])

        async with asyncio.timeout(90):
            while not await ask():
                await asyncio.sleep(0.2)
        assert [alert["rule"] for alert in listed["alerts"]] == ["r"]
        assert listed["deliveries"][-1]["outcome"] == "delivered"
        shown = (await one.run("alerts", "list")).stdout
        assert "OPENED" in shown
        assert "delivered" in shown

        replayed = await one.run("alerts", "replay", "--since", "1h")
        assert replayed.returncode == 0, replayed.stderr
        assert "open      hook  [" in replayed.stdout
        assert replayed.stdout.splitlines()[-1].endswith(f": r {len(replayed.stdout.splitlines()) - 1}")

        tried = await one.run("alerts", "test", "hook")
        assert (tried.returncode, tried.stdout) == (0, "hook: ok\n"), tried.stderr
        assert "test" in {message["transition"] for message in hook.messages}
        hook.answers = [401]
        refused = await one.run("alerts", "test")
        assert (refused.returncode, refused.stdout) == (1, "hook: not delivered: it answered 401 Unauthorized\n")
        metrics = one.engine.metrics()
        assert metrics['qraft_alerts_deliveries_total{outcome="delivered",target="hook"}'] >= 1
        assert metrics['qraft_alerts_open{rule="r"}'] == 1
        assert SECRET not in one.engine.said()
    finally:
        one.engine.stop()
