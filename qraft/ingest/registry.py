"""Which adapter serves which kind of source. Each is imported when the first source of its kind is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from qraft.config.settings import FileSource, HostSource, Source, WebSocketSource
from qraft.ingest.base import Adapter, Clock, Sink

Maker = Callable[[str, Any, Sink, str | None, Clock], Adapter]
"""Makes an adapter of a source's name, its settings, the sink, the cursor to resume behind, and the clock."""


def _file(name: str, settings: FileSource, sink: Sink, resume: str | None, clock: Clock) -> Adapter:
    from qraft.ingest.file import FileAdapter

    return FileAdapter(name, settings, sink, resume=resume, clock=clock)


def _host(name: str, settings: HostSource, sink: Sink, _: str | None, clock: Clock) -> Adapter:
    from qraft.ingest.host import HostAdapter

    return HostAdapter(name, settings, sink, clock=clock)


def _websocket(name: str, settings: WebSocketSource, sink: Sink, _: str | None, clock: Clock) -> Adapter:
    from qraft.ingest.websocket import WebSocketAdapter

    return WebSocketAdapter(name, settings, sink, clock=clock)


ADAPTERS: Final[Mapping[str, tuple[type[Any], Maker]]] = {
    "file": (FileSource, _file),
    "host": (HostSource, _host),
    "websocket": (WebSocketSource, _websocket),
}
"""By name: the model of the settings, and what makes the adapter."""


def make_adapter(name: str, settings: Source, sink: Sink, *, resume: str | None, clock: Clock) -> Adapter:
    """The adapter of a source.

    Args:
        name: name of the source.
        settings: its section of the configuration.
        sink: takes what the adapter reads.
        resume: ``meta["cursor"]`` of the last event of this source that the bus stored; None at the first start.
        clock: tells the time of arrival.
    """
    _, make = ADAPTERS[settings.adapter]
    return make(name, settings, sink, resume, clock)
