"""A filter as a test of episodes on the screen. `qraft.filter` says what can be written; the store says the same in SQL."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qraft import filter as language
from qraft.filter import FilterError, Term, Word
from tui.language import N_, t
from tui.state.episodes import MAX_EPISODES, Episode, Peak
from tui.state.verdicts import Delivery, Mark

__all__ = ["Filter", "FilterError", "haystack", "parse"]

Test = Callable[[Episode, Mark, int], bool]
"""Whether an episode, what stands on it, and the time now (UTC microseconds, for ``age``) pass."""
Fits = Callable[[str], bool]

SENTENCES: Final = (
    N_("! needs a word behind it"),
    N_('unknown word "{word}"; known: {known}'),
    N_('unknown word "{word}"; did you mean "{near}"? known: {known}'),
    N_("{word} needs a value"),
    N_("{word} takes a colon, as in {word}:{value}"),
    N_('unknown kind "{value}"; known: {known}'),
    N_('unknown state "{value}"; known: {known}'),
    N_('"{value}" is no number; write for example {example}'),
    N_("/{pattern}/ is no regular expression: {why}"),
)
"""The sentences of `qraft.filter`, for the catalogue."""

_OPERATORS: Final = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq}
_HAYSTACKS: Final[dict[str, tuple[Peak, str]]] = {}


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read. An empty one lets everything through.

    Attributes:
        query: the same as plain values, for a query of the store.
    """

    query: language.Filter = language.Filter()  # noqa: RUF009 - it is immutable
    tests: tuple[Test, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tests)

    @property
    def text(self) -> str:
        """The filter as it was typed."""
        return self.query.text

    @property
    def ages(self) -> bool:
        """Whether an episode may stop or start to match as time goes by."""
        return self.query.ages

    def matches(self, episode: Episode, mark: Mark, now_us: int) -> bool:
        """Whether the episode passes every word; ``now_us`` is UTC microseconds, for ``age``."""
        for test in self.tests:  # noqa: SIM110 - all() over a generator takes twice the time
            if not test(episode, mark, now_us):
                return False
        return True


def parse(text: str) -> Filter:
    """Reads a filter line.

    Raises:
        FilterError: a word cannot be read; says so in the operator's language.
    """
    try:
        query = language.parse(text)
    except FilterError as error:
        raise FilterError(t(error.sentence), **error.values) from None
    return Filter(query, tuple(_test(term) for term in query.terms))


def _test(term: Term) -> Test:
    test = _numbers(term) if term.word in language.NUMBERS else _MAKERS[term.word](term.values)
    return (lambda episode, mark, now_us: not test(episode, mark, now_us)) if term.negated else test


def _numbers(term: Term) -> Test:
    compare, limit = _OPERATORS[term.sign], term.number
    if term.word == "age":
        return lambda episode, _, now_us: compare((now_us - episode.last_us) / 1e6, limit)
    if term.word == "n":
        return lambda episode, _, __: compare(episode.n, limit)
    return lambda episode, _, __: compare(episode.top.confidence, limit)


def _text(values: tuple[str, ...]) -> Test:
    wanted = values[0]
    return lambda episode, _, __: wanted in haystack(episode)


def _regex(values: tuple[str, ...]) -> Test:
    search = language.regex(values[0]).search
    return lambda episode, _, __: search(haystack(episode)) is not None


def _kind(values: tuple[str, ...]) -> Test:
    return lambda episode, _, __: episode.type in values


def _what(values: tuple[str, ...]) -> Test:
    fits = _fits(values)
    return lambda episode, _, __: fits(episode.top.kind.lower())


def _source(values: tuple[str, ...]) -> Test:
    fits = _fits(values)
    return lambda episode, _, __: fits(episode.source.lower()) or fits(episode.name.lower())


def _entity(values: tuple[str, ...]) -> Test:
    fits = _fits(values)
    return lambda episode, _, __: fits(episode.entity.lower())


def _detector(values: tuple[str, ...]) -> Test:
    fits = _fits(values)
    return lambda episode, _, __: fits(episode.detector.lower())


def _field(values: tuple[str, ...]) -> Test:
    fits = _fits(values)
    return lambda episode, _, __: any(fits(one.lower()) for one in episode.top.fields)


def _by(values: tuple[str, ...]) -> Test:
    fits = _fits(values)
    return lambda _, mark, __: mark.feedback is not None and fits(mark.feedback.user.lower())


def _state(values: tuple[str, ...]) -> Test:
    unsent = "unsent" in values
    return lambda _, mark, __: (mark.verdict or "new") in values or (unsent and mark.delivery is Delivery.UNSENT)


_MAKERS: Final[dict[Word, Callable[[tuple[str, ...]], Test]]] = {
    "text": _text,
    "regex": _regex,
    "kind": _kind,
    "what": _what,
    "src": _source,
    "entity": _entity,
    "field": _field,
    "by": _by,
    "det": _detector,
    "state": _state,
}


def _fits(values: tuple[str, ...]) -> Fits:
    """Whether a text in small letters begins with one of the values, or is wholly one of those that are globs."""
    begins = tuple(value for value in values if not language.is_glob(value))
    globs = [language.glob_regex(value) for value in values if language.is_glob(value)]
    if not globs:
        return lambda text: text.startswith(begins)
    whole = re.compile("|".join(globs)).fullmatch
    return lambda text: text.startswith(begins) or whole(text) is not None


def haystack(episode: Episode) -> str:
    """What free text is looked for in: name, kind, detector, fields and the sentence, in small letters."""
    peak = episode.top
    known = _HAYSTACKS.get(peak.pattern_id)
    if known is not None and known[0] is peak:
        return known[1]
    fields = " ".join(peak.fields)
    text = f"{episode.name} {episode.type} {episode.detector} {fields} {peak.summary} {peak.pattern_id}".lower()
    if len(_HAYSTACKS) >= 2 * MAX_EPISODES:
        _HAYSTACKS.clear()
    _HAYSTACKS[peak.pattern_id] = (peak, text)
    return text
