"""The pattern that a judgement raises, as it goes on the wire."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from qraft.detect.base import Judgement, Named
from qraft.model import CleanEvent, Contributor, Details, Pattern, iso_from_us, pattern_id


def pattern_of(
    clean: CleanEvent, identity: str, raised: tuple[Named, Judgement], line: float, origins: Mapping[str, str]
) -> Pattern:
    """The pattern of a judgement; its id is made of ``identity``."""
    detector, judgement = raised
    finding = judgement.finding
    assert finding is not None  # a raised judgement has one
    return Pattern(
        pattern_id=pattern_id(identity, detector.name, detector.type),
        type=detector.type,
        timestamp=iso_from_us(clean.time_us),
        source=clean.source,
        details=Details(
            prev_state=finding.prev_state, new_state=finding.new_state, metrics=finding.metrics, confidence=judgement.onset
        ),
        contributors=[_traced(one, origins) for one in finding.contributors],
        detector=detector.name,
        event_id=clean.event_id,
        entity=clean.entity,
        line=line,
        summary=finding.summary,
        kind=finding.kind,
        began=iso_from_us(finding.began_us) if finding.began_us is not None else "",
    )


def _traced(contributor: Contributor, origins: Mapping[str, str]) -> Contributor:
    origin = origins.get(contributor.field)
    return msgspec.structs.replace(contributor, origin=origin) if origin else contributor
