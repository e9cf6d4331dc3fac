-- Qraft's tables. Files NNN_name.sql are applied once each, in the order of their numbers, and recorded in schema_migrations.
-- retention.sql says how long rows stay; it is applied whenever the configured days differ from what the tables have.
--
-- How these files are read: a comment runs from two dashes to the end of its line; a statement ends with a semicolon; neither
-- may stand inside a string. {database} is replaced by the configured database, in retention.sql {retention_days} and
-- {important_days} by the numbers of [store]. Nothing else is replaced.
--
-- Every table collapses repeats by id (ReplacingMergeTree; ask with FINAL) and drops a block whose token it has seen among its
-- last 1000 (non_replicated_deduplication_window, which is off by default). ingested_at is when the message reached NATS, not
-- event time, so that old recordings can be replayed; the same message always has the same ingested_at, hence one partition.

-- What sources sent, as they sent it: one row an event, judged or not. ORDER BY holds nothing but the id, because an event that
-- is sent again may carry another time. partition and seq say where the event stood in the stream.
-- A time that cannot be read is the time of arrival here; payload and meta are JSON.
CREATE TABLE IF NOT EXISTS {database}.raw_events
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
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ingested_at)
ORDER BY (source, event_id)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- Events after preprocessing: what the detectors saw. The key of fields is a plain String: LowCardinality there made inserts
-- three times slower.
CREATE TABLE IF NOT EXISTS {database}.clean_events
(
    event_id    UUID,
    source      LowCardinality(String),
    entity      LowCardinality(String),
    timestamp   DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    fields      Map(String, Float64) CODEC(ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ingested_at)
ORDER BY (source, entity, timestamp, event_id)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- Findings. A verdict that makes a pattern important, or no longer so, inserts the row again with a higher version.
-- prev_state and new_state are JSON; line is the alert line the pattern was judged by.
CREATE TABLE IF NOT EXISTS {database}.pattern_events
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
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (timestamp, pattern_id)
SETTINGS non_replicated_deduplication_window = 1000;

-- Verdicts of operators, in the order in which they came: by (ingested_at, position); position counts within one block.
CREATE TABLE IF NOT EXISTS {database}.pattern_feedback
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
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (pattern_id, feedback_id)
SETTINGS non_replicated_deduplication_window = 1000;

-- Input that could not be used: the reason, and the original bytes.
CREATE TABLE IF NOT EXISTS {database}.dead_letters
(
    dead_id     String,
    source      LowCardinality(String),
    stage       LowCardinality(String),
    reason      String CODEC(ZSTD(1)),
    original    String CODEC(ZSTD(1)),
    timestamp   DateTime64(6, 'UTC'),
    ingested_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ingested_at)
ORDER BY (source, dead_id)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;
