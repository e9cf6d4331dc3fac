"""How `qraft tap` prints an event: one line for people, in columns that grow with what they hold, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from qraft.commands.output import plain

if TYPE_CHECKING:
    from qraft.bus import TapRow
    from qraft.model import DeadLetter, Event

WIDEST: Final = 32
"""A value longer than this does not widen its column."""
LONGEST: Final = 200
"""A text longer than this is cut."""


class Lines:
    """Makes lines of at most ``width`` characters; 0 leaves them as long as they are."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._widest: dict[str, int] = {}

    def published(self, item: Event | DeadLetter) -> str:
        """An event as it was published, or what could not be read."""
        from qraft.model import DeadLetter

        if isinstance(item, DeadLetter):
            return self._cut(
                [_time(item.timestamp), f"unreadable: {item.reason}", _text(item.original.decode("utf-8", "replace"))]
            )
        values = ((str(name), _text(value)) for name, value in item.payload.items())
        return self._cut([_time(item.timestamp), *self._cells(values)])

    def sampled(self, row: TapRow) -> str:
        """An event at one of the engine's stages."""
        start = [_time(row.timestamp), *([row.entity.ljust(self._width_of("", row.entity))] if row.entity else [])]
        if row.reason:
            return self._cut([*start, row.reason, _text(row.original)])
        scores = [self._score(name, value) for name, value in row.scores.items()]
        return self._cut([*start, *scores, *self._cells((name, f"{value:.6g}") for name, value in row.fields.items())])

    def _score(self, name: str, value: float) -> str:
        """Its name and value; how warm it is only until it is, then as much space."""
        text = "" if name == "warm" and value >= 1 else f"{name} {_share(value)}"
        return text.ljust(self._width_of(f" {name}", text))

    def _cells(self, values: Iterable[tuple[str, str]]) -> list[str]:
        return [f"{name}={value.ljust(self._width_of(name, value))}" for name, value in values]

    def _width_of(self, name: str, value: str) -> int:
        widest = self._widest[name] = max(self._widest.get(name, 0), min(len(value), WIDEST))
        return widest

    def _cut(self, parts: Iterable[str]) -> str:
        line = plain("  ".join(part for part in parts if part)).rstrip()
        return f"{line[: self._width - 1]}…" if 0 < self._width < len(line) else line


def as_json(line: bytes) -> str:
    """What was published, as it stands; what is no JSON object, as one that says so."""
    text = line.decode("utf-8", "replace")
    try:
        if isinstance(json.loads(text), dict):
            return text
        reason = "not an object"
    except ValueError as error:
        reason = str(error)
    return json.dumps({"unreadable": reason, "original": text})


def _share(value: float) -> str:
    return "1.0" if value >= 0.995 else f"{value:.2f}"[1:]


def _time(text: str) -> str:
    """A moment to the millisecond, without the date where that is today's."""
    if len(text) < 19 or text[10:11] not in ("T", " "):
        return text
    moment = text[:23].rstrip("Z").replace("T", " ")
    return moment[11:] if moment[:10] == datetime.now(UTC).date().isoformat() else moment


def _text(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
