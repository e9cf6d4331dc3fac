"""Which adapter serves which kind of source. Each is imported when the first source of its kind is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from qraft.ingest.base import Adapter, Clock, Sink

if TYPE_CHECKING:  # adapters of other packages import this package while the configuration, which loads them, is imported
    from qraft.config.sources import FileSource, HostSource, NatsSource, RestSource, SourceSettings, WebSocketSource

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


def _rest(name: str, settings: RestSource, sink: Sink, resume: str | None, clock: Clock) -> Adapter:
    from qraft.ingest.rest import RestAdapter

    return RestAdapter(name, settings, sink, resume=resume, clock=clock)


def _nats(name: str, settings: NatsSource, sink: Sink, resume: str | None, clock: Clock) -> Adapter:
    from qraft.ingest.nats import NatsAdapter

    return NatsAdapter(name, settings, sink, resume=resume, clock=clock)


MAKERS: Final[Mapping[str, Maker]] = {"file": _file, "host": _host, "websocket": _websocket, "rest": _rest, "nats": _nats}
"""What makes each adapter of Qraft itself."""


def is_read(settings: SourceSettings) -> bool:
    """Whether there is something to run for a source; others bring the events of an external one."""
    from qraft.config.sources import PLUGINS

    return settings.adapter in MAKERS or settings.adapter in PLUGINS


def make_adapter(name: str, settings: SourceSettings, sink: Sink, *, resume: str | None, clock: Clock) -> Adapter:
    """The adapter of a source.

    Args:
        name: name of the source.
        settings: its section of the configuration.
        sink: takes what the adapter reads.
        resume: ``meta["cursor"]`` of the last event of this source that the bus stored; None at the first start.
        clock: tells the time of arrival.
    """
    from qraft.config.sources import PLUGINS

    make: Maker = MAKERS[settings.adapter] if settings.adapter in MAKERS else PLUGINS[settings.adapter].make
    return make(name, settings, sink, resume, clock)
