"""What waits for which target: order, retries, giving up."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, strategies as st

from qraft.alerts import Outbox, Outcome, Rules, outbox as module
from qraft.alerts.outbox import OutboxState
from tests.alerts.findings import HOUR, START, S, finding, settings

FAILED = Outcome(ok=False, status=500, error="no")


def filled(targets: str = "ops", number: int = 1) -> Outbox:
    rules, outbox = Rules(settings()), Outbox()
    for n in range(number):
        messages = rules.step(finding(n, source=f"s{n}"), START)
        outbox.add([msgspec.structs.replace(one, to=targets.split(",")) for one in messages], START)
    return outbox


def test_each_target_has_a_line_of_its_own_in_order() -> None:
    outbox = filled("ops,boss", 3)
    assert outbox.targets() == ["ops", "boss"]
    assert [outbox.waiting(name) for name in outbox.targets()] == [3, 3]
    head = outbox.head("ops")
    assert head is not None
    outbox.done(head, Outcome(ok=True, status=204), START, "24h", 0.5)
    assert [outbox.waiting(name) for name in outbox.targets()] == [3, 2]
    second = outbox.head("ops")
    assert second is not None
    assert second.serial > head.serial
    assert second.notification != head.notification


@given(st.lists(st.floats(0, 0.999), min_size=1, max_size=40))
def test_waiting_grows_to_ten_minutes_and_ends_in_time(draws: list[float]) -> None:
    outbox, now = filled(), START
    for attempt, draw in enumerate(draws, 1):
        head = outbox.head("ops")
        if head is None:
            break
        before = now
        made = outbox.done(head, FAILED, now, "1h", draw)
        assert made.attempt == attempt
        if made.outcome == "given up":
            assert outbox.head("ops") is None
            assert head.next_us > START + HOUR
            break
        assert made.outcome == "failed"
        wait = min(2 * S * 2 ** (attempt - 1), 600 * S)
        assert wait / 2 <= head.next_us - before <= wait
        now = head.next_us
        assert now <= START + HOUR


def test_what_the_target_asks_for_is_kept() -> None:
    outbox = filled()
    head = outbox.head("ops")
    assert head is not None
    outbox.done(head, Outcome(ok=False, status=429, retry_after=90), START, "24h", 0.0)
    assert head.next_us == START + 90 * S
    given_up = outbox.done(head, Outcome(ok=False, status=429, retry_after=7200), START, "1h", 0.0)
    assert given_up.outcome == "given up"


def test_a_refusal_is_final() -> None:
    outbox = filled(number=2)
    head = outbox.head("ops")
    assert head is not None
    refused = Outcome(ok=False, status=404, error="gone", retry=False)
    assert outbox.done(head, refused, START, "24h", 0.0).outcome == "refused"
    assert outbox.waiting("ops") == 1


def test_too_many_that_wait_give_way_and_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    rules, outbox, records = Rules(settings('at_most = ""')), Outbox(), []
    for n in range(5):
        records += outbox.add(rules.step(finding(n, source=f"s{n}"), START), START)
    assert [one.outcome for one in records] == ["given up"] * 2
    assert [one.notification.top.source for one in outbox.state.waiting if one.notification.top] == ["s0", "s3", "s4"]


def test_it_goes_on_after_a_restart() -> None:
    outbox = filled("ops,boss", 2)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(outbox.state), type=OutboxState)
    assert kept == outbox.state
    assert Outbox(kept).targets() == ["ops", "boss"]
