-- A rule's labels, as they were when its alert fired; a silence may name some of them.
ALTER TABLE alert ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';

ALTER TABLE silence ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';
ALTER TABLE silence
    DROP CONSTRAINT silence_check2,
    ADD CONSTRAINT silence_names_something
        CHECK (num_nonnulls(rule, place_id, device_id, place_type) > 0 OR tags <> '{}' OR labels <> '{}');
