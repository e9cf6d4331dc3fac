"""Settings of a source that other programs bring."""

from __future__ import annotations

from typing import Literal

from qraft.config.sources.common import SourceSettings


class ExternalSource(SourceSettings):
    """Events that others bring: programs that publish on NATS, `qraft ingest`, another source's routes."""

    adapter: Literal["external"]
