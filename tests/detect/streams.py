"""Generated streams for the tests of detection: rows, events, and judging them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from random import Random

from qraft.config import Settings
from qraft.config.detect import (
    DetectSettings,
)
from qraft.config.sources import FileSource
from qraft.detect import DETECTORS, LINED, EntityDetectors, Finding
from qraft.model import Event, event_id, iso_from_us

Row = dict[str, float]

START_US = 1_700_000_000_000_000
LINES = dict.fromkeys(LINED, 0.5)


def noise(rows: int, fields: int = 3, seed: int = 0) -> list[Row]:
    """Independent normal values around 0."""
    draw = Random(seed)
    return [{f"f{field}": draw.gauss(0.0, 1.0) for field in range(fields)} for _ in range(rows)]


def walk(rows: int, fields: int = 3, seed: int = 0) -> list[Row]:
    """Independent random walks from 100."""
    out, at = [], dict.fromkeys((f"f{field}" for field in range(fields)), 100.0)
    for step in noise(rows, fields, seed):
        at = {name: at[name] + step[name] for name in at}
        out.append(at)
    return out


def cycle(rows: int, period: int = 1440, height: float = 3.0, fields: int = 3, seed: int = 0) -> list[Row]:
    """Daily sines out of step with each other, in noise of spread 1."""
    return [
        {
            name: 10.0 + height * math.sin(2.0 * math.pi * (at / period + 0.13 * turn)) + value
            for turn, (name, value) in enumerate(row.items())
        }
        for at, row in enumerate(noise(rows, fields, seed))
    ]


def eventful(rows: int, seed: int = 3) -> list[Row]:
    """Three fields and an entity with everything in it: shifts, spreads, spikes, gaps, a field that comes later, one that
    stands still for a while, one that is missing."""
    draw = Random(seed)
    out = noise(rows, 3, seed)
    for at, row in enumerate(out):
        row["f1"] += 5.0 * (at // 1500 % 2)
        row["f2"] *= 1.0 + 2.0 * (at // 2000 % 2)
        if at % 701 == 0:
            row["f0"] = 40.0
        if draw.random() < 0.05:
            del row["f2"]
        if at > rows // 2:
            row["late"] = draw.gauss(0.0, 1.0)
        if 0.7 * rows <= at < 0.7 * rows + 60:
            row["f1"] = 2.5
        if 0.8 * rows <= at < 0.8 * rows + 60:
            del row["f0"]
        row["sensor"] = float(at % 3 == 0)
    return out


def events(rows: Iterable[Mapping[str, object]], source: str = "s", start: int = 0) -> list[Event]:
    """One event a row, a second apart."""
    return [
        Event(
            event_id=event_id(source, str(at)),
            source=source,
            type="row",
            timestamp=iso_from_us(START_US + at * 1_000_000),
            payload=dict(row),
        )
        for at, row in enumerate(rows, start)
    ]


def by_sensor() -> Settings:
    """Settings under which `eventful` has two entities."""
    return Settings(sources={"s": FileSource(adapter="file", path="rows.csv", entity="sensor")})


def only(detector: str) -> DetectSettings:
    """Settings with one detector."""
    return DetectSettings.model_validate({name: {"enabled": name == detector} for name in DETECTORS})


def findings(
    rows: Iterable[Row], settings: DetectSettings | None = None, line: float = 0.5
) -> list[tuple[int, str, float, Finding]]:
    """Row number, detector, confidence and finding of everything that is raised."""
    detectors = EntityDetectors(settings or DetectSettings())
    out = []
    for at, row in enumerate(rows):
        for detector, judgement in detectors.step(START_US + at * 1_000_000, row, dict.fromkeys(DETECTORS, line)).raised:
            assert judgement.finding is not None
            out.append((at, detector.name, judgement.onset, judgement.finding))
    return out
