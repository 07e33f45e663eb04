-- A gateway that sends ChirpStack's `stats` tells of itself: it is ours, and missed as soon as it does so no more.
ALTER TABLE gateway
    ADD COLUMN is_own boolean NOT NULL DEFAULT false,
    ADD COLUMN last_told_at timestamptz;  -- its last stats, noted to the minute

-- A gateway that is heard for the first time is watched from the next night on, as little is known of it before the
-- fourth day. To bind all rules anew at once would hold up the uplinks of a large village for a second.
DROP TRIGGER gateway_changed ON gateway;
CREATE TRIGGER gateway_changed AFTER UPDATE OF name, is_own OR DELETE ON gateway
    FOR EACH STATEMENT EXECUTE FUNCTION notify_smartdorf('directory');
