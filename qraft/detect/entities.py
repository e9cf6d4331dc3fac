"""The detectors of one source: one set an entity, the least recently seen gives way."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from qraft.config.detect import DetectSettings
from qraft.detect.base import Judgement
from qraft.detect.clusters.peers import Peers
from qraft.detect.entity import EntityDetectors, Verdict
from qraft.detect.guest import Complaint
from qraft.detect.registry import GUESTS
from qraft.detect.report import QUIET
from qraft.detect.silence.arrivals import Arrivals, SourceSilence
from qraft.detect.silence.detector import SilenceAnomaly
from qraft.detect.state import freeze, thaw


class Absent(NamedTuple):
    """What is to be told of an entity without a row of its own, or of the source as a whole (``entity`` is empty)."""

    entity: str
    detector: SilenceAnomaly | SourceSilence
    judgement: Judgement


_NOBODY: list[Absent] = []


class EntityTable:
    """Keeps at most ``max_entities`` entities. What was restored stays bytes until the entity's next row.

    Attributes:
        arrivals: when rows are due.
        evicted: entities that gave way to others, since this table was made.
        absent: what the last `step` or `tick` found of entities without a row; for the caller to take.
        complaints: what is to be told of detectors of other packages, each cause once a source; for the caller to take.
    """

    def __init__(self, settings: DetectSettings) -> None:
        self._settings = settings
        self.arrivals = Arrivals()
        self.evicted = 0
        self.absent = _NOBODY
        self.complaints: list[Complaint] = []
        self._told: set[tuple[str, str]] = set()
        self._peers: Peers | None = None
        self._entities: OrderedDict[str, EntityDetectors | bytes] = OrderedDict()
        self._frozen: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._entities)

    def configure(self, settings: DetectSettings) -> None:
        """Takes new settings; the detectors stay, but for those of other packages whose own settings changed."""
        self._settings = settings
        for entity, detectors in self._entities.items() if GUESTS else ():
            if isinstance(detectors, EntityDetectors):
                self._hear(entity, detectors.configure(settings))
                self._frozen.pop(entity, None)
        self._shrink()

    def step(
        self, entity: str, time_us: int, row: Mapping[str, float], lines: Mapping[str, float], *, light: bool = False
    ) -> Verdict:
        """Judges one row of one entity, then learns it; see `EntityDetectors.step`. Enough entities are compared."""
        verdict = self._step(entity, time_us, row, lines, light=light)
        if GUESTS:
            self._hear_guests(entity)
        peers = self._peers
        if peers is None or light:
            return verdict
        judgement = peers.step(entity, time_us, row, lines[peers.name])
        if judgement is QUIET:
            return verdict
        raised = verdict.raised if judgement.finding is None else [*verdict.raised, (peers, judgement)]
        return verdict._replace(change=max(verdict.change, judgement.onset), raised=raised)

    def _step(
        self, entity: str, time_us: int, row: Mapping[str, float], lines: Mapping[str, float], *, light: bool
    ) -> Verdict:
        found = self._entities.get(entity)
        if isinstance(found, EntityDetectors):
            detectors = found
            self._entities.move_to_end(entity)
        else:
            detectors = EntityDetectors(self._settings) if found is None else self._thawed(entity, found)
            self._entities[entity] = detectors
            self._entities.move_to_end(entity)
            self._shrink()
            peers = self._settings.peers
            if self._peers is None and peers.enabled and len(self._entities) >= peers.min_entities:
                self._peers = Peers(peers)
        self._frozen.pop(entity, None)
        silence = detectors.silence
        if silence is None:
            return detectors.step(time_us, row, lines, light=light)
        arrivals = self.arrivals
        of_source = arrivals.row(entity, time_us, lines[silence.name])
        silence.floor_us, silence.untold = arrivals.floor_us, arrivals.churning
        verdict = detectors.step(time_us, row, lines, light=light)
        arrivals.expect(entity, silence.due_us(), silence.due_gap)
        self._gather(of_source, lines)
        return verdict

    def tick(self, now_us: int, lines: Mapping[str, float]) -> None:
        """Lets time pass without a row, to this moment of event time; `absent` tells who is silent."""
        self._gather(self.arrivals.tick(now_us, lines[SourceSilence.name]), lines)

    def _gather(self, of_source: Judgement | None, lines: Mapping[str, float]) -> None:
        self.absent = [Absent("", SourceSilence(), of_source)] if of_source is not None else _NOBODY
        arrivals = self.arrivals
        for entity in arrivals.overdue():
            found = self._entities.get(entity)
            if found is None:
                arrivals.forget(entity)
                continue
            if arrivals.churning:
                arrivals.expect(entity, math.inf, math.inf)  # until its next row
                continue
            detectors = found if isinstance(found, EntityDetectors) else self._thawed(entity, found)
            self._entities[entity] = detectors
            self._frozen.pop(entity, None)
            silence = detectors.silence
            assert silence is not None  # only those who judge it are expected
            silence.floor_us = arrivals.floor_us
            judgement = silence.silent(arrivals.now_us(), lines[silence.name])
            arrivals.expect(entity, silence.due_us(), silence.due_gap)
            if judgement is not None:
                arrivals.away(entity)
                self.absent = [*self.absent, Absent(entity, silence, judgement)]

    def freeze(self) -> list[tuple[str, bytes]]:
        """Every entity's state, least recently seen first. Those without a row since the last time are not frozen again."""
        out = []
        for name, detectors in self._entities.items():
            data = detectors if isinstance(detectors, bytes) else self._frozen.get(name)
            if data is None:
                data = self._frozen[name] = freeze(detectors)
                self._hear_guests(name)
            out.append((name, data))
        return out

    def thaw(self, entities: list[tuple[str, bytes]]) -> None:
        """Takes up what `freeze` gave."""
        self._entities = OrderedDict(entities)
        self._frozen = {}
        self._shrink()

    def state(self) -> dict[str, Any]:
        """Every entity's state, and what is known of the passing of time."""
        return {"entities": self.freeze(), "arrivals": self.arrivals.state(), "peers": freeze(self._peers)}

    def load(self, state: dict[str, Any]) -> None:
        """Takes up what `state` gave."""
        self.arrivals.load(state["arrivals"])
        peers = thaw(state["peers"])
        if not isinstance(peers, Peers | None):
            raise ValueError("the state of the entities among each other is of another kind")
        self._peers = peers
        self.thaw(state["entities"])

    def _thawed(self, entity: str, data: bytes) -> EntityDetectors:
        detectors = thaw(data)
        if not isinstance(detectors, EntityDetectors):
            raise ValueError(f"the state of entity {entity!r} is of another kind")
        self._hear(entity, detectors.configure(self._settings))
        return detectors

    def _hear_guests(self, entity: str) -> None:
        detectors = self._entities.get(entity)
        if isinstance(detectors, EntityDetectors):
            for guest in detectors.guests:
                if said := guest.complaints():
                    self._hear(entity, said)

    def _hear(self, entity: str, complaints: list[Complaint]) -> None:
        for one in complaints:
            if (one.detector, one.cause) not in self._told:
                self._told.add((one.detector, one.cause))
                whose = f'; first for entity "{entity}", told once' if entity else ""
                self.complaints.append(one._replace(text=f"{one.text}{whose}"))

    def _shrink(self) -> None:
        while len(self._entities) > self._settings.max_entities:
            name, _ = self._entities.popitem(last=False)
            self._frozen.pop(name, None)
            self.evicted += 1
            self.arrivals.forget(name)
            if self._peers is not None:
                self._peers.forget(name)
