-- Of which field of the source each contributor was made, where it is a feature (price for price.log_return); empty where it is
-- the source's own field.
ALTER TABLE {database}.pattern_events
    ADD COLUMN IF NOT EXISTS `contributors.origin` Array(String)
    DEFAULT arrayMap(field -> '', contributors.field) AFTER `contributors.after`;
