-- What people do with an alert stands in its history, beside what the rule did.
ALTER TABLE alert_event
    DROP CONSTRAINT alert_event_kind_check,
    ADD CONSTRAINT alert_event_kind_check
        CHECK (kind IN ('fired', 'resolved', 'acknowledged', 'commented', 'verdict')),
    ADD COLUMN actor text,            -- who, and on which machine; NULL: the rule
    ADD COLUMN comment text,
    ADD COLUMN verdict text CHECK (verdict IN ('true', 'false', 'drill')),
    ADD CHECK ((kind = 'verdict') = (verdict IS NOT NULL));

-- closed: by hand, until newer data say how things are; without it a silence would fire again at the next start.
ALTER TABLE rule_state
    DROP CONSTRAINT rule_state_phase_check,
    ADD CONSTRAINT rule_state_phase_check CHECK (phase IN ('pending', 'firing', 'closed'));

-- Alerts that somebody wants closed; the writer does it, as it alone knows the state of the rules.
CREATE TABLE resolve_request (
    alert_id bigint PRIMARY KEY REFERENCES alert,
    actor text NOT NULL,
    reason text NOT NULL,
    requested_at timestamptz NOT NULL
);
CREATE TRIGGER resolve_requested AFTER INSERT ON resolve_request
    FOR EACH STATEMENT EXECUTE FUNCTION notify_smartdorf('request');

-- What fires while all that is given here fits is recorded, but told only once the silence is over.
CREATE TABLE silence (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    reason text NOT NULL,
    until timestamptz NOT NULL,
    expired_at timestamptz,           -- ended by hand before its time
    expired_by text,
    rule text,
    place_id bigint REFERENCES place ON DELETE CASCADE,
    device_id bigint REFERENCES device ON DELETE CASCADE,
    place_type text,
    tags jsonb NOT NULL DEFAULT '{}',
    CHECK (until > created_at),
    CHECK ((expired_at IS NULL) = (expired_by IS NULL)),
    CHECK (num_nonnulls(rule, place_id, device_id, place_type) > 0 OR tags <> '{}')
);

ALTER TABLE outbox
    ADD COLUMN silence_id bigint REFERENCES silence ON DELETE SET NULL,  -- the last that held it back
    ADD COLUMN summary_id bigint;     -- told in one message with all that have the same; from the sequence of id
CREATE INDEX outbox_silenced ON outbox (silence_id) WHERE state = 'skipped' AND silence_id IS NOT NULL;
CREATE INDEX outbox_sent ON outbox (receiver, finished_at) WHERE state = 'sent';
CREATE INDEX outbox_summary ON outbox (summary_id) WHERE summary_id IS NOT NULL;
