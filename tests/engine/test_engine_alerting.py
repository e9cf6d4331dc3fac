"""Alerting over a real NATS, a real ClickHouse and a real receiver: once each, in order, over restarts, whatever is away."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w

from qraft.bus import Bus, BusUnavailable, Publisher, ensure_streams
from qraft.bus.alert_feed import AlertFeed
from qraft.bus.subjects import PATTERNS_STREAM
from qraft.config import ClickHouseAddress, NatsAddress, Settings, parse
from qraft.config.store import StoreSettings
from qraft.engine.alerting import Alerting
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.ingest.base import wall_clock
from qraft.model import Pattern, iso_from_us
from qraft.store import Block, Store, StoredDelivery
from tests.alerts.findings import S, finding, verdict
from tests.alerts.receiver import SECRET, Receiver, receiving

SECONDS = 60.0


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(connected, partitions=2, max_bytes=16 * 1024**2)
    yield connected
    await connected.close()


@pytest.fixture
async def store(clickhouse_url: str, database: str) -> AsyncIterator[Store]:
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as one:
        await one.migrate(StoreSettings())
        yield one


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with receiving() as receiver:
        yield receiver


def configured(hook: Receiver, **rule: Any) -> Settings:
    return parse(
        tomli_w.dumps(
            {
                "alerts": {
                    "targets": {"hook": {"kind": "webhook", "url": hook.url, "secret_env": "HOOK_SECRET"}},
                    "rules": {"r": {"to": ["hook"], **rule}},
                }
            }
        )
    )


class Working:
    """Alerting that runs, and what it runs on."""

    def __init__(self, settings: Settings, bus: Bus, store: Store) -> None:
        self.bus, self.store = bus, store
        self.meters = Meters("test", monotonic=time.monotonic, now_us=wall_clock)
        self.alerting = Alerting(settings, bus, store, Notices(Publisher(bus), self.meters), self.meters)
        self.task = asyncio.create_task(self.alerting.run())

    async def publish(self, *patterns: Pattern) -> None:
        await Publisher(self.bus).patterns(patterns)

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def said(self) -> list[str]:
        return [notice.text for notice in self.meters.notices]

    async def recorded(self, number: int) -> list[StoredDelivery]:
        """So many attempts once they are stored, the oldest first."""
        async with asyncio.timeout(SECONDS):
            while len(found := await self.store.deliveries.recent()) < number:
                await asyncio.sleep(0.05)
        return found[::-1]


@contextlib.asynccontextmanager
async def working(settings: Settings, bus: Bus, store: Store) -> AsyncIterator[Working]:
    one = Working(settings, bus, store)
    try:
        if settings.alerts.live:
            await until(lambda: one.alerting.following, "alerting does not begin")
        yield one
    finally:
        await one.stop()


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def test_a_finding_is_told_signed_recorded_and_counted_once(bus: Bus, store: Store, hook: Receiver) -> None:
    async with working(configured(hook), bus, store) as one:
        await one.publish(finding(1, 0.6), finding(2, 0.95), finding(1, 0.6))
        await until(lambda: len(hook.messages) >= 2, "nothing came")
        attempts = await one.recorded(2)
        assert [m["transition"] for m in hook.messages] == ["open", "severity"]
        assert all(received.signed() for received in hook.received)
        assert [(a.transition, a.outcome, a.status, a.attempt) for a in attempts] == [
            ("open", "delivered", 200, 1),
            ("severity", "delivered", 200, 1),
        ]
        assert [a.notification_id for a in attempts] == [received.identity for received in hook.received]
        assert attempts[0].rule == "r"
        tally = one.meters.tally
        counted = {labels: n for labels, n in tally.values("qraft_alerts_deliveries_total").items() if n}
        assert counted == {("hook", "delivered"): 2}
        assert tally.values("qraft_alerts_messages_total") == {("r", "open"): 1, ("r", "severity"): 1}
        report = await one.alerting.report({})
        assert [(a["rule"], a["severity"], a["patterns"]) for a in report["alerts"]] == [("r", "critical", 2)]


async def test_after_a_restart_it_goes_on_where_it_stopped(bus: Bus, store: Store, hook: Receiver) -> None:
    settings = configured(hook)
    async with working(settings, bus, store) as one:
        await one.publish(finding(1))
        await until(lambda: len(hook.messages) == 1, "nothing came")
    async with working(settings, bus, store) as one:
        await one.publish(finding(2), finding(3, source="web"))
        await until(lambda: len(hook.messages) == 2, "nothing came")
    await Publisher(bus).patterns([finding(4, source="api")])  # while nobody is there
    async with working(settings, bus, store):
        await until(lambda: len(hook.messages) == 3, "nothing came")
    assert [m["top"]["source"] for m in hook.messages] == ["host", "web", "api"]


async def test_what_cannot_be_delivered_is_tried_again_over_a_restart(bus: Bus, store: Store, hook: Receiver) -> None:
    hook.answers = [500, (429, {"Retry-After": "1"}), 200]
    settings = configured(hook)
    async with working(settings, bus, store) as one:
        await one.publish(finding(1))
        await until(lambda: len(hook.received) >= 1, "nothing came")
        await one.recorded(1)
    async with working(settings, bus, store) as one:
        attempts = await one.recorded(3)
    assert [(a.attempt, a.outcome, a.status) for a in attempts] == [
        (1, "failed", 500),
        (2, "failed", 429),
        (3, "delivered", 200),
    ]
    assert len({received.identity for received in hook.received}) == 1
    assert attempts[2].attempted_us - attempts[1].attempted_us >= S


async def test_a_service_of_apprise_is_told_too(bus: Bus, store: Store, hook: Receiver, tmp_path: Path) -> None:
    """Its URL may be put into its file later: what waits is tried again."""
    table: dict[str, Any] = {
        "targets": {"ops": {"url_file": str(tmp_path / "url")}},
        "rules": {"r": {"to": ["ops"]}},
    }
    async with working(parse(tomli_w.dumps({"alerts": table})), bus, store) as one:
        await one.publish(finding(1))
        failed = (await one.recorded(1))[0]
        assert (failed.outcome, failed.attempt) == ("failed", 1)
        assert "cannot be read" in failed.error
        (tmp_path / "url").write_text(f"json://{hook.url.removeprefix('http://')}")
        await until(lambda: len(hook.messages) == 1, "nothing came")
        assert hook.messages[0]["title"] == "[warning] r: drift in host"
        assert [one.outcome for one in await one.recorded(2)] == ["failed", "delivered"]


async def test_what_is_refused_is_not_tried_again_and_operators_are_told(bus: Bus, store: Store, hook: Receiver) -> None:
    hook.answers = [403, 200]
    async with working(configured(hook), bus, store) as one:
        await one.publish(finding(1), finding(2, 0.95))
        attempts = await one.recorded(2)
        assert [(a.transition, a.outcome) for a in attempts] == [("open", "refused"), ("severity", "delivered")]
        assert any("403" in text and "refused" in text for text in one.said())


async def test_what_fails_too_long_is_given_up(bus: Bus, store: Store, hook: Receiver) -> None:
    hook.answers = [503]
    settings = configured(hook)
    settings = settings.model_copy(update={"alerts": settings.alerts.model_copy(update={"retry_for": "1s"})})
    async with working(settings, bus, store) as one:
        await one.publish(finding(1))
        attempts = await one.recorded(1)
        assert [(a.outcome, a.status) for a in attempts] == [("given up", 503)]
        await until(lambda: any("given up" in text for text in one.said()), "nobody is told")


async def test_a_slow_target_holds_up_no_other(bus: Bus, store: Store, hook: Receiver) -> None:
    with receiving() as slow:
        slow.hold.clear()
        table: dict[str, Any] = {
            "targets": {name: {"kind": "webhook", "url": one.url} for name, one in (("hook", hook), ("slow", slow))},
            "rules": {"r": {"to": ["slow", "hook"]}},
        }
        async with working(parse(tomli_w.dumps({"alerts": table})), bus, store) as one:
            await one.publish(*(finding(n, source=f"s{n}") for n in range(5)))
            await until(lambda: len(hook.messages) == 5, "the slow one holds up the other")
            assert slow.received == []
            slow.hold.set()
            await until(lambda: len(slow.messages) == 5, "the slow one gets nothing")
    assert [r.identity for r in slow.received] == [r.identity for r in hook.received]


async def test_a_verdict_closes_whether_it_was_heard_or_is_stored(bus: Bus, store: Store, hook: Receiver) -> None:
    async with working(configured(hook), bus, store) as one:
        await one.publish(finding(1))
        await until(lambda: len(hook.messages) == 1, "nothing came")
        await bus.send_feedback(verdict(1, "expected", identity="heard"))
        await until(lambda: len(hook.messages) == 2, "the verdict is not heard")
        await one.publish(finding(2, source="web"))
        await until(lambda: len(hook.messages) == 3, "nothing came")
    said = verdict(2, "false_positive", identity="stored", user="bob")
    said = msgspec.structs.replace(said, timestamp=iso_from_us(wall_clock()), source="web")
    await store.write(Block("stream:0:1-1", wall_clock(), feedback=[said]))
    async with working(configured(hook), bus, store):
        await until(lambda: len(hook.messages) == 4, "what is stored is not looked at")
    assert [m["transition"] for m in hook.messages] == ["open", "close", "open", "close"]
    assert hook.messages[3]["reason"] == "bob called it false positive"


async def test_rules_come_and_go_while_it_runs(bus: Bus, store: Store, hook: Receiver) -> None:
    without = Settings()
    async with working(without, bus, store) as one:
        await one.publish(finding(1))
        one.alerting.configure(configured(hook, source=["web"]))
        await until(lambda: one.alerting.following, "the rule is not taken up")
        await one.publish(finding(2), finding(3, source="web"))
        await until(lambda: len(hook.messages) == 1, "nothing came")
        one.alerting.configure(configured(hook, source=["web", "api"]))
        await one.publish(finding(4, source="api"))
        await until(lambda: len(hook.messages) == 2, "the new rule is not in force")
        gone = configured(hook)
        gone = gone.model_copy(update={"alerts": gone.alerts.model_copy(update={"rules": {}})})
        one.alerting.configure(gone)
        await until(lambda: len(hook.messages) == 4, "what was open is not closed")
        await until(lambda: not one.alerting.following, "it goes on without rules")
    assert [(m["transition"], m["top"]["source"]) for m in hook.messages] == [
        *(("open", "web"), ("open", "api")),
        *(("close", "web"), ("close", "api")),
    ]
    assert await AlertFeed(bus).load() is None
    assert await bus.jetstream().consumers_info(PATTERNS_STREAM) == []


async def test_nothing_is_sent_before_it_is_kept(
    bus: Bus, store: Store, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that cannot be kept holds messages back, and a restart loses none."""

    async def away(*_: object) -> None:
        raise BusUnavailable("away")

    async with working(configured(hook), bus, store) as one:
        with monkeypatch.context() as patched:
            patched.setattr(AlertFeed, "save", away)
            await one.publish(finding(1))
            await until(lambda: len(list(one.alerting.open_alerts)) == 1, "the finding is not seen")
            await one.stop()
        assert hook.received == []
    async with working(configured(hook), bus, store):
        await until(lambda: len(hook.messages) == 1, "the finding is lost")


def test_without_rules_neither_apprise_nor_the_senders_are_loaded() -> None:
    program = (
        "import sys, qraft.engine.engine\n"
        "print([m for m in ('apprise', 'qraft.alerts.services', 'qraft.alerts.webhook') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
