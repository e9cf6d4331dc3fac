"""The dashboard of detector quality: how often the findings are right, how soon they come, and where the lines stand."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit import (
    BLUE,
    DATABASE,
    DETECTOR,
    DETECTORS,
    ENGINE,
    GREEN,
    IN_DETECTORS,
    IN_SOURCES,
    ORANGE,
    RED,
    SOURCE,
    SOURCES,
    YELLOW,
    Ask,
    Sql,
    assemble,
    bars,
    grid,
    heat,
    lines,
    number,
    quantiles,
)
from qraft.store.verdicts import in_force

_GOOD: Final = ((None, RED), (0.5, ORANGE), (0.7, YELLOW), (0.85, GREEN))
_JUDGED: Final = (
    "(SELECT p.source AS source, p.detector AS detector, p.confidence AS confidence, v.verdict AS verdict\n"
    "FROM (SELECT * FROM ${database}.pattern_events FINAL\n"
    f"WHERE $__timeFilter(ingested_at) AND {IN_SOURCES} AND {IN_DETECTORS}) AS p\n"
    f"LEFT JOIN ({in_force('${database}')}) AS v ON v.pattern_id = p.pattern_id)"
)
"""Patterns of the time that is shown, each with the verdict in force, empty where there is none."""


def _precision(by: str) -> str:
    right = f'sum by ({by}) (increase(qraft_verdicts_total{{{DETECTOR}, verdict="confirmed"}}[$__range]))'
    judged = f'sum by ({by}) (increase(qraft_verdicts_total{{{DETECTOR}, verdict=~"confirmed|false_positive"}}[$__range]))'
    return f"{right} / ({judged} > 0)" if by else f"{right} / ({judged} > 0)".replace("sum by ()", "sum")


def quality() -> Dashboard:
    """Detector quality."""
    right = (
        number(
            "Precision",
            "Confirmed patterns over confirmed and false positives, of the verdicts given within the time that is shown.",
            Ask(_precision("")),
            unit="percentunit",
            steps=_GOOD,
            decimals=0,
        ),
        number(
            "Precision in force",
            "The same of the patterns found within the time that is shown, with the verdict that holds now: an undo counts.",
            Sql(
                "SELECT countIf(verdict = 'confirmed') / nullIf(countIf(verdict IN ('confirmed', 'false_positive')), 0)\n"
                "    AS precision\n"
                f"FROM {_JUDGED}"
            ),
            unit="percentunit",
            steps=_GOOD,
            decimals=0,
        ),
        number(
            "Judged",
            "Share of the patterns that have a verdict. Where it is small, precision says little.",
            Sql(f"SELECT countIf(verdict != '') / nullIf(count(), 0) AS judged\nFROM {_JUDGED}"),
            unit="percentunit",
            steps=((None, ORANGE), (0.1, GREEN)),
            decimals=0,
        ),
        number(
            "Patterns",
            "Found within the time that is shown.",
            Ask(f"sum(increase(qraft_patterns_total{{{DETECTOR}}}[$__range]))"),
            unit="locale",
            steps=((None, BLUE),),
            decimals=0,
        ),
        number(
            "Patterns a thousand events",
            "How often the detectors speak.",
            Ask(
                f"1000 * sum(increase(qraft_patterns_total{{{DETECTOR}}}[$__range]))"
                f" / sum(increase(qraft_source_processed_total{{{SOURCE}}}[$__range]))"
            ),
            steps=((None, GREEN), (5, YELLOW), (20, RED)),
            decimals=2,
        ),
        number(
            "Warm-up",
            "Share of the warm-up that is done, of the source that is furthest from its end.",
            Ask(f"min(qraft_source_warm_ratio{{{SOURCE}}})"),
            unit="percentunit",
            steps=((None, YELLOW), (1, GREEN)),
        ),
        bars(
            "Precision by detector",
            "Of the verdicts given within the time that is shown; a detector without one is left out.",
            Ask(_precision("detector"), "{{detector}}"),
            unit="percentunit",
            steps=_GOOD,
            most=1,
        ),
        bars(
            "Precision by source",
            "Of the verdicts given within the time that is shown.",
            Ask(_precision("source"), "{{source}}"),
            unit="percentunit",
            steps=_GOOD,
            most=1,
        ),
        lines(
            "Verdicts",
            "Given a minute, by verdict.",
            Ask(f"sum by (verdict) (rate(qraft_verdicts_total{{{DETECTOR}}}[$__rate_interval])) * 60", "{{verdict}}"),
            unit="cpm",
            stacked=True,
        ),
        bars(
            "Confirmed by confidence",
            "Share that operators confirmed, by the pattern's confidence: of a well-calibrated detector it rises.",
            Sql(
                "SELECT concat(toString(floor(confidence * 10) * 10), ' %') AS band,\n"
                "    countIf(verdict = 'confirmed') / count() AS confirmed\n"
                f"FROM {_JUDGED}\n"
                "WHERE verdict IN ('confirmed', 'false_positive')\nGROUP BY band, floor(confidence * 10)\n"
                "ORDER BY floor(confidence * 10)"
            ),
            unit="percentunit",
            most=1,
            rows=True,
        ),
        grid(
            "Detectors by source",
            "What each detector found in each source, and what operators said of it, with the verdicts in force.",
            Sql(
                "SELECT source, detector, count() AS patterns, countIf(verdict = 'confirmed') AS confirmed,\n"
                "    countIf(verdict = 'false_positive') AS false_positive, countIf(verdict = 'expected') AS expected,\n"
                "    countIf(verdict = 'new_normal') AS new_normal, countIf(verdict = '') AS unjudged,\n"
                "    confirmed / nullIf(confirmed + false_positive, 0) AS precision\n"
                f"FROM {_JUDGED}\nGROUP BY source, detector ORDER BY patterns DESC"
            ),
            width=16,
            height=8,
            units={"precision": "percentunit"},
        ),
    )
    spoken = (
        lines(
            "Patterns by detector",
            "Found an hour.",
            Ask(f"sum by (detector) (rate(qraft_patterns_total{{{DETECTOR}}}[$__rate_interval])) * 3600", "{{detector}}"),
            stacked=True,
            width=12,
        ),
        heat(
            "Confidence",
            "How sure the detectors were of what they raised.",
            "qraft_pattern_confidence",
            f'{ENGINE}, detector=~"$detector"',
            unit="percentunit",
        ),
        lines(
            "Alert lines",
            "The confidence from which each detector raises a pattern. Many false positives push a line up.",
            Ask(f"avg by (source, detector) (qraft_alert_line{{{DETECTOR}}})", "{{source}} {{detector}}"),
            unit="percentunit",
            most=1,
            width=12,
        ),
        lines(
            "Delay",
            "From the arrival of the event behind a pattern until the pattern was on the bus.",
            *quantiles("qraft_pattern_delay_seconds", ENGINE, 0.5, 0.95, 0.99),
            unit="s",
            steps=((None, GREEN), (2, RED)),
            width=12,
        ),
    )
    return assemble(
        "qraft-detectors",
        "Qraft / Detector quality",
        "How often the findings are right, how soon they come, and what the operators' verdicts did.",
        (("Are they right", right), ("What they say", spoken)),
        (SOURCES, DETECTORS, DATABASE),
    )
