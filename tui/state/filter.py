"""The filter line: words that all must hold, turned into one function over episodes.

``text`` anywhere · ``/regex/`` · ``kind:drift`` · ``src:bin*`` · ``field:cpu*`` · ``by:ann`` · ``det:drift`` ·
``state:new`` · ``score>.7`` · ``n>=10`` · ``age<5m`` · a leading ``!`` turns a word round · commas mean "or".
"""

from __future__ import annotations

import operator
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from tui.state.episodes import Episode
from tui.state.verdicts import Delivery, Mark


class Row(NamedTuple):
    """What a filter looks at: an episode, what stands on it, and the time now (UTC microseconds) for its age."""

    episode: Episode
    mark: Mark
    now_us: int


Test = Callable[[Row], bool]

STATES: Final = {
    "new": "new",
    "confirmed": "confirmed",
    "false_positive": "false_positive",
    "falsepos": "false_positive",
    "fp": "false_positive",
    "expected": "expected",
    "new_normal": "new_normal",
    "normal": "new_normal",
    "unsent": "unsent",
}
KINDS: Final = ("drift", "anomaly", "cluster_change")
WORDS: Final = ("kind", "src", "source", "field", "by", "det", "detector", "state", "score", "conf", "n", "age")
_OPERATORS: Final = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq}
_TERM: Final = re.compile(r"(?P<word>[a-z]+)(?P<op>:|>=|<=|>|<|=)(?P<value>.*)", re.IGNORECASE)
_AGE_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class FilterError(ValueError):
    """A filter that cannot be read; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read. An empty one lets everything through."""

    text: str = ""
    tests: Sequence[Test] = ()

    def __bool__(self) -> bool:
        return bool(self.tests)

    def matches(self, episode: Episode, mark: Mark, now_us: int) -> bool:
        """Whether the episode passes every word; ``now_us`` is UTC microseconds, for ``age``."""
        row = Row(episode, mark, now_us)
        return all(test(row) for test in self.tests)

    @property
    def ages(self) -> bool:
        """Whether an episode may stop or start to match as time goes by."""
        return bool(re.search(r"\bage[<>=]", self.text, re.IGNORECASE))


def parse(text: str) -> Filter:
    """Reads a filter line.

    Raises:
        FilterError: a word cannot be read.
    """
    return Filter(text.strip(), tuple(_term(word) for word in text.split()))


def _term(word: str) -> Test:
    if word.startswith("!"):
        if word == "!":
            raise FilterError("! needs a word behind it")
        inner = _term(word[1:])
        return lambda row: not inner(row)
    if len(word) > 2 and word[0] == word[-1] == "/":
        return _regex(word[1:-1])
    found = _TERM.fullmatch(word)
    if found is None:
        return _text(word)
    name, sign, value = found["word"].lower(), found["op"], found["value"]
    if name not in WORDS:
        raise FilterError(
            f'unknown word "{name}"; known: {", ".join(w for w in WORDS if w not in ("source", "detector", "conf"))}'
        )
    if not value:
        raise FilterError(f"{name}{sign} needs a value")
    if name in ("score", "conf", "n", "age"):
        return _number(name, sign, value)
    if sign != ":":
        raise FilterError(f"{name} takes a colon, as in {name}:{value}")
    return _word(name, value.lower().split(","))


def _word(name: str, values: list[str]) -> Test:
    if name == "kind":
        kinds = {kind for value in values for kind in _kinds(value)}
        return lambda row: row.episode.type in kinds
    if name == "state":
        return _state(values)
    if name in ("src", "source"):
        return lambda row: any(_like(row.episode.source.lower(), v) or _like(row.episode.name.lower(), v) for v in values)
    if name in ("det", "detector"):
        return lambda row: any(_like(row.episode.detector.lower(), v) for v in values)
    if name == "by":
        return lambda row: row.mark.feedback is not None and any(_like(row.mark.feedback.user.lower(), v) for v in values)
    return lambda row: any(_like(c.field.lower(), v) for c in row.episode.peak.contributors for v in values)


def _like(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern) if any(c in pattern for c in "*?[") else text.startswith(pattern)


def _kinds(value: str) -> list[str]:
    kinds = [kind for kind in KINDS if value and kind.startswith(value)]
    if not kinds:
        raise FilterError(f'unknown kind "{value}"; known: drift, anomaly, cluster')
    return kinds


def _state(values: list[str]) -> Test:
    wanted = set()
    for value in values:
        if value not in STATES:
            raise FilterError(f'unknown state "{value}"; known: new, confirmed, fp, expected, normal, unsent')
        wanted.add(STATES[value])

    return lambda row: (row.mark.verdict or "new") in wanted or ("unsent" in wanted and row.mark.delivery is Delivery.UNSENT)


def _number(name: str, sign: str, value: str) -> Test:
    compare = _OPERATORS.get("=" if sign == ":" else sign)
    assert compare is not None
    try:
        if name == "age":
            unit = value[-1].lower()
            limit = float(value[:-1]) * _AGE_SECONDS[unit] if unit in _AGE_SECONDS else float(value)
            return lambda row: compare((row.now_us - row.episode.last_us) / 1e6, limit)
        limit = float(value)
    except ValueError:
        example = "age<5m" if name == "age" else f"{name}>{'10' if name == 'n' else '.7'}"
        raise FilterError(f'"{value}" is no number; write for example {example}') from None
    if name == "n":
        return lambda row: compare(row.episode.n, limit)
    return lambda row: compare(row.episode.confidence, limit)


def _regex(pattern: str) -> Test:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sets within sets, which Python may read otherwise one day
            compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise FilterError(f"/{pattern}/ is no regular expression: {error}") from None
    return lambda row: compiled.search(haystack(row.episode)) is not None


def _text(word: str) -> Test:
    wanted = word.lower()
    return lambda row: wanted in haystack(row.episode)


def haystack(episode: Episode) -> str:
    """What free text is looked for in: name, kind, detector, fields and the sentence, in small letters."""
    fields = " ".join(c.field for c in episode.peak.contributors)
    return (
        f"{episode.name} {episode.type} {episode.detector} {fields} {episode.peak.summary} {episode.peak.pattern_id}".lower()
    )
