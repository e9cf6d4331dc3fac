"""The dashboard that is looked at first: is all well, does everything flow, what was found."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit import BLUE, DATABASE, ENGINE, GREEN, ORANGE, RED, YELLOW, Ask, Sql, assemble, bars, grid, lines, number

UP: Final = {"1": ("up", GREEN), "0": ("away", RED)}
LEVEL: Final = {"0": ("everything", GREEN), "1": ("cheap detectors only", ORANGE), "2": ("storing only", RED)}


def overview() -> Dashboard:
    """Overview."""
    now = (
        number(
            "Alerts",
            "Alerts of Qraft that fire now; the table below names them.",
            Ask('sum(ALERTS{alertname=~"Qraft.*", alertstate="firing"}) or vector(0)'),
            steps=((None, GREEN), (1, RED)),
        ),
        number(
            "Engine",
            "The state of the engine. Waiting means that it needs a server that is away; `qraft status` names it.",
            Ask(f"qraft_engine_state{{{ENGINE}}} == 1", "{{state}}"),
            by_name=True,
            steps=((None, BLUE),),
        ),
        number(
            "Behind",
            "How long the oldest event not yet processed has waited in the stream.",
            Ask(f"max(qraft_lag_seconds{{{ENGINE}}})"),
            unit="s",
            steps=((None, GREEN), (2, YELLOW), (10, ORANGE), (30, RED)),
            decimals=1,
        ),
        number(
            "Detection",
            "How much is done with events. Detection gives way while the engine cannot keep up, and comes back by itself.",
            Ask(f"max(qraft_degradation_level{{{ENGINE}}})"),
            words=LEVEL,
        ),
        number("NATS", "Whether the engine reaches NATS.", Ask(f"min(qraft_nats_connected{{{ENGINE}}})"), words=UP, width=2),
        number(
            "ClickHouse",
            "Whether the engine reaches ClickHouse.",
            Ask(f"min(qraft_clickhouse_connected{{{ENGINE}}})"),
            words=UP,
            width=3,
        ),
        number(
            "Configuration",
            "Refused means that the last edit has a mistake and what was in force goes on; `qraft check` names it.",
            Ask(f"min(qraft_config_valid{{{ENGINE}}})"),
            words={"1": ("in force", GREEN), "0": ("refused", RED)},
            width=3,
        ),
        grid(
            "Alerts that fire or are about to",
            "A pending alert fires once it has held for its time. Its annotations name the page of the operations guide.",
            Ask('sum by (alertname, severity, alertstate, source, instance) (ALERTS{alertname=~"Qraft.*"})'),
            width=24,
            height=6,
            columns={
                "alertname": "alert",
                "severity": "severity",
                "alertstate": "state",
                "source": "source",
                "instance": "engine",
            },
        ),
    )
    flow = (
        lines(
            "Events",
            "Read from sources and stored on the bus, and processed: less of these while the engine falls behind.",
            Ask(f"sum(rate(qraft_source_read_total{{{ENGINE}}}[$__rate_interval]))", "read"),
            Ask(f"sum(rate(qraft_source_processed_total{{{ENGINE}}}[$__rate_interval]))", "processed"),
            unit="eps",
        ),
        lines(
            "Behind, by stage",
            "How long the oldest item of each stage has waited. The first stage that rises is the one that is slow.",
            Ask(f"max by (stage) (qraft_stage_lag_seconds{{{ENGINE}}})", "{{stage}}"),
            unit="s",
            steps=((None, GREEN), (10, RED)),
        ),
        lines(
            "Not judged",
            "Events that were not passed on, by stage and reason. Late and duplicate ones belong to many feeds; "
            "dead, full and archived ones want a look.",
            Ask(
                f"sum by (stage, reason) (rate(qraft_stage_dropped_total{{{ENGINE}}}[$__rate_interval]))",
                "{{stage}}: {{reason}}",
            ),
            unit="eps",
            stacked=True,
        ),
        grid(
            "Sources",
            "Every source with its state and what came of it. The dashboard Source shows one in full.",
            Ask(f"max by (instance, source, state) (qraft_source_state{{{ENGINE}}} == 1)"),
            Ask(f"sum by (instance, source) (rate(qraft_source_processed_total{{{ENGINE}}}[$__rate_interval]))"),
            Ask(f"sum by (instance, source) (increase(qraft_patterns_total{{{ENGINE}}}[$__range]))"),
            Ask(f"max by (instance, source) (qraft_source_lag_seconds{{{ENGINE}}})"),
            Ask(f"time() - max by (instance, source) (qraft_source_last_arrival_timestamp_seconds{{{ENGINE}}})"),
            Ask(f"sum by (instance, source) (increase(qraft_source_dead_letters_total{{{ENGINE}}}[$__range]))"),
            width=24,
            columns={
                "source": "source",
                "state": "state",
                "Value #B": "events",
                "Value #C": "patterns",
                "Value #D": "delay",
                "Value #E": "last event",
                "Value #F": "dead letters",
                "instance": "engine",
            },
            units={"events": "eps", "delay": "s", "last event": "s", "patterns": "locale", "dead letters": "locale"},
        ),
    )
    found = (
        lines(
            "Patterns",
            "Found a minute, by type.",
            Ask(f"sum by (type) (rate(qraft_patterns_total{{{ENGINE}}}[$__rate_interval])) * 60", "{{type}}"),
            unit="cpm",
            stacked=True,
            width=12,
        ),
        bars(
            "Patterns by source",
            "Found within the time that is shown, the ten sources with most.",
            Ask(f"topk(10, sum by (source) (increase(qraft_patterns_total{{{ENGINE}}}[$__range])))", "{{source}}"),
            unit="locale",
            width=6,
        ),
        lines(
            "Notices",
            "What the engine told operators, by kind: stale feeds, gaps, drops, steps of degradation, configuration.",
            Ask(f"sum by (kind) (increase(qraft_notices_total{{{ENGINE}}}[$__rate_interval]))", "{{kind}}"),
            width=6,
            stacked=True,
        ),
        grid(
            "Latest patterns",
            "As they are stored; `qraft explain ID` says more of one.",
            Sql(
                "SELECT ingested_at AS time, source, entity, type, detector, confidence, summary, pattern_id AS id\n"
                "FROM ${database}.pattern_events FINAL\n"
                "WHERE $__timeFilter(ingested_at)\n"
                "ORDER BY ingested_at DESC, timestamp DESC LIMIT 50"
            ),
            units={"confidence": "percentunit"},
        ),
    )
    return assemble(
        "qraft-overview",
        "Qraft / Overview",
        "Whether all is well, whether events flow, and what was found.",
        (("Now", now), ("Flow", flow), ("Found", found)),
        (DATABASE,),
    )
