-- Written by `python schema/cluster.py` from schema/clickhouse/006_lifecycle.sql; edits are lost.
-- clickhouse-client --queries-file schema/clickhouse/cluster/*.sql
-- '{cluster}' is a macro of the server's configuration; deploy/clickhouse has an example.

ALTER TABLE qraft.raw_events ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS position UInt32 CODEC(ZSTD(1)) AFTER seq;

ALTER TABLE qraft.raw_events ON CLUSTER '{cluster}' MODIFY SETTING merge_with_ttl_timeout = 600, materialize_ttl_recalculate_only = 1;

ALTER TABLE qraft.clean_events ON CLUSTER '{cluster}' MODIFY SETTING merge_with_ttl_timeout = 600, materialize_ttl_recalculate_only = 1;

ALTER TABLE qraft.dead_letters ON CLUSTER '{cluster}' MODIFY SETTING merge_with_ttl_timeout = 600, materialize_ttl_recalculate_only = 1;

ALTER TABLE qraft.pattern_events ON CLUSTER '{cluster}'
    MODIFY SETTING merge_with_ttl_timeout = 1800, min_age_to_force_merge_seconds = 3600;

ALTER TABLE qraft.pattern_feedback ON CLUSTER '{cluster}' MODIFY SETTING merge_with_ttl_timeout = 1800;

INSERT INTO qraft.schema_migrations (version, name) VALUES (6, 'lifecycle');
