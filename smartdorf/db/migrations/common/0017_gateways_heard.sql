-- A gateway that is heard for the first time is watched from the next night on, as little is known of it before the
-- fourth day. To bind all rules anew at once would hold up the uplinks of a large village for a second.
DROP TRIGGER gateway_changed ON gateway;
CREATE TRIGGER gateway_changed AFTER UPDATE OF name OR DELETE ON gateway
    FOR EACH STATEMENT EXECUTE FUNCTION notify_smartdorf('directory');
