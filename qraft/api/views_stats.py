"""What engines say of themselves, as the REST interface answers it: the keys of `qraft.model.EngineStats`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Literal

import msgspec
from pydantic import BaseModel, ConfigDict

from qraft.api import examples
from qraft.bus import StreamLevel
from qraft.model import EngineStats, Level

_DOCUMENTED = ConfigDict(use_attribute_docstrings=True)


class SourceStatsView(BaseModel):
    """One source in an engine's statistics. Totals count since the engine started."""

    model_config = _DOCUMENTED

    source: str
    adapter: str = ""
    state: Literal["starting", "running", "retrying", "paused", "finished", "failed", "external"] = "starting"
    detail: str = ""
    rate: float = 0.0
    """Events a second now."""
    lag_seconds: float = 0.0
    read: int = 0
    processed: int = 0
    patterns: int = 0
    late: int = 0
    duplicates: int = 0
    dead: int = 0
    dropped: int = 0
    """What the source's when_full gave up."""
    missing: int = 0
    """What gaps in the feed's own sequence say never came."""
    entities: int = 0
    score: float = 0.0
    warm: float = 0.0
    last_event: str = ""


class StageStatsView(BaseModel):
    """One stage (ingest, preprocess, detect, store) in an engine's statistics."""

    model_config = _DOCUMENTED

    stage: str
    received: int = 0
    sent: int = 0
    dropped: int = 0
    late: int = 0
    seconds: float = 0.0
    """Time spent in it."""
    depth: int = 0
    """Events that wait in it."""
    lag_seconds: float = 0.0
    """How long the oldest of them has waited."""
    reasons: dict[str, int] = {}
    """``dropped`` by reason."""


class NoticeView(BaseModel):
    """Something an operator should see that is no pattern."""

    model_config = _DOCUMENTED

    timestamp: str
    source: str
    """The one it is about; empty for the engine as a whole."""
    kind: str
    text: str


class EngineStatsView(BaseModel):
    """What an engine says of itself once a second."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ENGINE]}, use_attribute_docstrings=True)

    engine: str
    timestamp: str
    state: Literal["starting", "running", "waiting", "stopping"]
    detail: str = ""
    """The part it waits for."""
    nats: bool = True
    clickhouse: bool = True
    uptime_seconds: float = 0.0
    rate: float = 0.0
    """Events a second now."""
    lag_seconds: float = 0.0
    """How long the oldest event not yet processed has stood in the stream."""
    pending: int = 0
    """Messages that wait there."""
    rss_bytes: int = 0
    level: Level = "full"
    """How much it does with an event, under load less."""
    config_error: str = ""
    """Why an edit of the configuration was refused."""
    notices: list[NoticeView] = []
    """The latest, oldest first."""
    notice_counts: dict[str, int] = {}
    sources: list[SourceStatsView] = []
    stages: list[StageStatsView] = []

    @classmethod
    def of(cls, stats: EngineStats) -> EngineStatsView:
        """The view of what an engine said."""
        return cls.model_validate(msgspec.to_builtins(stats))


class StreamView(BaseModel):
    """How full a stream of NATS is."""

    model_config = _DOCUMENTED

    stream: str
    messages: int
    bytes: int
    max_bytes: int
    """Its limit; -1 without one."""
    first_sequence: int
    last_sequence: int


class PartsView(BaseModel):
    """What the engine and this server stand on."""

    model_config = _DOCUMENTED

    nats: bool
    """Whether this server reaches it."""
    clickhouse: bool
    """Whether this server reaches it."""
    streams: list[StreamView]
    """Those that are there; empty while NATS is away."""


class StatsView(BaseModel):
    """What every engine that runs now says, and the parts it stands on."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.STATS]}, use_attribute_docstrings=True)

    engines: list[EngineStatsView]
    """By name; one that was silent for five seconds is gone."""
    parts: PartsView

    @classmethod
    def assemble(
        cls, engines: Iterable[EngineStats], levels: Iterable[StreamLevel] | None, *, clickhouse: bool
    ) -> StatsView:
        """What was heard; ``levels`` is None while NATS is away."""
        return cls(
            engines=[EngineStatsView.of(one) for one in sorted(engines, key=lambda one: one.engine)],
            parts=PartsView(
                nats=levels is not None,
                clickhouse=clickhouse,
                streams=[StreamView.model_validate(asdict(level)) for level in levels or ()],
            ),
        )
