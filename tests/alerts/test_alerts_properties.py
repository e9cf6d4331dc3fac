"""What holds of the rules whatever goes in, in any order, with restarts anywhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings as examples, strategies as st

from qraft.alerts import Notification, Rules, RulesState
from qraft.alerts.model import RANK
from qraft.config.alerts import rate
from qraft.config.quiet import parse_quiet
from qraft.model import us_from_datetime
from tests.alerts.findings import HOUR, MINUTE, START, S, finding, settings, verdict

ITEMS = st.one_of(
    st.tuples(
        st.just("finding"),
        st.integers(0, 40),
        st.sampled_from((0.55, 0.6, 0.75, 0.8, 0.9, 0.99)),
        st.sampled_from("abcdef"),
    ),
    st.tuples(st.just("verdict"), st.integers(0, 40), st.sampled_from(("confirmed", "expected", "false_positive", "undo"))),
    st.tuples(st.just("tick")),
    st.tuples(st.just("restart")),
)
STEPS = st.lists(st.tuples(ITEMS, st.sampled_from((0, S, 20 * S, 3 * MINUTE, 6 * MINUTE, HOUR))), max_size=80)
RULES = st.sampled_from(
    (
        "",
        'at_most = "2/10m"',
        'quiet = ["00:30-01:30", "02:00-06:00"]',
        'at_most = "1/h"\nquiet = ["01:00-02:00"]\nquiet_passes = "warning"',
        'lasts = "10s"\nat_most = "3/h"',
        'group = ["source"]\nat_most = ""\nescalate = [{ after = "1m", to = ["boss"] }, { after = "10m", to = ["boss"] }]',
        "group = []\nseverity = 'critical'",
    )
)


def run(rule: str, steps: list[Any]) -> tuple[list[tuple[int, Notification]], Rules, set[str]]:
    """All that was told, each with its time; the rules in the end; the ids of the findings that went in."""
    rules, now, told, fed = Rules(settings(rule)), START, [], set()
    for number, (item, later) in enumerate(steps):
        now += later
        messages: list[Notification] = []
        if item[0] == "finding":
            _, identity, confidence, source = item
            messages = rules.step(finding(f"{identity}-{source}", confidence, source=source, time_us=now), now)
            fed.add(f"{identity}-{source}")
        elif item[0] == "verdict":
            said = verdict(f"{item[1]}-a", item[2], identity=f"f{number}", undoes=f"f{number - 1}")
            messages = rules.step(said, now)
        elif item[0] == "tick":
            messages = rules.step(None, now)
        else:
            kept = msgspec.msgpack.encode(rules.state())
            rules = Rules(settings(rule), msgspec.msgpack.decode(kept, type=RulesState))
        told += [(now, message) for message in messages]
    return told, rules, fed


def transitions(told: list[tuple[int, Notification]]) -> list[tuple[str, str, str]]:
    """Alert, transition and severity, in order, those of digests among them."""
    found: list[tuple[str, str, str]] = []
    for _, message in told:
        if message.transition == "digest":
            found += [(line.alert_id, word, line.severity) for line in message.held for word in line.transitions]
        else:
            found.append((message.alert_id, message.transition, message.severity))
    return found


@given(RULES, STEPS)
@examples(max_examples=300)
def test_an_alert_opens_once_closes_once_and_only_rises(rule: str, steps: list[Any]) -> None:
    told, _, _ = run(rule, steps)
    opened, closed, highest = set(), set(), {}
    for alert, what, severity in transitions(told):
        if what == "open":
            assert alert not in opened
            opened.add(alert)
        else:
            assert alert in opened
            assert alert not in closed
        if what == "close":
            closed.add(alert)
        elif what == "severity":
            assert RANK[severity] > RANK[highest[alert]]
        highest[alert] = max(severity, highest.get(alert, ""), key=RANK.__getitem__)
    ids = [message.notification_id for _, message in told]
    assert len(set(ids)) == len(ids)


@given(RULES, STEPS)
@examples(max_examples=300)
def test_no_group_has_two_open_alerts(rule: str, steps: list[Any]) -> None:
    told, rules, _ = run(rule, steps)
    at_once: dict[str, set[str]] = defaultdict(set)
    where: dict[str, str] = {}
    for _, message in told:
        if message.transition == "digest":
            continue
        group = str(message.group)
        where[message.alert_id] = group
        if message.transition == "close":
            at_once[group].discard(message.alert_id)
        else:
            at_once[group].add(message.alert_id)
    held = {held for state in rules.state().rules.values() for held in state.held}
    in_digests = {line.alert_id for _, message in told for line in message.held}
    for group in at_once.values():
        assert len(group - held - in_digests) <= 1
    alive = Counter(str(alert.group) for alert in rules.alerts)
    assert all(count == 1 for count in alive.values())


@given(RULES, STEPS)
@examples(max_examples=200)
def test_no_more_messages_than_the_limit(rule: str, steps: list[Any]) -> None:
    told, _, _ = run(rule, steps)
    limit = settings(rule).rules["r"].at_most
    if not limit:
        return
    most, length = rate(limit)
    times = [time for time, _ in told]
    assert all(later - first >= length for first, later in zip(times, times[most:], strict=False))


@given(RULES, STEPS)
@examples(max_examples=200)
def test_in_quiet_hours_only_what_passes_is_told(rule: str, steps: list[Any]) -> None:
    told, _, _ = run(rule, steps)
    one = settings(rule).rules["r"]
    quiet = [parse_quiet(text) for text in one.quiet]
    for time, message in told:
        if any(hours.holds(time) for hours in quiet):
            assert RANK[message.severity] >= RANK[one.quiet_passes]
            assert all(RANK[line.severity] >= RANK[one.quiet_passes] for line in message.held)


@given(RULES, STEPS)
@examples(max_examples=200)
def test_nothing_is_lost(rule: str, steps: list[Any]) -> None:
    """Long after, when all is over and nothing holds back any more, every alert was told from its opening to its end."""
    told, rules, fed = run(rule, steps)
    now = rules.state().now_us
    for _ in range(200):
        now += 10 * MINUTE
        told += [(now, message) for message in rules.step(None, now)]
    assert list(rules.alerts) == []
    assert rules.held() == {"r": 0}
    happened = transitions(told)
    opened = {alert for alert, what, _ in happened if what == "open"}
    closed = {alert for alert, what, _ in happened if what == "close"}
    undone = any(item[0] == "verdict" for item, _ in steps)
    assert closed <= opened
    assert closed == opened or undone
    if not undone and "lasts" not in rule:
        final = [message for _, message in told if message.transition == "close"]
        in_digests = [line for _, message in told for line in message.held if "close" in line.transitions]
        assert bool(opened) == bool(fed)
        assert in_digests or sum(message.patterns for message in final) == len(fed)


@given(RULES, STEPS, st.integers(0, 79))
@examples(max_examples=200)
def test_repeats_and_restarts_change_nothing(rule: str, steps: list[Any], at: int) -> None:
    plain, _, _ = run(rule, [step for step in steps if step[0][0] != "restart"])
    busy: list[Any] = []
    for item, later in steps:
        if item[0] == "restart":
            continue
        busy.append((item, later))
        if item[0] == "finding":
            busy += [(item, 0), (("restart",), 0), (item, 0)]
    told, _, _ = run(rule, busy)
    # a verdict's id is its place, so runs with verdicts are compared by what opened alone
    if not any(item[0] == "verdict" for item, _ in steps):
        assert told == plain


BERLIN = ZoneInfo("Europe/Berlin")


@given(
    st.datetimes(datetime(2025, 3, 1), datetime(2026, 11, 30)),  # noqa: DTZ001 - made aware below
    st.sampled_from(("22:00-06:00", "sat,sun", "fri-mon 02:15-02:45", "01:30-03:30", "mon 23:00-01:00")),
)
@examples(max_examples=500)
def test_quiet_hours_go_by_the_wall_clock_whatever_the_season(moment: datetime, text: str) -> None:
    time_us = us_from_datetime(moment.replace(tzinfo=UTC))
    local = moment.replace(tzinfo=UTC).astimezone(BERLIN)
    hours = parse_quiet(f"{text} Europe/Berlin")
    days = {"sat,sun": {5, 6}, "fri-mon 02:15-02:45": {4, 5, 6, 0}, "mon 23:00-01:00": {0}}.get(text, set(range(7)))
    clock, yesterday = f"{local:%H:%M}", (local.weekday() - 1) % 7
    if text == "sat,sun":
        expected = local.weekday() in days
    else:
        begin, _, end = text.rsplit(maxsplit=1)[-1].partition("-")
        if begin < end:
            expected = local.weekday() in days and begin <= clock < end
        else:
            expected = (local.weekday() in days and clock >= begin) or (yesterday in days and clock < end)
    assert hours.holds(time_us) == expected


def test_a_night_is_as_long_as_the_clock_says_when_it_is_set() -> None:
    hours = parse_quiet("22:00-06:00 Europe/Berlin")

    def minutes(evening: datetime) -> int:
        start = us_from_datetime(evening)
        return sum(hours.holds(start + n * MINUTE) for n in range(14 * 60))

    assert minutes(datetime(2026, 3, 28, 20, tzinfo=BERLIN)) == 7 * 60
    assert minutes(datetime(2026, 10, 24, 20, tzinfo=BERLIN)) == 9 * 60
    assert minutes(datetime(2026, 7, 1, 20, tzinfo=BERLIN) + timedelta()) == 8 * 60
