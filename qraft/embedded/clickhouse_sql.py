"""What the embedded ClickHouse must know of a statement before the engine runs it: its kind, its format, its inline data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    rb"""
    (?P<space>\s+ | --[^\n]* | \#!?[ ][^\n]* | /\*.*?\*/ )
  | (?P<quoted>'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*` )
  | (?P<word>\w+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LINE_END: Final = re.compile(rb"[ \t\f]*\r?\n?")
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_TRAILING_FORMAT: Final = re.compile(rb"\bFORMAT\s+(\w+)\s*(?:SETTINGS\b[^;]*)?;?\s*$", re.IGNORECASE)
_BEFORE_NAMES: Final = frozenset({b"INTO", b"TABLE", b"."})
_READS: Final = frozenset(
    {b"SELECT", b"WITH", b"SHOW", b"DESCRIBE", b"DESC", b"EXISTS", b"EXPLAIN", b"CHECK", b"KILL", b"FROM", b"("}
)
ARROW_STREAM: Final = "ArrowStream"
_STREAMS: Final = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow", ARROW_STREAM})


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT that carries its data, cut before its SETTINGS (which may be absent), the format's name and the data."""

    head: bytes
    settings: bytes
    format: str
    data: memoryview


def first_word(statement: bytes) -> bytes:
    """The keyword a statement begins with, in capitals; ``(`` for a select in brackets; empty when there is none."""
    for token in _TOKEN.finditer(statement):
        if token.lastgroup != "space":
            return token.group().upper()
    return b""


def split_insert(statement: bytes) -> Insert | None:
    """An INSERT that carries its data after FORMAT or VALUES, in parts; None for any other statement.

    The engine's own parser for data inside a statement is slow and stops at some bytes of binary formats.
    """
    if first_word(statement) != b"INSERT":
        return None
    rest = memoryview(statement)
    cut: int | None = None
    words = _keywords(statement)
    for word in words:
        text = word.group().upper()
        end = word.start() if cut is None else cut
        if text in {b"SELECT", b"WITH", b"INFILE"}:
            return None
        if text == b"SETTINGS":
            cut = end
        elif text == b"VALUES":
            return Insert(statement[:end], statement[end : word.start()], "Values", rest[word.end() :])
        elif text == b"FORMAT" and (name := next(words, None)):
            blank = _LINE_END.match(statement, name.end())
            data = rest[blank.end() if blank else name.end() :]
            return Insert(statement[:end], statement[end : word.start()], name.group().decode(), data)
    return None


def _keywords(statement: bytes) -> Iterator[re.Match[bytes]]:
    """The words outside quotes, comments and brackets that do not name a table."""
    depth = 0
    previous = b""
    for token in _TOKEN.finditer(statement):
        if token.lastgroup == "other":
            depth += (token.group() == b"(") - (token.group() == b")")
        elif token.lastgroup == "word" and depth == 0 and previous not in _BEFORE_NAMES:
            yield token
        if token.lastgroup != "space":
            previous = token.group().upper()


def waits_for_drop(statement: bytes) -> bool:
    """Whether a statement asks to wait until dropped data is gone, which the engine as a library never ends."""
    return first_word(statement) in {b"DROP", b"DETACH"} and any(
        word.group().upper() == b"SYNC" for word in _keywords(statement)
    )


def reads(statement: bytes) -> bool:
    """Whether a statement answers with rows, be they none."""
    return first_word(statement) in _READS


def output_format(statement: bytes, default: str) -> str:
    """The format a statement asks for at its end, or the default."""
    found = _TRAILING_FORMAT.search(statement[-512:])
    return found.group(1).decode() if found else default


def streams(statement: bytes, output: str) -> bool:
    """Whether blocks of the answer may be sent one after the other: the format has no head and foot, or they are cut off."""
    return output in _STREAMS and first_word(statement) in {b"SELECT", b"WITH", b"FROM", b"("}


def quote(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """A ClickHouse identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def set_statement(settings: Mapping[str, str]) -> str:
    """``SET`` of all settings; values as literals, which the engine turns into each setting's type.

    Raises:
        ValueError: a name that is no setting's name.
    """
    for name in settings:
        if not _SETTING.fullmatch(name):
            raise ValueError(f"Code: 115. DB::Exception: Setting {name!r} is not a name. (UNKNOWN_SETTING)")
    return "SET " + ", ".join(f"{name} = {quote(value)}" for name, value in settings.items())
