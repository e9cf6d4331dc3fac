-- Written by `python schema/cluster.py` from schema/clickhouse/003_pattern_kind.sql; edits are lost.
-- clickhouse-client --queries-file schema/clickhouse/cluster/*.sql
-- '{cluster}' is a macro of the server's configuration; deploy/clickhouse has an example.

ALTER TABLE qraft.pattern_events ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS kind LowCardinality(String) AFTER summary,
    ADD COLUMN IF NOT EXISTS began DateTime64(6, 'UTC') DEFAULT timestamp AFTER kind;

INSERT INTO qraft.schema_migrations (version, name) VALUES (3, 'pattern_kind');
