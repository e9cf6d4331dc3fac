-- Where an event stood within its message, so that events can be read back in the order in which they came: (ingested_at, seq,
-- position). Events that were stored before have 0.
ALTER TABLE {database}.raw_events
    ADD COLUMN IF NOT EXISTS position UInt32 CODEC(ZSTD(1)) AFTER seq;

-- What is past its days goes within minutes, not within the four hours that are ClickHouse's default. When the days change,
-- the days of what is stored are computed anew, without writing all of it again.
ALTER TABLE {database}.raw_events MODIFY SETTING merge_with_ttl_timeout = 600, materialize_ttl_recalculate_only = 1;

ALTER TABLE {database}.clean_events MODIFY SETTING merge_with_ttl_timeout = 600, materialize_ttl_recalculate_only = 1;

ALTER TABLE {database}.dead_letters MODIFY SETTING merge_with_ttl_timeout = 600, materialize_ttl_recalculate_only = 1;

-- Here rows go one by one, by writing the part of a month again without them. Parts are merged once they are an hour old, so
-- that the last version of a pattern, which says whether it is important, stands beside those before it.
ALTER TABLE {database}.pattern_events
    MODIFY SETTING merge_with_ttl_timeout = 1800, min_age_to_force_merge_seconds = 3600;

ALTER TABLE {database}.pattern_feedback MODIFY SETTING merge_with_ttl_timeout = 1800;
