-- An alert may be raised to a higher stage, and one that a person has to close eases before that, and may return.
ALTER TABLE rule_state
    ADD COLUMN stage smallint NOT NULL DEFAULT 0,        -- the highest that was reached, the lowest is 0
    ADD COLUMN rising jsonb NOT NULL DEFAULT '[]',       -- by stage: null, or since when it holds and with how many readings
    ADD COLUMN clearing timestamptz,                     -- since when it has been clear, while the rule keeps it firing
    ADD COLUMN eased boolean NOT NULL DEFAULT false;

ALTER TABLE alert
    ADD COLUMN stage jsonb NOT NULL DEFAULT '{}',        -- the name of the highest that was reached, by language
    ADD COLUMN eased_at timestamptz;                     -- event time; it is clear since, and waits for a person

ALTER TABLE alert_event
    DROP CONSTRAINT alert_event_kind_check,
    ADD CONSTRAINT alert_event_kind_check
        CHECK (kind IN ('fired', 'raised', 'eased', 'returned', 'resolved', 'acknowledged', 'commented', 'verdict')),
    ADD COLUMN severity text,                            -- with fired, raised and returned: of the stage
    ADD COLUMN stage jsonb NOT NULL DEFAULT '{}';
UPDATE alert_event SET severity = alert.severity FROM alert WHERE alert.id = alert_id AND kind = 'fired';
