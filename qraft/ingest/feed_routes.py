"""Routes at work: which of them a message belongs to, the records it holds, and what each record's event says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from qraft.config.sources.routes import ANYTHING, NAME, Match, Route, glob_regex
from qraft.ingest.records import MISSING, step

REMEMBERED: Final = 4096
"""Combinations of matched texts whose routes are known; beyond, they are forgotten and found anew."""

Captures = Mapping[str, str]
"""By path of a match: the text that the first * of its pattern stood for."""
Getter = Callable[["Found"], Any]
"""What stands at a field path of a record; `MISSING` where nothing does."""


class Found:
    """One record: ``value``, ``around``, the object or array that holds it (or its array), and the whole ``message``."""

    __slots__ = ("around", "captures", "message", "value")

    def __init__(self, value: Any, around: Any, message: Any, captures: Captures) -> None:
        self.value, self.around, self.message, self.captures = value, around, message, captures


def text_of(value: Any) -> str | None:
    """A value as patterns see it: text as it stands, anything else as JSON; None for null and for what is missing."""
    if isinstance(value, str):
        return value
    if value is None or value is MISSING:
        return None
    return msgspec.json.encode(value).decode()


def getter(path: str) -> Getter:
    """What finds a field path; the markers are those of `Route.map`."""
    marker, rest = path[:1], path[2:]
    if marker == "=":
        text = path[1:]
        return lambda _: text
    if marker == "*":
        captured = path[1:]
        return lambda found: found.captures.get(captured, MISSING)
    parts = tuple(rest.split(".")) if rest else ()
    if marker == "$":
        return lambda found: _walk(found.message, parts)
    if marker == "^":
        return lambda found: _walk(found.around, parts)
    if "." not in path:
        return lambda found: found.value.get(path, MISSING)
    steps = tuple(path.split("."))

    def nested(found: Found) -> Any:
        value = found.value.get(path, MISSING)
        return _walk(found.value, steps) if value is MISSING else value

    return nested


def _walk(value: Any, parts: tuple[str, ...]) -> Any:
    for part in parts:
        value = value.get(part, MISSING) if type(value) is dict else step(value, part)
    return value


class Matcher:
    """Finds which of several matches a message fits, and remembers the answer for the texts it depended on."""

    def __init__(self, matches: list[Match]) -> None:
        self._matches = [{path: glob_regex(pattern) for path, pattern in match.items()} for match in matches]
        # Whether something is there can be asked of large values too; their text is never made for that.
        self._exists = [{path for path, pattern in match.items() if pattern == ANYTHING} for match in matches]
        looks = {(path, pattern == ANYTHING): None for match in matches for path, pattern in match.items()}
        self._looks = [(path, tuple(path.split(".")), lone) for path, lone in looks]
        self._known: dict[tuple[str | None, ...], list[tuple[int, Captures]]] = {}

    def of(self, message: Any) -> list[tuple[int, Captures]]:
        """The numbers of the matches that fit, in order, each with its captures."""
        key = tuple(self._look(message, *look) for look in self._looks)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key] = list(self._find(key))
        return known

    def _look(self, message: Any, path: str, parts: tuple[str, ...], lone: bool) -> str | None:
        value = message.get(path, MISSING) if type(message) is dict else MISSING
        if value is MISSING and (len(parts) > 1 or type(message) is not dict):
            value = _walk(message, parts)
        if lone:
            return None if value is None or value is MISSING else ""
        return text_of(value)

    def _find(self, key: tuple[str | None, ...]) -> Iterator[tuple[int, Captures]]:
        texts = {(path, lone): text for (path, _, lone), text in zip(self._looks, key, strict=True)}
        for number, match in enumerate(self._matches):
            captures = {}
            for path, regex in match.items():
                text = texts[path, path in self._exists[number]]
                fits = regex.fullmatch(text) if text is not None else None
                if fits is None:
                    break
                if fits.re.groups:
                    captures[path] = fits.group(1)
            else:
                yield number, captures


@dataclass(frozen=True, slots=True)
class Plan:
    """A route made ready.

    Attributes:
        record: steps to the records; None where the route has no path.
        fields: what the event says, by name; empty where it says what the record does.
        renamed: fields of the record that are in the event under another name.
        time_in_payload: the name under which event time must stand in the event, empty where it need not.
    """

    source: str
    path: str
    record: tuple[str, ...]
    columns: tuple[str, ...]
    newest_first: bool
    fields: tuple[tuple[str, Getter], ...]
    keep: bool
    needs: tuple[str, ...]
    renamed: frozenset[str]
    time: tuple[Getter, ...]
    time_path: str
    time_in_payload: str
    id: tuple[Getter, ...]

    @classmethod
    def of(cls, route: Route, name: str, time: str) -> Plan:
        """The plan of a route of the source ``name``, whose own ``time`` is where the route has none."""
        path = route.record or ""
        own = route.time if route.time is not None else time
        plain = [field for field in route.map.values() if field[:1] not in "$^*="]
        return cls(
            source=route.source.replace(NAME, name) or name,
            path=path,
            record=tuple(path.split(".")) if path else (),
            columns=tuple(route.columns),
            newest_first=route.newest_first,
            fields=tuple((field, getter(where)) for field, where in route.map.items()),
            keep=route.keep,
            needs=tuple(route.needs),
            renamed=frozenset(plain),
            # Where the source says just a name, the time may stand around the record, as many servers have it.
            time=() if not own else (getter(own),) if route.time is not None else (getter(own), getter(f"$.{own}")),
            time_path=own,
            time_in_payload=time if route.time is None else "",
            id=tuple(getter(where) for where in route.id),
        )

    def records(self, message: Any, captures: Captures) -> list[Found] | None:
        """The records of a message in order of time; None where it has none at the path, not even an empty array."""
        found: list[Found] = []
        if not self._collect(Found(message, message, message, captures), 0, found):
            return None
        if self.newest_first:
            found.reverse()
        return found

    def _collect(self, here: Found, at: int, out: list[Found]) -> bool:
        """Adds the records below a place in the message; whether there was room for any."""
        value, around, message, captures = here.value, here.around, here.message, here.captures
        if at < len(self.record):
            inner = step(value, self.record[at])
            if inner is not MISSING:
                return inner is not None and self._collect(Found(inner, value, message, captures), at + 1, out)
            if not isinstance(value, list) or self.record[at].lstrip("-").isdigit():
                return False
            # An array on the way is gone through to its end: any() over a generator would stop early.
            held = [self._collect(Found(one, around, message, captures), at, out) for one in value]
            return any(held)
        rows = isinstance(value, list) and (not self.columns or any(isinstance(one, list | dict) for one in value))
        for one in value if rows else [value] if value != [] else ():
            if self.columns and isinstance(one, list):
                one = {name: cell for name, cell in zip(self.columns, one, strict=False) if name}  # noqa: PLW2901 - named
            out.append(Found(one, around, message, captures))
        return True

    def payload(self, found: Found) -> dict[str, Any] | None:
        """What the event of a record says, without what is not there; None where it says nothing that is needed."""
        record: dict[str, Any] = found.value
        said = self._mapped(found, record) if self.fields else record
        if self.needs and not any(name in said for name in self.needs):
            return None
        return said

    def _mapped(self, found: Found, record: dict[str, Any]) -> dict[str, Any]:
        mapped = {name: value for name, get in self.fields if (value := get(found)) is not MISSING}
        if not self.keep:
            return mapped
        return mapped | {name: value for name, value in record.items() if name not in self.renamed and name not in mapped}
