-- What was found, more closely than the type says (mean, variance, silence, …), and since when the change is there: the
-- pattern's own time where it is not known to be earlier.
ALTER TABLE {database}.pattern_events
    ADD COLUMN IF NOT EXISTS kind LowCardinality(String) AFTER summary,
    ADD COLUMN IF NOT EXISTS began DateTime64(6, 'UTC') DEFAULT timestamp AFTER kind;
