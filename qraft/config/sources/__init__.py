"""The settings of sources: one model an adapter, built in or brought by another package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from qraft.config.base import SourceName
from qraft.config.sources.common import SourceSettings, WhenFull
from qraft.config.sources.external import ExternalSource
from qraft.config.sources.file import FileSource
from qraft.config.sources.host import HostSource
from qraft.config.sources.nats import NatsSource
from qraft.config.sources.plugins import Plugin, load_plugins
from qraft.config.sources.rest import RestSource
from qraft.config.sources.websocket import WebSocketSource

BUILT_IN: dict[str, type[SourceSettings]] = {
    "host": HostSource,
    "file": FileSource,
    "websocket": WebSocketSource,
    "rest": RestSource,
    "nats": NatsSource,
    "external": ExternalSource,
}
"""The adapters of Qraft itself and the models of their settings."""

PLUGINS: dict[str, Plugin] = load_plugins(set(BUILT_IN))
"""The adapters of other installed packages."""

ADAPTERS: dict[str, type[SourceSettings]] = BUILT_IN | {name: plugin.settings for name, plugin in PLUGINS.items()}
"""Every adapter there is, and the model of its settings."""

if TYPE_CHECKING:
    Source = SourceSettings
else:
    Source = Annotated[Union[tuple(ADAPTERS.values())], Field(discriminator="adapter")]  # noqa: UP007 - made of a tuple

__all__ = [
    "ADAPTERS",
    "BUILT_IN",
    "PLUGINS",
    "ExternalSource",
    "FileSource",
    "HostSource",
    "NatsSource",
    "Plugin",
    "RestSource",
    "Source",
    "SourceName",
    "SourceSettings",
    "WebSocketSource",
    "WhenFull",
]
