"""A message in words for people, and as JSON for programs."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from qraft.alerts.messages import where
from qraft.alerts.model import Notification
from qraft.model import Contributor, Pattern

CONTRIBUTORS: Final = 5
"""Fields named in a message, those that contributed most first."""

_OPENINGS: Final = {
    "open": "",
    "severity": "now ",
    "close": "over: ",
    "escalate": "still open: ",
}
_WORDS: Final = {"open": "opened", "severity": "got worse", "close": "is over", "escalate": "went on"}
_TEST: Final = "This is a test message of Qraft, sent by `qraft alerts test`. Nothing was found; nothing needs to be done."


def title(message: Notification) -> str:
    """One line: severity, rule, what and where."""
    if message.transition == "test":
        return "[test] Qraft: a test message"
    if message.transition == "digest":
        return f"[{message.severity}] {message.rule}: {_count(message.held_count, 'alert')} held back"
    top = message.top
    what = f"{top.type.replace('_', ' ')} in {where(top)}" if top is not None else ""
    if message.group.keys() < {"source", "entity", "type", "detector"} and message.episodes > 1:
        shared = "/".join(value for key, value in message.group.items() if value and key != "type")
        what = f"{_count(message.episodes, 'episode')}{f' in {shared}' if shared else ''}"
    return _line(f"[{message.severity}] {message.rule}: {_OPENINGS.get(message.transition, '')}{what}")


def body(message: Notification, link: str) -> str:
    """What, where, since when, how sure, what contributed, and how to answer; plain text, a line each."""
    if message.transition == "test":
        return _TEST
    lines = _digest(message) if message.transition == "digest" else _alert(message, link)
    if message.left_out:
        lines.append(f"{_count(message.left_out, 'finding')} beside were not followed: too many alerts are open.")
    return "\n".join(map(_line, lines))


def payload(message: Notification, link: str) -> dict[str, Any]:
    """The message as JSON: all of its keys, and ``title``, ``text`` and ``link`` for people."""
    told: dict[str, Any] = {
        "type": f"qraft.alert.{message.transition}",
        "title": title(message),
        "text": body(message, link),
    }
    told |= msgspec.to_builtins(message)
    told["link"] = _link(message.top, link) if message.top is not None else ""
    return told


def _alert(message: Notification, link: str) -> list[str]:
    top = message.top
    assert top is not None, "every message of an alert has its finding"
    lines = [top.summary] if top.summary else []
    if message.transition == "close":
        lines.insert(0, f"Over: {message.reason}.")
    what = " / ".join(word for word in (top.type.replace("_", " "), top.kind, top.detector) if word)
    lines += [
        f"where: {where(top)}",
        f"what: {what}",
        f"since: {_moment(message.began)}, latest {_moment(message.last)} (event time, UTC)",
        f"confidence: {top.details.confidence:.2f} ({message.severity})",
        f"findings: {message.patterns}" + (f" in {_count(message.episodes, 'episode')}" if message.episodes > 1 else ""),
    ]
    if top.contributors:
        lines.append("what contributed most:")
        most = sorted(top.contributors, key=lambda one: -one.score)[:CONTRIBUTORS]
        lines += [f"  {_contributor(one)}" for one in most]
    if address := _link(top, link):
        lines.append(address)
    if message.transition != "close":
        lines.append(f"explain: qraft explain {top.pattern_id}")
        lines.append(f"answer: qraft feedback {top.pattern_id} confirmed (or expected, false_positive, mute)")
    return lines


def _digest(message: Notification) -> list[str]:
    count = message.held_count
    lines = [f"{_count(count, 'alert')} of the rule {message.rule} {'was' if count == 1 else 'were'} held back:"]
    for one in message.held:
        happened = ", ".join(_WORDS.get(word, word) for word in one.transitions)
        why = f" ({one.reason})" if one.reason else ""
        lines.append(f"  {_moment(one.since)}  {one.severity}  {one.where}: {one.what}; {happened}{why}")
    if count > len(message.held):
        lines.append(f"  and {count - len(message.held)} more; `qraft patterns` lists what was found")
    return lines


def _contributor(one: Contributor) -> str:
    change = f": {one.before:.6g} -> {one.after:.6g}" if one.before is not None and one.after is not None else ""
    return f"{one.field}{change} ({one.score:.0%})"


def _link(pattern: Pattern | None, link: str) -> str:
    if pattern is None or not link:
        return ""
    from urllib.parse import quote

    parts = {"pattern_id": pattern.pattern_id, "source": pattern.source, "entity": pattern.entity}
    return link.format(**{name: quote(value, safe="") for name, value in parts.items()})


def _moment(iso: str) -> str:
    return iso[:19].replace("T", " ") if iso else "?"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _line(text: str) -> str:
    """One line: a stream's own texts may hold what breaks lines or drives a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
