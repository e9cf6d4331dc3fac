-- Written by `python schema/cluster.py` from schema/clickhouse/002_contributor_origin.sql; edits are lost.
-- clickhouse-client --queries-file schema/clickhouse/cluster/*.sql
-- '{cluster}' is a macro of the server's configuration; deploy/clickhouse has an example.

ALTER TABLE qraft.pattern_events ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS `contributors.origin` Array(String)
    DEFAULT arrayMap(field -> '', contributors.field) AFTER `contributors.after`;

INSERT INTO qraft.schema_migrations (version, name) VALUES (2, 'contributor_origin');
