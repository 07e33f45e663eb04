-- Time series become hypertables. Chunks of a week keep the working set of a village small.
CREATE EXTENSION IF NOT EXISTS timescaledb;
DO $$
BEGIN
    PERFORM create_hypertable(
        name, 'time', chunk_time_interval => days * INTERVAL '1 day', create_default_indexes => false
    )
    FROM (VALUES ('uplink', 7), ('reception', 7), ('measurement', 7), ('device_event', 28)) AS series (name, days);
END
$$;
