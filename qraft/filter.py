"""The filter language: words that all must hold, read into plain values.

``text`` anywhere · ``/regex/`` · ``kind:drift`` · ``what:silence`` · ``src:bin*`` · ``entity:btc`` · ``field:cpu*`` ·
``by:ann`` · ``det:drift`` · ``state:new`` · ``score>.7`` · ``n>=10`` · ``age<5m`` · a leading ``!`` turns a word round ·
commas mean "or". Words with a colon look for a beginning, or for the whole with ``*``, ``?`` and ``[…]`` as in a shell.

The terminal turns these values into a test of a row, the store into SQL; both say the same of the same episode.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Final, Literal, cast

from qraft.model import PATTERN_TYPES

Word = Literal[
    "text", "regex", "kind", "what", "src", "entity", "field", "by", "det", "state", "score", "n", "age"
]  # fmt: skip
Sign = Literal[":", "=", ">", ">=", "<", "<="]

WORDS: Final[tuple[Word, ...]] = (
    "kind", "what", "src", "entity", "field", "by", "det", "state", "score", "n", "age"
)  # fmt: skip
"""The words that take a value, in the order in which they are shown."""
WHATS: Final = (
    "mean", "trend", "variance", "distribution", "predictability", "novelty", "joint", "silence", "return", "flat",
    "birth", "death", "merge", "split", "moved", "occupancy", "member",
)  # fmt: skip
"""What the detectors of Qraft find, for ``what:`` to be completed; those of others may find more."""
NUMBERS: Final = ("score", "n", "age")
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
"""What ``state:`` takes, with the verdict it stands for; ``new`` is none at all, ``unsent`` one that is still on its way."""
_SHORT_STATES: Final = ("new", "confirmed", "fp", "expected", "normal", "unsent")
_SHORT_KINDS: Final = ("drift", "anomaly", "cluster")
_OTHER_NAMES: Final[dict[str, Word]] = {"source": "src", "detector": "det", "conf": "score"}
_TERM: Final = re.compile(r"(?P<word>[a-z]+)(?P<sign>:|>=|<=|>|<|=)(?P<value>.*)", re.IGNORECASE)
_AGE_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_OPENINGS: Final = (
    "kind:", "what:", "src:", "entity:", "field:", "by:", "det:", "state:", "score>", "n>=", "age<"
)  # fmt: skip
_EXAMPLES: Final = {"age": "age<5m", "n": "n>10", "score": "score>.7"}

NO_WORD: Final = "! needs a word behind it"
UNKNOWN_WORD: Final = 'unknown word "{word}"; known: {known}'
NEAR_WORD: Final = 'unknown word "{word}"; did you mean "{near}"? known: {known}'
NO_VALUE: Final = "{word} needs a value"
TAKES_COLON: Final = "{word} takes a colon, as in {word}:{value}"
UNKNOWN_KIND: Final = 'unknown kind "{value}"; known: {known}'
UNKNOWN_STATE: Final = 'unknown state "{value}"; known: {known}'
NO_NUMBER: Final = '"{value}" is no number; write for example {example}'
NO_REGEX: Final = "/{pattern}/ is no regular expression: {why}"
SENTENCES: Final = (
    NO_WORD, UNKNOWN_WORD, NEAR_WORD, NO_VALUE, TAKES_COLON, UNKNOWN_KIND, UNKNOWN_STATE, NO_NUMBER, NO_REGEX
)  # fmt: skip
"""Every sentence a `FilterError` may say, before its values are put in."""


class FilterError(ValueError):
    """A filter that cannot be read; the text says what was expected.

    Attributes:
        sentence: one of `SENTENCES`, for those who say it in another language.
        values: what goes into it.
    """

    def __init__(self, sentence: str, **values: str) -> None:
        super().__init__(sentence.format(**values))
        self.sentence = sentence
        self.values = values


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a filter.

    Attributes:
        word: what it looks at; ``text`` and ``regex`` look at everything that can be read of an episode.
        sign: ``:`` for words with texts, a comparison for those with a number.
        values: texts of which one must fit. In small letters (a regex as it was typed); a ``kind`` is a pattern type in
            full, a ``state`` is a verdict, ``new`` or ``unsent``.
        number: for ``score``, ``n`` and ``age`` (seconds).
        negated: whether the word holds where it does not fit.
    """

    word: Word
    sign: Sign = ":"
    values: tuple[str, ...] = ()
    number: float = 0.0
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read: all of its terms must hold. An empty one lets everything through."""

    text: str = ""
    terms: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def ages(self) -> bool:
        """Whether an episode may stop or start to match as time goes by."""
        return any(term.word == "age" for term in self.terms)


def parse(text: str) -> Filter:
    """Reads a filter line.

    Raises:
        FilterError: a word cannot be read.
    """
    return Filter(text.strip(), tuple(_term(word) for word in text.split()))


def _term(typed: str) -> Term:
    bare = typed.lstrip("!")
    if not bare:
        raise FilterError(NO_WORD)
    negated = (len(typed) - len(bare)) % 2 == 1
    if len(bare) > 2 and bare[0] == bare[-1] == "/":
        pattern = bare[1:-1]
        regex(pattern)
        return Term("regex", values=(pattern,), negated=negated)
    found = _TERM.fullmatch(bare)
    if found is None:
        return Term("text", values=(bare.lower(),), negated=negated)
    name, sign, value = found["word"].lower(), cast(Sign, found["sign"]), found["value"]
    word = _OTHER_NAMES.get(name, name)
    if word not in WORDS:
        raise _unknown_word(name)
    if not value:
        raise FilterError(NO_VALUE, word=f"{name}{sign}")
    if word in NUMBERS:
        return Term(word, "=" if sign == ":" else sign, number=_number(word, value), negated=negated)
    if sign != ":":
        raise FilterError(TAKES_COLON, word=name, value=value)
    return Term(word, values=_values(word, value.lower().split(",")), negated=negated)


def _unknown_word(name: str) -> FilterError:
    known = ", ".join(WORDS)
    near = get_close_matches(name, (*WORDS, *_OTHER_NAMES), 1)
    if near:
        return FilterError(NEAR_WORD, word=name, near=near[0], known=known)
    return FilterError(UNKNOWN_WORD, word=name, known=known)


def _values(word: Word, values: list[str]) -> tuple[str, ...]:
    if word == "kind":
        chosen = {kind for value in values for kind in _kinds(value)}
        return tuple(kind for kind in PATTERN_TYPES if kind in chosen)
    if word == "state":
        for value in values:
            if value not in STATES:
                raise FilterError(UNKNOWN_STATE, value=value, known=", ".join(_SHORT_STATES))
        return tuple(dict.fromkeys(STATES[value] for value in values))
    return tuple(dict.fromkeys(values))


def _kinds(value: str) -> list[str]:
    kinds = [kind for kind in PATTERN_TYPES if value and kind.startswith(value)]
    if not kinds:
        raise FilterError(UNKNOWN_KIND, value=value, known=", ".join(_SHORT_KINDS))
    return list(kinds)


def _number(word: Word, value: str) -> float:
    unit = _AGE_SECONDS.get(value[-1].lower()) if word == "age" else None
    try:
        number = float(value) if unit is None else float(value[:-1]) * unit
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise FilterError(NO_NUMBER, value=value, example=_EXAMPLES[word])
    return number


def regex(pattern: str) -> re.Pattern[str]:
    r"""A filter's regex, for texts in small letters. It looks at capitals like at small letters.

    ``\w``, ``\d``, ``\s`` and ``\b`` go by ASCII, because ClickHouse's RE2 does so; letters beyond ASCII are made small in
    the pattern itself, because ASCII rules do not know their capitals.

    Raises:
        FilterError: it is no regular expression.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sets within sets, which Python may read otherwise one day
            return re.compile(small_beyond_ascii(pattern), re.IGNORECASE | re.ASCII)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise FilterError(NO_REGEX, pattern=pattern, why=str(error)) from None


def small_beyond_ascii(text: str) -> str:
    """The text with every letter beyond ASCII made small."""
    return text if text.isascii() else "".join(c if c.isascii() else c.lower() for c in text)


def is_glob(value: str) -> bool:
    """Whether a value means the whole text, not its beginning."""
    return any(c in value for c in "*?[")


def glob_regex(glob: str) -> str:
    """A shell pattern as a regex that Python and RE2 read alike; it must fit the whole text. As `fnmatch` reads it."""
    parts: list[str] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            if parts[-1:] != [".*"]:
                parts.append(".*")
        elif char == "?":
            parts.append(".")
        elif char == "[":
            end = glob.find("]", at + (2 if glob.startswith("!", at) else 1))
            if end < 0:
                parts.append(r"\[")
            else:
                parts.append(_set(glob[at:end]))
                at = end + 1
        else:
            parts.append(re.escape(char))
    return f"(?s:{''.join(parts)})"


def _set(inside: str) -> str:
    """The characters of ``[…]`` as a set; ranges the wrong way round hold nothing."""
    negated = inside.startswith("!")
    chars = inside[1:] if negated else inside
    parts: list[str] = []
    at = 0
    while at < len(chars):
        low = high = chars[at]
        if chars[at + 1 : at + 2] == "-" and at + 2 < len(chars):
            high = chars[at + 2]
            at += 2
        at += 1
        if low == high:
            parts.append(re.escape(low))
        elif low < high:
            parts.append(f"{re.escape(low)}-{re.escape(high)}")
    if not parts:
        return "." if negated else r"[^\s\S]"
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def completions(
    text_before_cursor: str,
    *,
    sources: Collection[str] = (),
    detectors: Collection[str] = (),
    fields: Collection[str] = (),
    users: Collection[str] = (),
) -> list[str]:
    """What the last word before the cursor may become, the whole word each: the words first, then the values known.

    A word that is not begun gives all words; one that takes texts gives those that begin so, after the last comma.
    """
    typed = text_before_cursor.rsplit(" ", maxsplit=1)[-1] if text_before_cursor else ""
    bare = typed.lstrip("!")
    marks = typed[: len(typed) - len(bare)]
    known = {
        "kind": _SHORT_KINDS, "what": WHATS, "src": sources, "det": detectors, "field": fields, "by": users,
        "state": _SHORT_STATES,
    }  # fmt: skip
    name, colon, value = bare.partition(":")
    if colon:
        taken, comma, begun = value.rpartition(",")
        values = known.get(_OTHER_NAMES.get(name.lower(), name.lower()), ())
        head = f"{marks}{name}:{taken}{comma}"
        return [f"{head}{one}" for one in _beginning(begun, values) if one not in taken.split(",")]
    found = [f"{marks}{word}" for word in _beginning(bare, _OPENINGS)]
    if bare:
        found += [f"{marks}src:{one}" for one in _beginning(bare, sources)]
        found += [f"{marks}det:{one}" for one in _beginning(bare, detectors)]
    return found


def _beginning(begun: str, values: Collection[str]) -> list[str]:
    """The values that begin so; those with spaces and commas in them cannot be typed."""
    begun = begun.lower()
    found = [one for one in values if one.lower().startswith(begun) and one.lower() != begun]
    return [one for one in found if not any(char.isspace() or char == "," for char in one)]
