-- Attempts to deliver messages of alerts: one row an attempt. outcome is delivered, failed (it is tried again), refused (the
-- target will never take it) or given up. status is that of HTTP, 0 where there is none. rule is empty in a test.
CREATE TABLE IF NOT EXISTS {database}.alert_deliveries
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
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (notification_id, target, attempt)
SETTINGS non_replicated_deduplication_window = 1000;
