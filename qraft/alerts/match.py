"""A rule made ready: whether a finding matches it, and whether it is quiet."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import Final

from qraft import filter as language
from qraft.alerts.model import RANK
from qraft.config.alerts import AlertRule, AlertsSettings, Severity, rate
from qraft.config.duration import microseconds
from qraft.config.quiet import parse_quiet
from qraft.filter import Term
from qraft.model import Pattern

Test = Callable[[Pattern], bool]

_OPERATORS: Final = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq}


class Rule:
    """One rule of the configuration, compiled.

    Attributes:
        lasts_us: least length of an episode.
        close_us: silence after which an alert is over.
        limit: how many messages in how many microseconds; None for any number.
        escalation: after how many microseconds whom else to tell.
    """

    def __init__(self, name: str, rule: AlertRule, settings: AlertsSettings) -> None:
        self.name, self.settings = name, rule
        self.lasts_us = microseconds(rule.lasts)
        self.close_us = microseconds(rule.close_after)
        self.limit = rate(rule.at_most) if rule.at_most else None
        self.escalation = [(microseconds(step.after), step.to) for step in rule.escalate]
        self._bands = (settings.warning, settings.critical)
        self._quiet = [parse_quiet(text) for text in rule.quiet]
        self._tests = list(_tests(rule))

    def matches(self, pattern: Pattern) -> bool:
        """Whether all conditions hold."""
        return all(test(pattern) for test in self._tests)

    def severity(self, confidence: float) -> Severity:
        """The severity of a finding: the rule's own, else by its confidence."""
        if self.settings.severity:
            return self.settings.severity
        warning, critical = self._bands
        return "critical" if confidence >= critical else "warning" if confidence >= warning else "info"

    def quiet(self, time_us: int) -> bool:
        """Whether one of its quiet hours holds at ``time_us``, UTC microseconds."""
        return any(hours.holds(time_us) for hours in self._quiet)

    def passes(self, severity: str, time_us: int) -> bool:
        """Whether a message of this severity may be told now, as far as quiet hours go."""
        return RANK[severity] >= RANK[self.settings.quiet_passes] or not self.quiet(time_us)

    def group(self, pattern: Pattern) -> dict[str, str]:
        """What the finding shares with those of its alert."""
        return {key: str(getattr(pattern, key)) for key in self.settings.group}


def _tests(rule: AlertRule) -> list[Test]:
    tests: list[Test] = []
    if rule.type:
        types = frozenset(rule.type)
        tests.append(lambda pattern: pattern.type in types)
    for key, globs in (
        ("source", rule.source),
        ("entity", rule.entity),
        ("detector", rule.detector),
        ("kind", rule.kind),
    ):
        if globs:
            tests.append(_globs(key, globs))
    if rule.min_confidence > 0:
        tests.append(lambda pattern: pattern.details.confidence >= rule.min_confidence)
    tests += [_term(term) for term in language.parse(rule.match).terms]
    return tests


def _globs(key: str, globs: Sequence[str]) -> Test:
    fits = re.compile("|".join(map(translate, globs))).match
    return lambda pattern: fits(getattr(pattern, key)) is not None


def _term(term: Term) -> Test:
    test = _word(term)
    return (lambda pattern: not test(pattern)) if term.negated else test


def _word(term: Term) -> Test:  # noqa: PLR0911 - one return a word of the language
    """One word as a test; reads a finding as the terminal reads an episode's peak."""
    if term.word == "score":
        compare, limit = _OPERATORS[term.sign], term.number
        return lambda pattern: bool(compare(pattern.details.confidence, limit))
    if term.word == "text":
        wanted = term.values[0]
        return lambda pattern: wanted in _readable(pattern)
    if term.word == "regex":
        search = language.regex(term.values[0]).search
        return lambda pattern: search(_readable(pattern)) is not None
    if term.word == "kind":
        return lambda pattern: pattern.type in term.values
    fits = _fits(term.values)
    if term.word == "src":
        return lambda pattern: fits(pattern.source.lower()) or fits(f"{pattern.source}/{pattern.entity}".lower())
    if term.word == "field":
        return lambda pattern: any(fits(one.field.lower()) for one in pattern.contributors)
    key = {"what": "kind", "entity": "entity", "det": "detector"}[term.word]
    return lambda pattern: fits(getattr(pattern, key).lower())


def _fits(values: tuple[str, ...]) -> Callable[[str], bool]:
    """A text's beginning, or the whole of it where a value is a shell pattern."""
    wholes = [re.compile(language.glob_regex(value)).fullmatch for value in values if language.is_glob(value)]
    beginnings = tuple(value for value in values if not language.is_glob(value))
    return lambda text: text.startswith(beginnings) or any(whole(text) is not None for whole in wholes)


def _readable(pattern: Pattern) -> str:
    """What free text is looked for in, in small letters; the same as the terminal's."""
    where = f"{pattern.source}/{pattern.entity}" if pattern.entity else pattern.source
    fields = " ".join(one.field for one in pattern.contributors)
    return f"{where} {pattern.type} {pattern.detector} {fields} {pattern.summary} {pattern.pattern_id}".lower()
