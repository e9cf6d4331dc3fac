"""Server-sent events, line by line (HTML Living Standard, section 9.2.6)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event; ``last_id`` is the id to resume after."""

    name: str
    data: str
    last_id: str


@dataclass(slots=True)
class EventDecoder:
    """Makes events of lines.

    Attributes:
        last_id: the id of the last event that had one; a new connection sends it as Last-Event-ID.
        retry_seconds: how long the server wants a client to wait before it connects again; None where it did not say.
    """

    last_id: str = ""
    retry_seconds: float | None = None
    _name: str = ""
    _data: list[str] = field(default_factory=list)

    def line(self, text: str) -> ServerEvent | None:
        """Takes a line without its end; the event that it completes, if it does."""
        if not text:
            return self._complete()
        key, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            self._name = value
        elif key == "data":
            self._data.append(value)
        elif key == "id" and "\0" not in value:
            self.last_id = value
        elif key == "retry" and value.isdecimal():
            self.retry_seconds = int(value) / 1000
        return None

    def cut(self) -> None:
        """The connection ended: what is not complete is forgotten."""
        self._name, self._data = "", []

    def _complete(self) -> ServerEvent | None:
        name, data = self._name or "message", self._data
        self.cut()
        return ServerEvent(name, "\n".join(data), self.last_id) if data else None
