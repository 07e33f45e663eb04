-- Rules on trial (mode: shadow): what they find is an alert like any other, but nobody is told of it. It stays so
-- for as long as the alert, also where its rule goes live meanwhile.
ALTER TABLE alert
    ADD COLUMN shadow boolean NOT NULL DEFAULT false,
    ADD COLUMN limits jsonb NOT NULL DEFAULT '{}',       -- those it was decided with, by name; durations in seconds
    ADD COLUMN because jsonb NOT NULL DEFAULT '{}';      -- why it holds, in one sentence, by language

-- Since when each rule has been on trial.
CREATE TABLE rule_trial (
    rule text PRIMARY KEY,
    since timestamptz NOT NULL
);

-- listed: it stood in the daily list of what rules on trial would have told.
ALTER TABLE alert_event
    DROP CONSTRAINT alert_event_kind_check,
    ADD CONSTRAINT alert_event_kind_check
        CHECK (kind IN ('fired', 'raised', 'eased', 'returned', 'resolved', 'acknowledged', 'commented', 'verdict',
                        'listed'));
CREATE INDEX alert_shadow ON alert (rule, fired_at) WHERE shadow;
