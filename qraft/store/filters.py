"""A filter as SQL over episodes. It says of an episode in the store what the terminal says of the same one on the screen.

Texts are compared without regard to capitals by RE2's ``(?i)``, in every word alike: it knows the letters of all scripts,
and the embedded engine has no function that makes them small. It holds some letters for the same that Python keeps apart
(``ſ`` and ``s``, ``ς`` and ``σ``, ``µ`` and ``μ``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from qraft.filter import Filter, Term, glob_regex, is_glob, small_beyond_ascii
from qraft.store.errors import StoreRejected
from qraft.store.literal import Value

CANNOT_COMPILE_REGEXP: Final = 427
"""ClickHouse's error code for a regex that RE2 does not have."""

_NAME: Final = "if(entity = '', toString(source), concat(source, '/', entity))"
_HAYSTACK: Final = (
    f"concat({_NAME}, ' ', type, ' ', detector, ' ', arrayStringConcat(fields, ' '), ' ', summary, ' ', pattern_id)"
)
_NUMBERS: Final = ("score", "n", "age")
_SETS: Final = {"kind": "type", "state": "verdict"}
_TEXTS: Final[dict[str, tuple[str, ...]]] = {
    "what": ("kind",),
    "src": ("source", _NAME),
    "entity": ("entity",),
    "det": ("detector",),
    "by": ("user",),
    "field": ("one",),
}
OF_GROUP: Final = frozenset({"kind", "src", "entity", "det"})
"""What is the same for all patterns of an episode, so that the patterns themselves can be sorted out by it."""
OF_VERDICT: Final = frozenset({"state", "by"})
_OF_TEXTS: Final = frozenset({"text", "regex", "what", "field"})
_NUL: Final = "\0"
_NUL_IN_REGEX: Final = r"\x00"
_END: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(slots=True)
class Conditions:
    """A filter in SQL, with the values it names.

    Attributes:
        patterns: over source, entity, type and detector of a pattern.
        episodes: over an episode: the same columns, n, last_us, confidence, pattern_id, verdict, user; with ``texts`` also
            summary, kind and fields of its peak.
        texts: whether those three are needed.
        values: by the names that stand in the SQL.
    """

    patterns: list[str] = field(default_factory=list)
    episodes: list[str] = field(default_factory=list)
    texts: bool = False
    values: dict[str, Value] = field(default_factory=dict)

    def bind(self, value: Value, kind: str) -> str:
        """The place of a new value in the SQL."""
        name = f"f{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"


def conditions(wanted: Filter, now_us: int) -> Conditions:
    """A filter as SQL; ``now_us`` (UTC microseconds) is the end of ages."""
    made = Conditions()
    for term in wanted.terms:
        sql = _term(made, term, now_us)
        where = made.patterns if term.word in OF_GROUP else made.episodes
        where.append(f"NOT ({sql})" if term.negated else sql)
        made.texts |= term.word in _OF_TEXTS
    return made


def refused(error: StoreRejected, wanted: Filter) -> StoreRejected:
    """The error in the words of the filter, where its regex is what the store cannot do."""
    typed = [f"/{term.values[0]}/" for term in wanted.terms if term.word == "regex"]
    if error.code != CANNOT_COMPILE_REGEXP or not typed:
        return error
    return StoreRejected(
        f"{' or '.join(typed)} cannot be looked for in the store: its regular expressions (RE2) know no look-around and "
        "no back-reference, and repeat at most 1000 times",
        error.code,
    )


def _term(made: Conditions, term: Term, now_us: int) -> str:
    if term.word in _NUMBERS:
        if term.word == "age":
            column = f"({made.bind(now_us, 'Int64')} - last_us) / 1000000"
        else:
            column = "n" if term.word == "n" else "confidence"
        return f"{column} {term.sign} {made.bind(term.number, 'Float64')}"
    if term.word in ("text", "regex"):
        pattern = f"(?i){re.escape(term.values[0])}" if term.word == "text" else f"(?i-s){_re2(term.values[0])}"
        return _matches(made, _HAYSTACK, pattern)
    if term.word in _SETS:
        values = ["" if value == "new" else value for value in term.values]
        return f"{_SETS[term.word]} IN {made.bind(values, 'Array(String)')}"
    fits = [_like(made, column, value) for value in term.values for column in _TEXTS[term.word]]
    if term.word == "field":
        return f"arrayExists(one -> {' OR '.join(fits)}, fields)"
    return f"({' OR '.join(fits)})" + (" AND verdict != ''" if term.word == "by" else "")


def _like(made: Conditions, column: str, value: str) -> str:
    pattern = f"{glob_regex(value)}$" if is_glob(value) else re.escape(value)
    return _matches(made, column, f"(?i)^{pattern}")


def _matches(made: Conditions, column: str, pattern: str) -> str:
    return f"match({column}, {made.bind(pattern.replace(_NUL, _NUL_IN_REGEX), 'String')})"


def _re2(pattern: str) -> str:
    r"""A regex of Python's as RE2 writes it: the end of the text is ``\z`` there."""
    return _END.sub(lambda found: r"\z" if found[1] == "Z" else found[0], small_beyond_ascii(pattern))
