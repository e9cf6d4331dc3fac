-- How long rows stay, counted from arrival. One statement a table; 001_init.sql says how this file is read.
-- Tables that are cut by days lose a part as a whole once its last row is due, so a row stays up to a day longer than its days.
-- Verdicts stay as long as the longest-lived pattern, so that none loses the verdict that keeps it.
-- A table that is archived ([store.archive]) has no TTL: the engine deletes what stands in the archive.

ALTER TABLE {database}.raw_events MODIFY TTL toDateTime(ingested_at) + toIntervalDay({retention_days});

ALTER TABLE {database}.clean_events MODIFY TTL toDateTime(ingested_at) + toIntervalDay({retention_days});

ALTER TABLE {database}.pattern_events MODIFY TTL
    toDateTime(ingested_at) + toIntervalDay({retention_days}) DELETE WHERE NOT important,
    toDateTime(ingested_at) + toIntervalDay({important_days}) DELETE WHERE important;

ALTER TABLE {database}.pattern_feedback MODIFY TTL toDateTime(ingested_at) + toIntervalDay({important_days});

ALTER TABLE {database}.dead_letters MODIFY TTL toDateTime(ingested_at) + toIntervalDay({retention_days});

ALTER TABLE {database}.alert_deliveries MODIFY TTL toDateTime(ingested_at) + toIntervalDay({important_days});
