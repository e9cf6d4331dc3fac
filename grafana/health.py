"""The dashboard of the pipeline's health: stages, bus, store and process."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit import BLUE, ENGINE, GREEN, ORANGE, RED, YELLOW, Ask, assemble, bars, grid, heat, lines, number, quantiles
from grafana.overview import LEVEL

_RATE: Final = "[$__rate_interval]"


def health() -> Dashboard:
    """Pipeline health."""
    stages = (
        lines(
            "In",
            "Items each stage took in a second.",
            Ask(f"sum by (stage) (rate(qraft_stage_received_total{{{ENGINE}}}{_RATE}))", "{{stage}}"),
            unit="eps",
        ),
        lines(
            "Out",
            "Items each stage passed on a second: events, from detect and publish patterns.",
            Ask(f"sum by (stage) (rate(qraft_stage_sent_total{{{ENGINE}}}{_RATE}))", "{{stage}}"),
            unit="eps",
        ),
        lines(
            "At work",
            "Share of the time each stage was at work. Preprocess and detect share one thread: near 100 % together, "
            "the engine is at its limit.",
            Ask(f"max by (stage) (rate(qraft_stage_seconds_total{{{ENGINE}}}{_RATE}))", "{{stage}}"),
            unit="percentunit",
            steps=((None, GREEN), (0.9, RED)),
        ),
        lines(
            "Behind",
            "How long the oldest item of each stage has waited.",
            Ask(f"max by (stage) (qraft_stage_lag_seconds{{{ENGINE}}})", "{{stage}}"),
            unit="s",
            steps=((None, GREEN), (10, RED)),
        ),
        lines(
            "Waiting",
            "Items that wait in each stage.",
            Ask(f"sum by (stage) (qraft_stage_depth{{{ENGINE}}})", "{{stage}}"),
        ),
        lines(
            "Not passed on",
            "By stage and reason.",
            Ask(f"sum by (stage, reason) (rate(qraft_stage_dropped_total{{{ENGINE}}}{_RATE}))", "{{stage}}: {{reason}}"),
            Ask(f"sum by (stage) (rate(qraft_stage_late_total{{{ENGINE}}}{_RATE}))", "{{stage}}: late"),
            unit="eps",
            stacked=True,
        ),
        heat(
            "Delay of events",
            "From arrival in the stream until judged, all events.",
            "qraft_event_delay_seconds",
            ENGINE,
            unit="s",
        ),
        lines(
            "Delay of events and patterns",
            "Quantiles of the same, and until patterns were on the bus.",
            *quantiles("qraft_event_delay_seconds", ENGINE, 0.5, 0.99),
            *(
                Ask(ask.expr, f"patterns {ask.legend}")
                for ask in quantiles("qraft_pattern_delay_seconds", ENGINE, 0.5, 0.99)
            ),
            unit="s",
            width=12,
        ),
    )
    bus = (
        bars(
            "Streams",
            "How full the streams are. When events is full, sources wait or drop, as when_full says.",
            Ask(
                f"max by (stream) (qraft_nats_stream_bytes{{{ENGINE}}} / (qraft_nats_stream_limit_bytes{{{ENGINE}}} > 0))",
                "{{stream}}",
            ),
            unit="percentunit",
            steps=((None, GREEN), (0.6, YELLOW), (0.8, RED)),
            most=1,
            width=6,
        ),
        lines(
            "Pending messages",
            "Messages in the stream that the pipelines have not processed.",
            Ask(f"sum(qraft_pending_messages{{{ENGINE}}})", "pending"),
            Ask(f"max by (stream) (qraft_nats_stream_messages{{{ENGINE}}})", "in {{stream}}"),
            width=6,
        ),
        lines(
            "Reconnects and repeats",
            "Lost connections to NATS, and tries to store or note something that were repeated.",
            Ask(f"sum(increase(qraft_nats_reconnects_total{{{ENGINE}}}{_RATE}))", "NATS reconnects"),
            Ask(f"sum by (server) (increase(qraft_persist_retries_total{{{ENGINE}}}{_RATE}))", "repeats: {{server}}"),
            width=6,
        ),
        lines(
            "Snapshots",
            "Size of the newest snapshots of all partitions: the state of the detectors.",
            Ask(f"sum(qraft_snapshot_bytes{{{ENGINE}}})", "snapshots"),
            unit="bytes",
            width=6,
        ),
    )
    store = (
        lines(
            "Barriers",
            "From the cut of a block until it was stored, snapshotted and acknowledged.",
            *quantiles("qraft_barrier_seconds", ENGINE, 0.5, 0.95, 0.99),
            unit="s",
        ),
        lines(
            "Inserts",
            "Time to store a block in ClickHouse.",
            *quantiles("qraft_clickhouse_insert_seconds", ENGINE, 0.5, 0.95, 0.99),
            unit="s",
        ),
        lines(
            "Rows of a block",
            "Many small blocks cost more than few large ones; engine.barrier_seconds and engine.barrier_rows set them.",
            *quantiles("qraft_barrier_rows", ENGINE, 0.5, 0.95),
        ),
        lines(
            "Rows stored",
            "By table.",
            Ask(f"sum by (table) (rate(qraft_clickhouse_rows_total{{{ENGINE}}}{_RATE}))", "{{table}}"),
            unit="wps",
        ),
        lines(
            "Size of tables",
            "Compressed, on disk.",
            Ask(f"max by (table) (qraft_clickhouse_table_bytes{{{ENGINE}}})", "{{table}}"),
            unit="bytes",
            stacked=True,
        ),
        bars(
            "Free disk",
            "Free share of ClickHouse's disks.",
            Ask(
                f"min by (disk) (qraft_clickhouse_disk_free_bytes{{{ENGINE}}}"
                f" / qraft_clickhouse_disk_size_bytes{{{ENGINE}}})",
                "{{disk}}",
            ),
            unit="percentunit",
            steps=((None, RED), (0.1, ORANGE), (0.2, GREEN)),
            most=1,
        ),
    )
    process = (
        number(
            "Running for",
            "Since the engine started.",
            Ask(f"min(time() - qraft_engine_start_time_seconds{{{ENGINE}}})"),
            unit="s",
            steps=((None, BLUE),),
        ),
        number("Level", "How much is done with events.", Ask(f"max(qraft_degradation_level{{{ENGINE}}})"), words=LEVEL),
        number(
            "Failures of the pipeline",
            "Times it failed and its detectors started anew; the log has the fault.",
            Ask(f"sum(increase(qraft_pipeline_failures_total{{{ENGINE}}}[$__range]))"),
            steps=((None, GREEN), (1, RED)),
            decimals=0,
        ),
        number(
            "Configuration",
            "When a configuration was last put in force.",
            Ask(f"max(qraft_config_last_reload_success_timestamp_seconds{{{ENGINE}}}) * 1000"),
            unit="dateTimeFromNow",
            steps=((None, BLUE),),
        ),
        grid(
            "Engines",
            "Which program runs where.",
            Ask(f"qraft_build_info{{{ENGINE}}}"),
            columns={"engine": "engine", "version": "version", "instance": "instance"},
            width=8,
            height=4,
        ),
        lines(
            "CPU",
            "Cores in use. The pipeline takes one at most; storing and the bus take some of another.",
            Ask(f"rate(process_cpu_seconds_total{{{ENGINE}}}{_RATE})", "{{job}} {{instance}}"),
            unit="short",
        ),
        lines(
            "Memory",
            "Resident memory.",
            Ask(f"process_resident_memory_bytes{{{ENGINE}}}", "{{job}} {{instance}}"),
            unit="bytes",
        ),
        lines(
            "Open files",
            "Files and sockets that are open, and how many may be.",
            Ask(f"process_open_fds{{{ENGINE}}}", "{{job}} {{instance}}"),
            Ask(f"process_max_fds{{{ENGINE}}}", "limit of {{job}} {{instance}}"),
        ),
    )
    beside = (
        lines(
            "Messages of alerts",
            "Attempts to deliver what the rules of [alerts] made, by what came of them.",
            Ask(f"sum by (outcome) (increase(qraft_alerts_deliveries_total{{{ENGINE}}}{_RATE}))", "{{outcome}}"),
            width=6,
            stacked=True,
        ),
        lines(
            "Alerts",
            "Alerts that were told and go on, by rule, and messages that wait for their target.",
            Ask(f"sum by (rule) (qraft_alerts_open{{{ENGINE}}})", "{{rule}}"),
            Ask(f"sum by (target) (qraft_alerts_waiting{{{ENGINE}}})", "waiting for {{target}}"),
            width=6,
        ),
        lines(
            "Archive",
            "Rows archived a second, and failures. Nothing is deleted from the database before it is archived.",
            Ask(f"sum(rate(qraft_archive_rows_total{{{ENGINE}}}{_RATE}))", "rows a second"),
            Ask(f"sum(increase(qraft_archive_failures_total{{{ENGINE}}}{_RATE}))", "failures"),
            width=6,
        ),
        lines(
            "Archive behind",
            "Finished days that are not archived yet.",
            Ask(f"max(qraft_archive_pending_partitions{{{ENGINE}}})", "days"),
            width=6,
            steps=((None, GREEN), (3, RED)),
        ),
        lines(
            "Requests",
            "Answers of the REST server, by class of status.",
            Ask(f"sum by (status) (rate(qraft_api_requests_total{_RATE}))", "{{status}}"),
            unit="reqps",
            stacked=True,
            width=6,
        ),
        lines(
            "Time to answer",
            "The slowest of twenty requests, by route.",
            Ask(
                f"histogram_quantile(0.95, sum by (route, le) (rate(qraft_api_request_seconds_bucket{_RATE})))",
                "{{route}}",
            ),
            unit="s",
            width=6,
        ),
        lines(
            "At the moment",
            "Requests that are being answered, and clients that follow the live stream.",
            Ask("sum(qraft_api_requests_in_flight)", "requests"),
            Ask("sum(qraft_api_stream_clients)", "live streams"),
            width=6,
        ),
        lines(
            "Refused",
            "Requests refused for want of a fitting token, by reason, and by the rate limit.",
            Ask(f"sum by (reason) (increase(qraft_api_auth_failures_total{_RATE}))", "token: {{reason}}"),
            Ask(f"sum(increase(qraft_api_rate_limited_total{_RATE}))", "rate limit"),
            width=6,
        ),
    )
    return assemble(
        "qraft-pipeline",
        "Qraft / Pipeline health",
        "Each stage, the bus, the store and the process: where it is slow, and why.",
        (("Stages", stages), ("Bus", bus), ("Store", store), ("Process", process), ("Alerts, archive, REST", beside)),
        (),
    )
