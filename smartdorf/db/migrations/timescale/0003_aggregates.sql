-- Hours in UTC (an hour of local time would merge October's doubled one); local days and months on top of them, which
-- is right on both nights that change the clock. Values outside the plausible range, and those that came too late
-- (quality bits 1 and 8), stay in `measurement` and take no part.
CREATE MATERIALIZED VIEW measurement_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 hour', time) AS bucket, device_id, channel, metric_id, place_id,
       min(value) AS minimum, max(value) AS maximum, sum(value) / count(*) AS average, sum(value) AS total,
       count(*) AS samples, first(value, time) AS first, last(value, time) AS last,
       min(time) AS first_time, max(time) AS last_time
FROM measurement
WHERE quality & 9 = 0
GROUP BY 1, 2, 3, 4, 5
WITH NO DATA;

CREATE MATERIALIZED VIEW measurement_daily
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 day', bucket, 'Europe/Berlin') AS bucket, device_id, channel, metric_id, place_id,
       min(minimum) AS minimum, max(maximum) AS maximum, sum(total) / sum(samples) AS average, sum(total) AS total,
       sum(samples)::bigint AS samples, first(first, first_time) AS first, last(last, last_time) AS last,
       min(first_time) AS first_time, max(last_time) AS last_time
FROM measurement_hourly
GROUP BY 1, 2, 3, 4, 5
WITH NO DATA;

CREATE MATERIALIZED VIEW measurement_monthly
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 month', bucket, 'Europe/Berlin') AS bucket, device_id, channel, metric_id, place_id,
       min(minimum) AS minimum, max(maximum) AS maximum, sum(total) / sum(samples) AS average, sum(total) AS total,
       sum(samples)::bigint AS samples, first(first, first_time) AS first, last(last, last_time) AS last,
       min(first_time) AS first_time, max(last_time) AS last_time
FROM measurement_daily
GROUP BY 1, 2, 3, 4, 5
WITH NO DATA;

-- Panels ask for one quantity of one place over time.
CREATE INDEX measurement_hourly_place ON measurement_hourly (place_id, metric_id, bucket DESC);
CREATE INDEX measurement_daily_place ON measurement_daily (place_id, metric_id, bucket DESC);
CREATE INDEX measurement_monthly_place ON measurement_monthly (place_id, metric_id, bucket DESC);

-- Compressed by series, so that one place's year is a few rows to read, and a quantity whose time is up can be deleted
-- without unpacking the others.
ALTER TABLE measurement SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'device_id, metric_id', timescaledb.orderby = 'channel, time'
);
ALTER TABLE uplink SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'device_id', timescaledb.orderby = 'time'
);
ALTER TABLE reception SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'device_id', timescaledb.orderby = 'time, gateway_id'
);
ALTER TABLE device_event SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'device_id', timescaledb.orderby = 'time, type'
);
