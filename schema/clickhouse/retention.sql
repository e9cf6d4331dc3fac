-- How long rows stay, counted from arrival. One statement a table; 001_init.sql says how this file is read.
-- Verdicts stay as long as the longest-lived pattern, so that none loses the verdict that keeps it.

ALTER TABLE {database}.raw_events MODIFY TTL toDateTime(ingested_at) + toIntervalDay({retention_days});

ALTER TABLE {database}.clean_events MODIFY TTL toDateTime(ingested_at) + toIntervalDay({retention_days});

ALTER TABLE {database}.pattern_events MODIFY TTL
    toDateTime(ingested_at) + toIntervalDay({retention_days}) DELETE WHERE NOT important,
    toDateTime(ingested_at) + toIntervalDay({important_days}) DELETE WHERE important;

ALTER TABLE {database}.pattern_feedback MODIFY TTL toDateTime(ingested_at) + toIntervalDay({important_days});

ALTER TABLE {database}.dead_letters MODIFY TTL toDateTime(ingested_at) + toIntervalDay({retention_days});
