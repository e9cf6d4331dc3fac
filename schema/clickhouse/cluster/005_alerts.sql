-- Written by `python schema/cluster.py` from schema/clickhouse/005_alerts.sql; edits are lost.
-- clickhouse-client --queries-file schema/clickhouse/cluster/*.sql
-- '{cluster}' is a macro of the server's configuration; deploy/clickhouse has an example.

CREATE TABLE IF NOT EXISTS qraft.alert_deliveries ON CLUSTER '{cluster}'
(
    notification_id String,
    target          LowCardinality(String),
    attempt         UInt32,
    rule            LowCardinality(String),
    alert_id        String,
    transition      LowCardinality(String),
    severity        LowCardinality(String),
    outcome         LowCardinality(String),
    status          UInt16,
    error           String CODEC(ZSTD(1)),
    pattern_id      String,
    created_at      DateTime64(6, 'UTC'),
    attempted_at    DateTime64(6, 'UTC'),
    ingested_at     DateTime64(3, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (notification_id, target, attempt)
SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800;

INSERT INTO qraft.schema_migrations (version, name) VALUES (5, 'alerts');
