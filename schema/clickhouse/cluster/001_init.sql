-- Written by `python schema/cluster.py` from schema/clickhouse/001_init.sql; edits are lost.
-- clickhouse-client --queries-file schema/clickhouse/cluster/*.sql
-- '{cluster}' is a macro of the server's configuration; deploy/clickhouse has an example.

CREATE DATABASE IF NOT EXISTS qraft ON CLUSTER '{cluster}';

CREATE TABLE IF NOT EXISTS qraft.schema_migrations ON CLUSTER '{cluster}'
(version UInt32, name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = ReplicatedReplacingMergeTree ORDER BY version;

CREATE TABLE IF NOT EXISTS qraft.raw_events ON CLUSTER '{cluster}'
(
    event_id    UUID,
    source      LowCardinality(String),
    type        LowCardinality(String),
    timestamp   DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    payload     String CODEC(ZSTD(1)),
    meta        String CODEC(ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    partition   UInt16,
    seq         UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY toDate(ingested_at)
ORDER BY (source, event_id)
SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS qraft.clean_events ON CLUSTER '{cluster}'
(
    event_id    UUID,
    source      LowCardinality(String),
    entity      LowCardinality(String),
    timestamp   DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    fields      Map(String, Float64) CODEC(ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY toDate(ingested_at)
ORDER BY (source, entity, timestamp, event_id)
SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS qraft.pattern_events ON CLUSTER '{cluster}'
(
    pattern_id   String,
    type         LowCardinality(String),
    timestamp    DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    source       LowCardinality(String),
    entity       LowCardinality(String),
    detector     LowCardinality(String),
    event_id     String,
    confidence   Float64,
    line         Float64,
    summary      String CODEC(ZSTD(1)),
    prev_state   String CODEC(ZSTD(1)),
    new_state    String CODEC(ZSTD(1)),
    metrics      Map(String, Float64),
    contributors Nested
    (
        field  String,
        score  Float64,
        before Nullable(Float64),
        after  Nullable(Float64)
    ),
    important    Bool,
    version      UInt64,
    ingested_at  DateTime64(3, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree(version)
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (timestamp, pattern_id)
SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS qraft.pattern_feedback ON CLUSTER '{cluster}'
(
    feedback_id String,
    pattern_id  String,
    verdict     LowCardinality(String),
    note        String,
    user        LowCardinality(String),
    source      LowCardinality(String),
    detector    LowCardinality(String),
    undoes      String,
    timestamp   DateTime64(6, 'UTC'),
    ingested_at DateTime64(6, 'UTC'),
    position    UInt32
)
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (pattern_id, feedback_id)
SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS qraft.dead_letters ON CLUSTER '{cluster}'
(
    dead_id     String,
    source      LowCardinality(String),
    stage       LowCardinality(String),
    reason      String CODEC(ZSTD(1)),
    original    String CODEC(ZSTD(1)),
    timestamp   DateTime64(6, 'UTC'),
    ingested_at DateTime64(3, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY toDate(ingested_at)
ORDER BY (source, dead_id)
SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, ttl_only_drop_parts = 1;

INSERT INTO qraft.schema_migrations (version, name) VALUES (1, 'init');
