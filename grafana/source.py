"""The dashboard of a source: what comes, what is lost on the way, what its detectors say."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit import (
    BLUE,
    DATABASE,
    GREEN,
    GREY,
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
    lines,
    number,
    states,
)

_CODES: Final = {"running": 1, "external": 2, "starting": 3, "retrying": 4, "paused": 5, "finished": 6, "failed": 7}
_WORDS: Final = {
    "1": ("running", GREEN),
    "2": ("external", GREEN),
    "3": ("starting", BLUE),
    "4": ("retrying", ORANGE),
    "5": ("paused", GREY),
    "6": ("finished", BLUE),
    "7": ("failed", RED),
}


def source() -> Dashboard:
    """Source."""
    state = " + ".join(
        f'sum without (state) (qraft_source_state{{{SOURCE}, state="{name}"}}) * {code}' for name, code in _CODES.items()
    )
    comes = (
        number(
            "Sources",
            "How many of the chosen sources are running, fed by others, or not.",
            Ask(f"sum by (state) (qraft_source_state{{{SOURCE}}}) > 0", "{{state}}"),
            steps=((None, BLUE),),
            width=6,
        ),
        number(
            "Events",
            "Processed a second.",
            Ask(f"sum(rate(qraft_source_processed_total{{{SOURCE}}}[$__rate_interval]))"),
            unit="eps",
            steps=((None, BLUE),),
        ),
        number(
            "Last event",
            "How long ago the last event came, of the source that has been quiet longest.",
            Ask(f"max(time() - qraft_source_last_arrival_timestamp_seconds{{{SOURCE}}})"),
            unit="s",
            steps=((None, GREEN), (300, YELLOW), (900, RED)),
        ),
        number(
            "Patterns",
            "Found within the time that is shown.",
            Ask(f"sum(increase(qraft_patterns_total{{{SOURCE}}}[$__range]))"),
            unit="locale",
            steps=((None, BLUE),),
            decimals=0,
        ),
        number(
            "Warm-up",
            "Share of the detectors' warm-up that is done; below 100 % they stay quiet.",
            Ask(f"min(qraft_source_warm_ratio{{{SOURCE}}})"),
            unit="percentunit",
            steps=((None, YELLOW), (1, GREEN)),
            width=6,
        ),
        states("State", "What state the source was in.", Ask(state, "{{source}}"), _WORDS, width=12),
        lines(
            "Events",
            "Read and stored on the bus, and processed.",
            Ask(f"sum by (source) (rate(qraft_source_read_total{{{SOURCE}}}[$__rate_interval]))", "{{source}} read"),
            Ask(
                f"sum by (source) (rate(qraft_source_processed_total{{{SOURCE}}}[$__rate_interval]))", "{{source}} processed"
            ),
            unit="eps",
            width=12,
        ),
        lines(
            "Delay",
            "From arrival in the stream until judged, for the last event.",
            Ask(f"qraft_source_lag_seconds{{{SOURCE}}}", "{{source}}"),
            unit="s",
        ),
        lines(
            "Event time against the clock",
            "How far the event time of the last row is behind now. It grows for a feed that lags, and for history.",
            Ask(f"time() - qraft_source_last_event_timestamp_seconds{{{SOURCE}}}", "{{source}}"),
            unit="s",
        ),
        lines(
            "Entities",
            "Entities that are judged, and how many a second gave way to others. Those that give way start anew.",
            Ask(f"qraft_source_entities{{{SOURCE}}}", "{{source}}"),
            Ask(
                f"sum by (source) (rate(qraft_source_entities_evicted_total{{{SOURCE}}}[$__rate_interval])"
                f" + rate(qraft_source_features_evicted_total{{{SOURCE}}}[$__rate_interval]))",
                "{{source}} evicted",
            ),
        ),
    )
    lost = (
        lines(
            "Not judged",
            "Late events and repeats, what filters left out, what could not be used or was given up, and what never came.",
            *(
                Ask(
                    f"sum by (source) (rate(qraft_source_{name}_total{{{SOURCE}}}[$__rate_interval]))",
                    f"{{{{source}}}} {word}",
                )
                for name, word in (
                    ("late", "late"),
                    ("duplicates", "repeated"),
                    ("filtered", "filtered"),
                    ("dead_letters", "dead"),
                    ("missing", "missing"),
                )
            ),
            Ask(
                f"sum by (source, reason) (rate(qraft_source_dropped_total{{{SOURCE}}}[$__rate_interval]))",
                "{{source}} given up: {{reason}}",
            ),
            unit="eps",
            width=12,
        ),
        bars(
            "Dead letters by reason",
            "Input that could not be used within the time that is shown. `qraft tap SOURCE --stage dead` shows it.",
            Ask(f"sum by (reason) (increase(qraft_source_dead_letters_total{{{SOURCE}}}[$__range]))", "{{reason}}"),
            unit="locale",
            steps=((None, GREEN), (1, ORANGE)),
            width=6,
        ),
        lines(
            "Values left out",
            "Numbers that were not finite, out of range or beyond a bound, and values that left a rolling duration early.",
            Ask(f"sum by (source) (rate(qraft_source_dropped_values_total{{{SOURCE}}}[$__rate_interval]))", "{{source}}"),
            Ask(
                f"sum by (source) (rate(qraft_source_features_shortened_total{{{SOURCE}}}[$__rate_interval]))",
                "{{source}} shortened",
            ),
            width=6,
        ),
        grid(
            "Latest dead letters",
            "With the reason; the original bytes are in the table dead_letters.",
            Sql(
                "SELECT ingested_at AS time, source, stage, reason, substring(original, 1, 200) AS input\n"
                "FROM ${database}.dead_letters FINAL\n"
                f"WHERE $__timeFilter(ingested_at) AND {IN_SOURCES}\n"
                "ORDER BY ingested_at DESC LIMIT 50"
            ),
            height=7,
        ),
    )
    said = (
        lines(
            "Fields",
            "The mean of each field by event time: the eight fields that come most often.",
            Sql(
                "SELECT $__timeInterval(timestamp) AS time, pair.1 AS field, avg(pair.2) AS value\n"
                "FROM ${database}.clean_events\n"
                "ARRAY JOIN CAST(fields, 'Array(Tuple(String, Float64))') AS pair\n"
                f"WHERE $__timeFilter(timestamp) AND {IN_SOURCES}\n"
                "AND pair.1 IN (SELECT arrayJoin(topK(8)(name)) FROM (\n"
                "    SELECT arrayJoin(mapKeys(fields)) AS name FROM ${database}.clean_events\n"
                f"    WHERE $__timeFilter(timestamp) AND {IN_SOURCES}))\n"
                "GROUP BY time, field ORDER BY time",
                "timeseries",
            ),
            width=16,
        ),
        lines(
            "Score",
            "The highest score the detectors gave the last event at each scrape.",
            Ask(f"qraft_source_score{{{SOURCE}}}", "{{source}}"),
            unit="percentunit",
            most=1,
        ),
        lines(
            "Patterns by detector",
            "Found an hour.",
            Ask(f"sum by (detector) (rate(qraft_patterns_total{{{SOURCE}}}[$__rate_interval])) * 3600", "{{detector}}"),
            unit="short",
            stacked=True,
            width=12,
        ),
        lines(
            "Alert lines",
            "The confidence from which each detector raises a pattern. Confirming lowers it, a false positive raises it.",
            Ask(f"avg by (source, detector) (qraft_alert_line{{{SOURCE}}})", "{{source}} {{detector}}"),
            unit="percentunit",
            most=1,
            width=12,
        ),
        grid(
            "Latest patterns",
            "With the fields that count most.",
            Sql(
                "SELECT ingested_at AS time, source, entity, type, kind, detector, confidence, summary,\n"
                "    arrayStringConcat(arraySlice(contributors.field, 1, 3), ', ') AS fields\n"
                "FROM ${database}.pattern_events FINAL\n"
                f"WHERE $__timeFilter(ingested_at) AND {IN_SOURCES}\n"
                "ORDER BY ingested_at DESC, timestamp DESC LIMIT 100"
            ),
            units={"confidence": "percentunit"},
        ),
    )
    return assemble(
        "qraft-source",
        "Qraft / Source",
        "One source or several: what comes, what is lost on the way, and what the detectors say.",
        (("What comes", comes), ("What is lost", lost), ("What is said", said)),
        (SOURCES, DATABASE),
    )
