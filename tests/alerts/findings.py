"""Findings for tests of alerts."""

from __future__ import annotations

from typing import Any

from qraft.config import parse
from qraft.config.alerts import AlertsSettings
from qraft.model import Contributor, Details, Feedback, Pattern, PatternType, Verdict, iso_from_us

S = 1_000_000
MINUTE = 60 * S
HOUR = 60 * MINUTE
START = 1_767_225_600 * S
"""2026-01-01T00:00:00Z, a Thursday."""


def finding(
    number: int | str,
    confidence: float = 0.8,
    *,
    source: str = "host",
    entity: str = "",
    kind: PatternType = "drift",
    detector: str = "drift",
    time_us: int = START,
    began_us: int | None = None,
    what: str = "mean",
) -> Pattern:
    return Pattern(
        pattern_id=f"pattern-{number}",
        type=kind,
        timestamp=iso_from_us(time_us),
        source=source,
        entity=entity,
        detector=detector,
        kind=what,
        began="" if began_us is None else iso_from_us(began_us),
        summary=f"{source}: cpu rose",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=confidence),
        contributors=[
            Contributor(field="load", score=0.3),
            Contributor(field="cpu", score=0.7, before=10.0, after=93.25),
        ],
    )


def verdict(
    number: int | str, word: Verdict = "confirmed", *, identity: str = "f1", user: str = "ann", **keys: Any
) -> Feedback:
    return Feedback(
        feedback_id=identity,
        pattern_id=f"pattern-{number}",
        verdict=word,
        timestamp=iso_from_us(START),
        source="host",
        user=user,
        **keys,
    )


def settings(rule: str = "", more: str = "") -> AlertsSettings:
    """One rule ``r`` to the target ``ops``, with these further lines of TOML."""
    text = (
        '[alerts]\n[alerts.targets.ops]\nurl_env = "OPS"\n[alerts.targets.boss]\nurl_env = "BOSS"\n'
        f'[alerts.rules.r]\nto = ["ops"]\n{rule}\n{more}'
    )
    return parse(text).alerts
