"""A statement with its parameters written into it, for people to paste into a client. The store itself binds them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

Value = str | int | float | Sequence[str]

_PLACE: Final = re.compile(r"\{(?P<name>\w+):(?P<type>[\w()]+)\}")
_ESCAPES: Final = {
    **{chr(code): f"\\x{code:02X}" for code in (*range(32), 127)},
    "\\": "\\\\",
    "'": "\\'",
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
}


def literal(value: Value) -> str:
    """A value as ClickHouse reads it in SQL; the text is one line whatever is in it."""
    if isinstance(value, str):
        return "'" + "".join(_ESCAPES.get(char, char) for char in value) + "'"
    if isinstance(value, int | float):
        return repr(value)
    return f"[{', '.join(literal(one) for one in value)}]"


def with_literals(sql: str, values: Mapping[str, Value]) -> str:
    """``sql`` with a literal in place of each ``{name:Type}``, cast to the type where the literal alone could be another.

    Raises:
        KeyError: a name has no value.
    """

    def put(place: re.Match[str]) -> str:
        text, kind = literal(values[place["name"]]), place["type"]
        return text if kind == "String" else f"CAST({text}, '{kind}')"

    return _PLACE.sub(put, sql)
