-- Gateways are watched as devices are: rules have alerts about them.
ALTER TABLE gateway
    ADD COLUMN name text NOT NULL DEFAULT '',
    ADD COLUMN last_heard_at timestamptz;  -- its last reception of any device, event time, noted to the minute
CREATE TRIGGER gateway_changed AFTER INSERT OR UPDATE OF name OR DELETE ON gateway
    FOR EACH STATEMENT EXECUTE FUNCTION notify_smartdorf('directory');

ALTER TABLE rule_state
    DROP CONSTRAINT rule_state_subject_kind_check,
    ADD CONSTRAINT rule_state_subject_kind_check CHECK (subject_kind IN ('place', 'device', 'gateway')),
    ADD COLUMN muted_by jsonb NOT NULL DEFAULT '[]';  -- while pending: [rule, kind, id] of each alert whose end it waits for

-- Which gateways have heard a device lately. Noted every few hours only, so that uplinks cost nothing.
CREATE TABLE hearing (
    device_id bigint NOT NULL,
    gateway_id bigint NOT NULL,       -- gateway.id
    noted_at timestamptz NOT NULL,    -- the message that was noted last, in event time
    PRIMARY KEY (device_id, gateway_id)
) WITH (fillfactor = 70);

-- Of each day (UTC) the longest pause between two receptions that ended on it: what a gateway's silence is judged by.
CREATE TABLE gateway_pause (
    gateway_id bigint NOT NULL,
    day date NOT NULL,
    longest interval NOT NULL,
    PRIMARY KEY (gateway_id, day)
) WITH (fillfactor = 70);

INSERT INTO hearing (device_id, gateway_id, noted_at)
SELECT device_id, gateway_id, max(time) FROM reception WHERE time > now() - INTERVAL '30 days' GROUP BY 1, 2;
UPDATE gateway SET last_heard_at = known.time
FROM (SELECT gateway_id, max(noted_at) AS time FROM hearing GROUP BY 1) known WHERE known.gateway_id = gateway.id;
