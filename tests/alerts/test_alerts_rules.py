"""The rules as a state machine: what is told, when, and once."""

from __future__ import annotations

import msgspec
import pytest

from qraft.alerts import Notification, Rules, RulesState, rules as machine
from qraft.config import parse
from qraft.model import Scope, iso_from_us
from tests.alerts.findings import HOUR, MINUTE, START, S, finding, settings, verdict


def told(messages: list[Notification]) -> list[tuple[str, str]]:
    return [(message.transition, message.severity) for message in messages]


def again(rules: Rules, rule: str = "", more: str = "") -> Rules:
    """After a restart."""
    kept = msgspec.msgpack.encode(rules.state())
    return Rules(settings(rule, more), msgspec.msgpack.decode(kept, type=RulesState))


def test_an_alert_opens_once_rises_and_closes() -> None:
    rules = Rules(settings())
    opened = rules.step(finding(1, 0.6), START)
    assert told(opened) == [("open", "info")]
    assert opened[0].to == ["ops"]
    assert opened[0].group == {"source": "host", "entity": "", "type": "drift", "detector": "drift"}
    assert rules.step(finding(1, 0.6), START + S) == []
    assert rules.step(finding(2, 0.6), START + S) == []
    assert told(rules.step(finding(3, 0.8), START + 2 * S)) == [("severity", "warning")]
    assert rules.step(finding(4, 0.7), START + 3 * S) == []
    rose = rules.step(finding(5, 0.95), START + 4 * S)
    assert told(rose) == [("severity", "critical")]
    assert (rose[0].patterns, rose[0].top) == (5, finding(5, 0.95))
    assert rules.step(None, START + 4 * S + 5 * MINUTE) == []
    closed = rules.step(None, START + 4 * S + 5 * MINUTE + 1)
    assert told(closed) == [("close", "critical")]
    assert closed[0].reason == "nothing more was found"
    assert {one.alert_id for one in (*opened, *rose, *closed)} == {opened[0].alert_id}
    assert rules.step(None, START + HOUR) == []
    assert rules.step(finding(5, 0.95), START + HOUR) == []
    assert told(rules.step(finding(6, 0.6), START + HOUR)) == [("open", "info")]


def test_a_gap_closes_the_alert_before_the_next_opens() -> None:
    rules = Rules(settings())
    first = rules.step(finding(1), START)
    second = rules.step(finding(2), START + 6 * MINUTE)
    assert told(second) == [("close", "warning"), ("open", "warning")]
    assert second[0].alert_id == first[0].alert_id != second[1].alert_id


def test_ids_follow_from_rule_alert_and_transition() -> None:
    def run() -> list[str]:
        rules = Rules(settings())
        messages = [*rules.step(finding(1, 0.6), START), *rules.step(finding(2, 0.95), START + S)]
        return [one.notification_id for one in [*messages, *rules.step(None, START + HOUR)]]

    ids = run()
    assert len(set(ids)) == 3
    assert run() == ids
    other = Rules(settings(more='[alerts.rules.other]\nto = ["boss"]')).step(finding(1, 0.6), START)
    assert len({one.notification_id for one in other}) == 2


def test_conditions_must_all_hold() -> None:
    rules = Rules(settings('type = ["drift"]\nsource = ["ho*"]\nmin_confidence = 0.7\nmatch = "!entity:test* field:cpu"'))
    assert rules.step(finding(1, 0.6), START) == []
    assert rules.step(finding(2, kind="anomaly"), START) == []
    assert rules.step(finding(3, source="web"), START) == []
    assert rules.step(finding(4, entity="test-3"), START) == []
    assert told(rules.step(finding(5, entity="db"), START)) == [("open", "warning")]


def test_only_what_lasts_is_told() -> None:
    rules = Rules(settings('lasts = "30s"'))
    assert rules.step(finding(1, time_us=START), START) == []
    assert rules.step(finding(2, time_us=START + 29 * S), START + 29 * S) == []
    assert rules.step(finding(3, source="web", time_us=START + 40 * S), START + 30 * S) == []
    assert told(rules.step(finding(4, time_us=START + 30 * S), START + 30 * S)) == [("open", "warning")]
    assert told(rules.step(None, START + HOUR)) == [("close", "warning")]  # of the other nothing was ever told


def test_a_change_that_began_before_it_was_found_has_lasted_since_then() -> None:
    rules = Rules(settings('lasts = "30s"'))
    assert told(rules.step(finding(1, time_us=START, began_us=START - 40 * S), START)) == [("open", "warning")]


@pytest.mark.parametrize(("group", "alerts"), [('["source"]', 2), ('["type"]', 1), ("[]", 1), ('["source", "entity"]', 3)])
def test_findings_that_share_the_group_are_one_alert(group: str, alerts: int) -> None:
    rules = Rules(settings(f"group = {group}"))
    messages = [
        message
        for n, (source, entity) in enumerate([("host", ""), ("web", "a"), ("web", "b"), ("web", "a")])
        for message in rules.step(finding(n, source=source, entity=entity), START + n)
    ]
    assert len(messages) == alerts
    closed = rules.step(None, START + HOUR)
    assert sum(one.patterns for one in closed) == 4
    assert sum(one.episodes for one in closed) == 3


def test_what_is_held_back_by_the_limit_follows_in_one_message() -> None:
    rules = Rules(settings('at_most = "2/m"'))
    messages = [one for n in range(5) for one in rules.step(finding(n, source=f"s{n}"), START + n * S)]
    assert told(messages) == [("open", "warning")] * 2
    assert rules.held() == {"r": 3}
    assert rules.step(None, START + MINUTE - 1) == []
    later = rules.step(None, START + MINUTE)
    assert told(later) == [("digest", "warning")]
    assert later[0].held_count == 3
    assert [line.where for line in later[0].held] == ["s2", "s3", "s4"]
    assert all(line.transitions == ["open"] for line in later[0].held)
    assert rules.held() == {"r": 0}
    assert rules.step(finding(9, source="s2"), START + MINUTE + S) == []  # it was told in the digest


def test_one_alert_alone_that_was_held_back_is_told_as_it_is() -> None:
    rules = Rules(settings('at_most = "1/m"'))
    rules.step(finding(1, source="a"), START)
    assert rules.step(finding(2, source="b"), START + S) == []
    assert told(rules.step(None, START + MINUTE)) == [("open", "warning")]


def test_quiet_hours_hold_back_all_but_what_passes() -> None:
    rules = Rules(settings('quiet = ["00:00-06:00"]'))
    assert rules.step(finding(1, source="a"), START) == []
    assert rules.step(finding(2, source="b"), START) == []
    assert told(rules.step(finding(3, 0.95, source="c"), START)) == [("open", "critical")]
    assert told(rules.step(finding(4, 0.95, source="a"), START + S)) == [("open", "critical")]  # it got worse: no more held
    assert rules.step(None, START + 10 * MINUTE)[0].transition == "close"
    assert rules.step(None, START + 6 * HOUR - 1) == []
    rules.step(finding(5, source="d"), START + 6 * HOUR - 1)
    morning = rules.step(None, START + 6 * HOUR)
    assert told(morning) == [("digest", "warning")]
    assert [(line.where, line.transitions) for line in morning[0].held] == [("b", ["open", "close"]), ("d", ["open"])]


def test_quiet_hours_may_let_nothing_through() -> None:
    rules = Rules(settings('quiet = ["00:00-06:00"]\nquiet_passes = "none"'))
    assert rules.step(finding(1, 0.99), START) == []
    assert told(rules.step(None, START + 7 * HOUR)) == [("digest", "critical")]


def test_a_close_in_quiet_hours_waits_too() -> None:
    rules = Rules(settings('quiet = ["06:00-07:00"]'))
    assert told(rules.step(finding(1), START + 6 * HOUR - MINUTE)) == [("open", "warning")]
    assert rules.step(None, START + 6 * HOUR + 10 * MINUTE) == []
    assert told(rules.step(None, START + 7 * HOUR)) == [("digest", "warning")]


@pytest.mark.parametrize("word", ["false_positive", "expected"])
def test_a_verdict_may_close_it_until_its_findings_stop(word: str) -> None:
    rules = Rules(settings())
    rules.step(finding(1), START)
    rules.step(finding(2), START + S)
    closed = rules.step(verdict(2, word), START + 2 * S)  # type: ignore[arg-type]
    assert told(closed) == [("close", "warning")]
    assert closed[0].reason == f"ann called it {word.replace('_', ' ')}"
    assert rules.step(verdict(2, word), START + 2 * S) == []  # type: ignore[arg-type]
    assert rules.step(finding(3, 0.99), START + 3 * S) == []
    assert rules.step(None, START + 10 * MINUTE) == []
    assert told(rules.step(finding(4), START + 11 * MINUTE)) == [("open", "warning")]


def test_a_verdict_puts_aside_one_episode_of_a_group_and_closes_with_the_last() -> None:
    rules = Rules(settings("group = []"))
    rules.step(finding(1, source="a"), START)
    rules.step(finding(2, source="b"), START)
    assert rules.step(verdict(1, "false_positive"), START + S) == []
    assert rules.step(finding(3, 0.99, source="a"), START + 2 * S) == []  # put aside: it raises nothing
    rules = again(rules, "group = []")
    assert told(rules.step(finding(4, 0.99, source="b"), START + 2 * S)) == [("severity", "critical")]
    assert told(rules.step(verdict(4, "expected", identity="f2"), START + 3 * S)) == [("close", "critical")]
    assert rules.step(finding(5, source="b"), START + 4 * S) == []
    assert told(rules.step(finding(6, source="c"), START + 5 * S)) == [("open", "warning")]  # another episode
    assert rules.step(finding(7, source="a"), START + 6 * S) == []


def test_what_was_put_aside_opens_nothing_though_the_rest_is_over() -> None:
    rules = Rules(settings("group = []"))
    rules.step(finding(1, source="a"), START)
    rules.step(finding(2, source="b"), START)
    rules.step(verdict(1, "false_positive"), START)
    messages = [one for n in range(8) for one in rules.step(finding(10 + n, source="a"), START + n * MINUTE)]
    messages += rules.step(None, START + 8 * MINUTE)
    assert told(messages) == [("close", "warning")]
    assert rules.step(None, START + 13 * MINUTE) == []
    assert told(rules.step(finding(20, source="a"), START + 13 * MINUTE)) == [("open", "warning")]


def test_escalation_while_nobody_answers() -> None:
    more = '[[alerts.rules.r.escalate]]\nafter = "2m"\nto = ["boss"]'
    rules = Rules(settings(more=more))
    rules.step(finding(1), START)
    assert rules.step(None, START + 2 * MINUTE - 1) == []
    rules = again(rules, more=more)
    raised = rules.step(None, START + 2 * MINUTE)
    assert told(raised) == [("escalate", "warning")]
    assert raised[0].to == ["boss"]
    assert rules.step(None, START + 3 * MINUTE) == []
    assert rules.step(None, START + HOUR)[0].to == ["ops", "boss"]  # who was told of it is told of its end


@pytest.mark.parametrize("word", ["confirmed", "new_normal", "mute"])
def test_an_answer_ends_escalation_and_an_undo_takes_it_up_again(word: str) -> None:
    rules = Rules(settings(more='[[alerts.rules.r.escalate]]\nafter = "2m"\nto = ["boss"]'))
    rules.step(finding(1), START)
    keys = {"scope": Scope(source="host"), "until": iso_from_us(START + HOUR)} if word == "mute" else {}
    assert rules.step(verdict(1, word, **keys), START + S) == []  # type: ignore[arg-type]
    assert rules.step(None, START + 3 * MINUTE) == []
    rules.step(verdict(1, "undo", identity="f2", undoes="f1"), START + 3 * MINUTE)
    assert told(rules.step(None, START + 3 * MINUTE)) == [("escalate", "warning")]


def test_a_note_answers_nothing_and_a_verdict_before_its_finding_is_heard_later() -> None:
    rules = Rules(settings())
    rules.step(verdict(1, "expected"), START)
    rules.step(finding(1), START)
    assert rules.step(verdict(1, "note", identity="n", note="hm"), START) == []
    assert told(rules.step(verdict(1, "expected"), START + S)) == [("close", "warning")]


def test_what_a_mute_covers_opens_nothing() -> None:
    rules = Rules(settings())
    rules.step(verdict(0, "mute", scope=Scope(source="host"), until=iso_from_us(START + HOUR)), START)
    assert rules.step(finding(1), START) == []
    assert told(rules.step(finding(2, source="web"), START)) == [("open", "warning")]
    rules = again(rules)
    assert rules.step(finding(3), START + HOUR - 1) == []
    assert ("open", "warning") in told(rules.step(finding(4), START + HOUR))


def test_a_rule_that_is_gone_closes_its_alerts_and_tells_what_it_held_back() -> None:
    rules = Rules(settings('at_most = "1/h"'))
    rules.step(finding(1, source="a"), START)
    rules.step(finding(2, source="b"), START)
    without = parse("").alerts
    messages = rules.configure(without, START + S)
    assert sorted(told(messages)) == [("close", "warning"), ("digest", "warning")]
    assert {name for one in messages for name in one.to} == {"ops"}
    assert list(rules.alerts) == []


def test_a_rule_that_is_gone_after_a_restart_closes_its_alerts_too() -> None:
    rules = Rules(settings())
    rules.step(finding(1), START)
    kept = rules.state()
    without = parse("").alerts
    assert told(Rules(without, kept).configure(without, START + S)) == [("close", "warning")]


def test_too_many_open_alerts_are_counted_and_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAX_OPEN", 2)
    rules = Rules(settings())
    assert [len(rules.step(finding(n, source=f"s{n}"), START)) for n in range(5)] == [1, 1, 0, 0, 0]
    closed = rules.step(None, START + HOUR)
    assert sum(one.left_out for one in closed) == 3


def test_too_much_held_back_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAX_HELD", 3)
    rules = Rules(settings('quiet = ["00:00-06:00"]'))
    for n in range(10):
        assert rules.step(finding(n, source=f"s{n}"), START) == []
    morning = rules.step(None, START + 6 * HOUR)
    assert [(one.held_count, len(one.held)) for one in morning] == [(10, 3)]
    assert rules.step(None, START + 7 * HOUR) == []
