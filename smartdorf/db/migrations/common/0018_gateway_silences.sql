-- A gateway that is being moved or repaired can be silenced, too.
ALTER TABLE silence
    ADD COLUMN gateway_id bigint REFERENCES gateway ON DELETE CASCADE,
    DROP CONSTRAINT silence_names_something,
    ADD CONSTRAINT silence_names_something
        CHECK (num_nonnulls(rule, place_id, device_id, gateway_id, place_type) > 0 OR tags <> '{}' OR labels <> '{}');
