"""A pipeline whose faults end neither the engine nor the stream: what it cannot take becomes a dead letter."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from qraft.config import Settings
from qraft.engine.counting import Memory
from qraft.engine.meters import Meters
from qraft.model import TICK, DeadLetter, Event, Feedback, Level, derive_id, encode
from qraft.pipeline import Pipeline, Result

log = logging.getLogger(__name__)


class Judge:
    """Drives one pipeline and counts the time it takes. Runs on the pipeline's thread.

    Attributes:
        failures: how often the pipeline failed.
    """

    def __init__(self, name: str, settings: Settings, meters: Meters, monotonic: Callable[[], float]) -> None:
        self._name, self._settings, self._meters, self._monotonic = name, settings, meters, monotonic
        self._pipeline = self._anew()
        self.failures = 0

    def step(self, batch: Sequence[Event | Feedback], level: Level = "full") -> Result:
        """The pipeline's result, with as much done as ``level`` says.

        Should the pipeline fail, which is a fault of this program, its detectors start anew; should they fail again, the
        items are taken one by one, and those that cannot be are dead letters.
        """
        begun, before = self._monotonic(), self._pipeline.preprocess_seconds
        try:
            result = self._pipeline.step(batch, level=level)
        except Exception:  # whatever it is, the stream must go on
            log.exception("%s: the pipeline failed; its detectors start anew", self._name)
            self.failures += 1
            before, self._pipeline = 0.0, self._anew()
            result = self._retried(batch, level)
        preprocess = self._pipeline.preprocess_seconds - before
        self._meters.preprocess.seconds += preprocess
        self._meters.detect.seconds += self._monotonic() - begun - preprocess
        return result

    def snapshot(self) -> bytes:
        """The pipeline's whole state."""
        return self._pipeline.snapshot()

    def restore(self, state: bytes) -> None:
        """Takes up a state; one that cannot be read (made by another version, for example) leaves the detectors fresh."""
        try:
            self._pipeline.restore(state)
        except ValueError as error:
            log.warning("%s: %s; its detectors start anew", self._name, error)

    def reconfigure(self, settings: Settings) -> None:
        """Takes new settings; state stays where its own settings did not change."""
        self._settings = settings
        self._pipeline.reconfigure(settings)

    def lines(self) -> dict[str, dict[str, float]]:
        """The alert line of every detector of every source seen."""
        return self._pipeline.lines()

    def memory(self, source: str) -> Memory | None:
        """How much is remembered of a source, and what had to give way; None for one that was not seen."""
        known = self._pipeline.look(source)
        if known is None:
            return None
        entities, own = known.entities, known.preprocess
        return Memory(len(entities), entities.evicted, own.evicted, own.shortened, known.lines)

    def _anew(self) -> Pipeline:
        return Pipeline(self._settings, stopwatch=self._monotonic)

    def _retried(self, batch: Sequence[Event | Feedback], level: Level) -> Result:
        try:
            return self._pipeline.step(batch, level=level)
        except Exception:  # as above
            self._pipeline = self._anew()
        return _joined([self._alone(item, level) for item in batch])

    def _alone(self, item: Event | Feedback, level: Level) -> Result:
        try:
            return self._pipeline.step([item], level=level)
        except Exception as error:
            log.exception("%s: the pipeline cannot take %s", self._name, item)
            self._pipeline = self._anew()
            return _given_up(item, error)


def _joined(results: Sequence[Result]) -> Result:
    return Result(
        clean=[one for result in results for one in result.clean],
        patterns=[one for result in results for one in result.patterns],
        dead=[one for result in results for one in result.dead],
        feedback=[one for result in results for one in result.feedback],
        scores=[one for result in results for one in result.scores],
        dropped_fields=dict(sum((Counter(result.dropped_fields) for result in results), Counter())),
        late=[one for result in results for one in result.late],
        duplicates=[one for result in results for one in result.duplicates],
        filtered=[one for result in results for one in result.filtered],
        notices=[one for result in results for one in result.notices],
        archived=sum(result.archived for result in results),
    )


def _given_up(item: Event | Feedback, error: Exception) -> Result:
    if isinstance(item, Feedback):
        return Result([], [], [], [item], [], [], [])
    if item.type == TICK:
        return Result([], [], [], [], [], [], [])
    letter = DeadLetter(
        dead_id=derive_id("dead", "pipeline", item.source, item.event_id),
        source=item.source,
        timestamp=item.timestamp,
        stage="preprocess",
        reason=f"internal fault: {error!r}",
        original=encode(item),
    )
    return Result([], [], [letter], [], [None], [], [])
