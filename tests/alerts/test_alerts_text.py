"""What a message says, and that a stream's own words cannot break it."""

from __future__ import annotations

from hypothesis import given, strategies as st

from qraft.alerts import Rules, trial
from qraft.alerts.text import body, payload, title
from tests.alerts.findings import HOUR, MINUTE, START, S, finding, settings


def test_an_alert_from_its_opening_to_its_end() -> None:
    rules = Rules(settings())
    opened = rules.step(finding(1, entity="db"), START)[0]
    assert title(opened) == "[warning] r: drift in host/db"
    assert body(opened, "").splitlines() == [
        "host: cpu rose",
        "where: host/db",
        "what: drift / mean / drift",
        "since: 2026-01-01 00:00:00, latest 2026-01-01 00:00:00 (event time, UTC)",
        "confidence: 0.80 (warning)",
        "findings: 1",
        "what contributed most:",
        "  cpu: 10 -> 93.25 (70%)",
        "  load (30%)",
        "explain: qraft explain pattern-1",
        "answer: qraft feedback pattern-1 confirmed (or expected, false_positive, mute)",
    ]
    worse = rules.step(finding(2, 0.95, entity="db", time_us=START + S), START + S)[0]
    assert title(worse) == "[critical] r: now drift in host/db"
    over = rules.step(None, START + HOUR)[0]
    assert title(over) == "[critical] r: over: drift in host/db"
    assert body(over, "").startswith("Over: nothing more was found.\n")
    assert "answer:" not in body(over, "")


def test_a_group_is_told_by_its_number_of_episodes() -> None:
    rules = Rules(settings('group = ["source"]\nclose_after = "1m"'))
    rules.step(finding(1, entity="a"), START)
    rules.step(finding(2, entity="b"), START)
    over = rules.step(None, START + HOUR)[0]
    assert title(over) == "[warning] r: over: 2 episodes in host"
    assert "findings: 2 in 2 episodes" in body(over, "")


def test_a_digest_has_a_line_for_each_alert() -> None:
    rules = Rules(settings('quiet = ["00:00-06:00"]'))
    rules.step(finding(1, source="a"), START)
    rules.step(finding(2, source="b"), START + 6 * HOUR - MINUTE)
    rules.step(None, START + 10 * MINUTE)
    digest = rules.step(None, START + 6 * HOUR)[0]
    assert title(digest) == "[warning] r: 2 alerts held back"
    assert body(digest, "").splitlines() == [
        "2 alerts of the rule r were held back:",
        "  2026-01-01 00:00:00  warning  a: a: cpu rose; opened, is over (nothing more was found)",
        "  2026-01-01 05:59:00  warning  b: b: cpu rose; opened",
    ]


def test_the_link_is_filled_in_and_quoted() -> None:
    message = Rules(settings()).step(finding("a/b c", entity="x&y"), START)[0]
    told = payload(message, "https://q.example/p/{pattern_id}?s={source}&e={entity}")
    assert told["link"] == "https://q.example/p/pattern-a%2Fb%20c?s=host&e=x%26y"
    assert told["link"] in told["text"]
    assert told["type"] == "qraft.alert.open"
    assert payload(message, "")["link"] == ""


@given(st.text(), st.text())
def test_whatever_a_stream_is_called_the_title_is_one_line(source: str, entity: str) -> None:
    message = Rules(settings()).step(finding(1, source=source, entity=entity), START)[0]
    assert title(message).isprintable()
    assert all(line.isprintable() for line in body(message, "").split("\n"))


def test_a_trial_is_marked_as_one() -> None:
    message = trial("ops", START, "id")
    assert title(message) == "[test] Qraft: a test message"
    assert payload(message, "https://q.example/{pattern_id}")["link"] == ""
