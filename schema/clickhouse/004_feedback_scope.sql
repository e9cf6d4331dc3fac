-- What a mute covers, as JSON with the keys of the wire contract, and when it ends. Empty and 1970 for all other feedback.
ALTER TABLE {database}.pattern_feedback
    ADD COLUMN IF NOT EXISTS scope String AFTER undoes,
    ADD COLUMN IF NOT EXISTS until DateTime64(6, 'UTC') AFTER scope;
