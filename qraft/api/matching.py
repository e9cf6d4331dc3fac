"""Whether a pattern just published is one that was asked for. The store says the same of patterns it has, in SQL."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Final

from qraft.api.views_filter import PatternChoice
from qraft.filter import Term, glob_regex, is_glob
from qraft.model import Pattern, us_from_iso

Test = Callable[[Pattern, int], bool]
"""Whether a pattern passes at a time, UTC microseconds."""

MOST_STARS: Final = 3
"""Each * of a glob multiplies the time that Python's regular expressions may take."""

_COMPARE: Final = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq}


def test_of(choice: PatternChoice) -> Test:
    """The test that a choice of patterns is. Nobody has judged yet what was just published.

    Raises:
        ValueError: the filter holds what may take any time here: a regular expression, a glob of many stars.
    """
    types, sources, kinds = set(choice.type), set(choice.source), set(choice.kind)
    terms = [_negated(_term(term)) if term.negated else _term(term) for term in choice.filter().terms]

    def passes(pattern: Pattern, now_us: int) -> bool:
        return (
            choice.min_confidence <= pattern.details.confidence
            and (choice.max_confidence is None or pattern.details.confidence <= choice.max_confidence)
            and (not types or pattern.type in types)
            and (not sources or pattern.source in sources)
            and (not kinds or pattern.kind in kinds)
            and (choice.entity is None or pattern.entity == choice.entity)
            and (not choice.detector or pattern.detector == choice.detector)
            and all(test(pattern, now_us) for test in terms)
        )

    return passes


def _negated(test: Test) -> Test:
    return lambda pattern, now_us: not test(pattern, now_us)


def _term(term: Term) -> Test:
    if term.word in ("score", "n", "age"):
        return _number(term)
    if term.word == "regex":
        raise ValueError("a live stream takes no regular expressions; look for words, or for globs such as src:bin*")
    if term.word == "text":
        return lambda pattern, _: term.values[0] in _haystack(pattern)
    if term.word == "kind":
        return lambda pattern, _: pattern.type in term.values
    if term.word == "state":
        return lambda _, __: "new" in term.values
    if term.word == "by":
        return lambda _, __: False
    fits = [_fit(value) for value in term.values]
    return lambda pattern, _: any(fit(text.lower()) for text in _texts(term, pattern) for fit in fits)


def _number(term: Term) -> Test:
    compare, limit = _COMPARE[term.sign], term.number
    if term.word == "age":
        return lambda pattern, now_us: compare((now_us - us_from_iso(pattern.timestamp)) / 1e6, limit)
    if term.word == "n":
        return lambda _, __: compare(1, limit)
    return lambda pattern, _: compare(pattern.details.confidence, limit)


def _texts(term: Term, pattern: Pattern) -> list[str]:
    if term.word == "src":
        return [pattern.source, _name(pattern)]
    if term.word == "field":
        return [one.field for one in pattern.contributors]
    return [{"what": pattern.kind, "entity": pattern.entity, "det": pattern.detector}[term.word]]


def _fit(value: str) -> Callable[[str], bool]:
    if not is_glob(value):
        return lambda text: text.startswith(value)
    if value.count("*") > MOST_STARS:
        raise ValueError(f'"{value}" has more than {MOST_STARS} *, which a live stream does not look for')
    whole = re.compile(glob_regex(value)).fullmatch
    return lambda text: whole(text) is not None


def _name(pattern: Pattern) -> str:
    return f"{pattern.source}/{pattern.entity}" if pattern.entity else pattern.source


def _haystack(pattern: Pattern) -> str:
    fields = " ".join(one.field for one in pattern.contributors)
    parts = (_name(pattern), pattern.type, pattern.detector, fields, pattern.summary, pattern.pattern_id)
    return " ".join(parts).lower()
