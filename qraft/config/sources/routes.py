"""How the messages of a feed become events: which are data, whose, what of them is kept, and how gaps show."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, model_validator

from qraft.config.base import SOURCE_NAME, Seconds, Section

NAME: Final = "{name}"
"""Stands for the name of the source in a route's ``source``."""
ANYTHING: Final = "*"
"""The pattern that only asks whether something is there."""


def glob_regex(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression for `re.Pattern.fullmatch`; its first group is what the first ``*`` stands for.

    ``*`` is any text, ``?`` any character, ``[abc]`` and ``[a-z]`` one of several, ``[!abc]`` none of them.

    Raises:
        ValueError: empty, or a ``[`` without its ``]``.
    """
    if not pattern:
        raise ValueError('expected a pattern such as "trade" or "*@trade"')
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if char == "[":
            end = pattern.find("]", at + 2)
            if end < 0:
                raise ValueError('the pattern has a "[" without its "]"')
            negated, inner = pattern[at + 1] == "!", pattern[at + 1 : end].removeprefix("!")
            out += f"[{'^' if negated else ''}{''.join(c if c == '-' else re.escape(c) for c in inner)}]"
            at = end
        else:
            out += {"*": "(.*)", "?": "."}.get(char) or re.escape(char)
        at += 1
    try:
        return re.compile(out, re.DOTALL)
    except re.error as error:
        raise ValueError(f"not a pattern: {error.msg}") from None


def _glob(pattern: str) -> str:
    glob_regex(pattern)
    return pattern


def _message_path(path: str) -> str:
    if path[:1] in ("$", "^", "*", "="):
        raise ValueError(f'expected a path within the message, without a leading "{path[0]}"')
    return _steps(path, path)


def _field_path(path: str) -> str:
    marker = path[:1]
    if marker == "=":
        return path
    if marker == "*":
        return _steps(path[1:], path)
    if marker in ("$", "^"):
        return path if len(path) == 1 else _steps(path[2:] if path[1] == "." else "", path)
    return _steps(path, path)


def _steps(steps: str, path: str) -> str:
    if not all(part.strip() for part in steps.split(".")):
        raise ValueError('expected a path such as "data.price", "0.1", "$.symbol" or "^.symbol"')
    return path


def _target(source: str) -> str:
    if source and not re.fullmatch(SOURCE_NAME, source.replace(NAME, "x", 1)):
        raise ValueError(f'expected the name of a source: letters, digits, - and _ only; "{NAME}" stands for this source\'s')
    return source


Glob = Annotated[str, AfterValidator(_glob)]
MessagePath = Annotated[str, AfterValidator(_message_path)]
"""Steps from the message down, joined by dots; a number is a place in an array, a negative one counts from its end."""
FieldPath = Annotated[str, AfterValidator(_field_path)]
"""Steps from the record down, or with a marker from elsewhere (see `Route.map`)."""
Match = dict[MessagePath, Glob]
Message = str | dict[str, Any] | list[Any]
"""What is sent to a server: text as it stands, anything else as JSON."""


class Ping(Section):
    """A message that keeps the connection open, beside WebSocket's own pings, which are sent anyway."""

    message: Message
    """What is sent: text such as "ping", or a table, which goes as JSON."""
    interval_seconds: Seconds = 20.0
    """Seconds between two."""
    answer: str = "pong"
    """The text that answers it, which is no data."""


class SequenceRule(Section):
    """Where the feed numbers what it sends, so that what never came can be counted."""

    path: FieldPath
    """The number; each is one more than the last. With `first` it is the last number that a message covers."""
    first: FieldPath | None = None
    """The first number that a message covers, such as Binance's U beside u."""
    previous: FieldPath | None = None
    """The number of the message before, where the feed says it and its numbers have holes, such as OKX's prevSeqId."""
    per: FieldPath | None = None
    """Field of which each value has a count of its own, such as the symbol; without it there is one count a connection."""

    @model_validator(mode="after")
    def _one_way(self) -> SequenceRule:
        if self.first is not None and self.previous is not None:
            raise ValueError("first and previous exclude each other")
        return self


class Route(Section):
    """Which messages hold which records, and what becomes of them. All routes that match a message take part."""

    match: Match = {}
    """Paths in the message, and the pattern (*, ?, [a-z]) of the text there; all must fit. "*" alone asks for anything."""
    source: Annotated[str, AfterValidator(_target)] = ""
    """The source that gets the events; "{name}" stands for this one's, as in "{name}-trades". Empty is this source."""
    record: MessagePath | None = None
    """Path of the record or the array of records; arrays on the way and at its end give one event an element."""
    columns: list[str] = []
    """Names for the places of records that are arrays, such as ["price", "volume"]; "" leaves one out."""
    newest_first: bool = False
    """Whether the message has its newest record first; the events are then put in order of time."""
    map: dict[str, FieldPath] = {}
    """Fields of the event and where they stand: "p" in the record, "^.p" in what is around it, "$.p" in the whole message,
    "*p" what the * in the pattern of `match` at p stands for, "=text" this text. Empty takes the record as it is."""
    keep: bool = False
    """Whether what `map` does not name is kept too."""
    needs: list[str] = []
    """Fields of the event of which one must be there, or the record, such as a change of other things, gives no event."""
    time: FieldPath | None = None
    """Where event time stands: seconds, ms, µs or ns since 1970, or ISO 8601; without it the source's `time`."""
    id: list[FieldPath] = []
    """What tells one event from all others of its source, such as symbol and trade number; repeats then collapse."""
    sequence: SequenceRule | None = None
    """The numbering of these records or, where all its paths start with "$", of these messages."""
