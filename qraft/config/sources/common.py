"""What every source has, whatever brings its events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from qraft.config.base import Section
from qraft.config.detect import DetectSettings
from qraft.config.sources.steps import Step

WhenFull = Literal["block", "drop_newest", "sample"]


class SourceSettings(Section):
    """What every source has, whatever brings its events. An adapter's own settings derive from this."""

    can_wait: ClassVar[bool] = False
    """Whether the source loses nothing by being read later, as a file does."""

    adapter: str = ""
    """What brings the events."""
    enabled: bool = True
    """Whether the engine reads this source."""
    fields: list[str] = []
    """Numeric fields to watch; empty watches all."""
    exclude: list[str] = []
    """Numeric fields not to watch, such as running ids."""
    entity: str = ""
    """Field whose value splits the source (symbol, host, sensor); each value is judged on its own."""
    time: str = ""
    """Field that holds event time; empty takes the time of arrival."""
    allowed_lateness_seconds: Annotated[float, Field(ge=0)] = 3600.0
    """Events older than the newest by more than this are stored but not judged."""
    when_full: WhenFull = "block"
    """What happens when the engine cannot keep up: wait, drop what comes, or keep every n-th event, as few as must be."""
    steps: list[Step] = []
    """What is done to the rows before they are judged, in this order."""
    detect: DetectSettings | None = None
    """Detector settings of this source alone, in place of [detect]."""

    @property
    def place(self) -> str:
        """Where the events come from, in a few words."""
        return "what others publish"

    def anchored(self, folder: Path) -> Self:  # noqa: ARG002 - who has paths overrides this
        """These settings with relative paths made to start at ``folder``."""
        return self

    def feeds(self, name: str) -> tuple[str, ...]:  # noqa: ARG002 - who routes overrides this
        """Other sources that get events from this one, which is called ``name``; unless configured they are like it."""
        return ()
