"""The typed settings behind config.toml: every key, its type, its bounds and its default.

One class a section. Unknown keys are mistakes; `qraft.config.load` turns what pydantic finds into sentences.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from qraft.config.alerts import AlertsSettings
from qraft.config.api import ApiSettings, MetricsSettings
from qraft.config.base import SOURCE_NAME, Probability, Seconds, Section
from qraft.config.detect import DetectSettings
from qraft.config.servers import ClickHouseSettings, NatsSettings
from qraft.config.sources import Source, SourceName, SourceSettings
from qraft.config.store import StoreSettings


class EngineSettings(Section):
    """The daemon."""

    name: Annotated[str, Field(pattern=SOURCE_NAME)] = "main"
    """Name of this engine in statistics and metrics."""
    data_dir: str = "~/.local/share/qraft"
    """Where the embedded servers, run.json and logs live."""
    partitions: Annotated[int, Field(ge=1, le=256)] = 16
    """How many ordered lanes the sources are spread over. Fixed once a stream exists."""
    barrier_seconds: Seconds = 5.0
    """At most so long until what was processed is stored, snapshotted and acknowledged."""
    barrier_rows: Annotated[int, Field(ge=100, le=500_000)] = 10_000
    """A lane also stores after this many events."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""


class PressureSettings(Section):
    """What gives way, step by step, as the engine falls behind the streams; all of it comes back by itself."""

    wait_seconds: Seconds = 2.0
    """So far behind, sources that lose nothing by waiting (files, REST) wait."""
    light_seconds: Seconds = 10.0
    """So far behind, only the cheap detectors judge: novelty, the forest and the clusters rest."""
    archive_seconds: Seconds = 30.0
    """So far behind, events are only stored, not judged."""
    drop_seconds: Seconds = 60.0
    """So far behind, sources whose when_full is not "block" drop what comes."""

    @model_validator(mode="after")
    def _order(self) -> PressureSettings:
        if not self.wait_seconds < self.light_seconds < self.archive_seconds:
            raise ValueError("expected wait_seconds < light_seconds < archive_seconds")
        return self


class FeedbackSettings(Section):
    """What a verdict does to the alert line of its source and detector."""

    step: Annotated[float, Field(gt=0, le=3)] = 0.4
    """How far one verdict moves the line, in log-odds."""
    min_line: Probability = 0.2
    """The lowest the line gets."""
    max_line: Probability = 0.98
    """The highest the line gets."""

    @model_validator(mode="after")
    def _order(self) -> FeedbackSettings:
        if self.min_line >= self.max_line:
            raise ValueError("min_line must be below max_line")
        return self


class TuiSettings(Section):
    """The terminal interface; read when it opens."""

    theme: Literal["", "dark", "light", "ansi", "deuteranopia", "tritanopia", "mono"] = ""
    """Colours; empty chooses by what the terminal can do."""
    language: Literal["", "en", "zh"] = ""
    """Language; empty goes by the locale."""
    zone: Literal["UTC", "local"] = "UTC"
    """Zone in which times are shown at first."""
    fps: Annotated[int, Field(ge=1, le=4)] = 4
    """Most pictures a second; over SSH and in bursts there are 2, and 1 where they cost too much."""
    mouse: bool = False
    """Whether the mouse works; it is never needed, and the terminal's own selecting of text then wants shift."""
    keys: dict[str, str | list[str]] = {}
    """By action, keys in place of its own; `qraft keys` lists the actions."""


class Settings(Section):
    """The whole of config.toml."""

    engine: EngineSettings = EngineSettings()
    pressure: PressureSettings = PressureSettings()
    nats: NatsSettings = NatsSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    store: StoreSettings = StoreSettings()
    api: ApiSettings = ApiSettings()
    metrics: MetricsSettings = MetricsSettings()
    detect: DetectSettings = DetectSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    alerts: AlertsSettings = AlertsSettings()
    tui: TuiSettings = TuiSettings()
    sources: dict[SourceName, Source] = {}

    @field_validator("sources")
    @classmethod
    def _fed(cls, sources: dict[str, SourceSettings]) -> dict[str, SourceSettings]:
        for name, source in sources.items():
            for fed in source.feeds(name):
                if not re.fullmatch(SOURCE_NAME, fed):
                    raise ValueError(f'the source "{fed}", which {name} feeds, has more than 64 characters; shorten {name}')
        return sources

    @property
    def data_dir(self) -> Path:
        """The data directory as a path."""
        return Path(self.engine.data_dir).expanduser()

    def source(self, name: str) -> SourceSettings:
        """The settings of one source: its own, else those of the source that feeds it, else the defaults."""
        found = self.sources.get(name)
        if found is None:
            found = next((s for parent, s in self.sources.items() if name in s.feeds(parent)), None)
        return found if found is not None else SourceSettings()

    def detect_for(self, source: str) -> DetectSettings:
        """The detector settings of one source; a source that has none of its own gets the common ones."""
        return self.source(source).detect or self.detect
