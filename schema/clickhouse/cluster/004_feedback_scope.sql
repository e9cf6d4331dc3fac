-- Written by `python schema/cluster.py` from schema/clickhouse/004_feedback_scope.sql; edits are lost.
-- clickhouse-client --queries-file schema/clickhouse/cluster/*.sql
-- '{cluster}' is a macro of the server's configuration; deploy/clickhouse has an example.

ALTER TABLE qraft.pattern_feedback ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS scope String AFTER undoes,
    ADD COLUMN IF NOT EXISTS until DateTime64(6, 'UTC') AFTER scope;

INSERT INTO qraft.schema_migrations (version, name) VALUES (4, 'feedback_scope');
