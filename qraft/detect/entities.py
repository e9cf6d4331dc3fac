"""The detectors of one source: one set an entity, the least recently seen gives way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from qraft.config.detect import DetectSettings
from qraft.detect.entity import EntityDetectors, Verdict
from qraft.detect.state import freeze, thaw


class EntityTable:
    """Keeps at most ``max_entities`` entities. What was restored stays bytes until the entity's next row."""

    def __init__(self, settings: DetectSettings) -> None:
        self._settings = settings
        self._entities: OrderedDict[str, EntityDetectors | bytes] = OrderedDict()
        self._frozen: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._entities)

    def configure(self, settings: DetectSettings) -> None:
        """Takes new settings; the detectors stay."""
        self._settings = settings
        self._shrink()

    def step(
        self, entity: str, time_us: int, row: Mapping[str, float], lines: Mapping[str, float], *, light: bool = False
    ) -> Verdict:
        """Judges one row of one entity, then learns it; see `EntityDetectors.step`."""
        found = self._entities.get(entity)
        if isinstance(found, EntityDetectors):
            detectors = found
            self._entities.move_to_end(entity)
        else:
            detectors = EntityDetectors(self._settings) if found is None else _thawed(entity, found)
            self._entities[entity] = detectors
            self._entities.move_to_end(entity)
            self._shrink()
        self._frozen.pop(entity, None)
        return detectors.step(time_us, row, lines, light=light)

    def freeze(self) -> list[tuple[str, bytes]]:
        """Every entity's state, least recently seen first. Those without a row since the last time are not frozen again."""
        out = []
        for name, detectors in self._entities.items():
            data = detectors if isinstance(detectors, bytes) else self._frozen.get(name)
            if data is None:
                data = self._frozen[name] = freeze(detectors)
            out.append((name, data))
        return out

    def thaw(self, entities: list[tuple[str, bytes]]) -> None:
        """Takes up what `freeze` gave."""
        self._entities = OrderedDict(entities)
        self._frozen = {}
        self._shrink()

    def _shrink(self) -> None:
        while len(self._entities) > self._settings.max_entities:
            name, _ = self._entities.popitem(last=False)
            self._frozen.pop(name, None)


def _thawed(entity: str, data: bytes) -> EntityDetectors:
    detectors = thaw(data)
    if not isinstance(detectors, EntityDetectors):
        raise ValueError(f"the state of entity {entity!r} is of another kind")
    return detectors
