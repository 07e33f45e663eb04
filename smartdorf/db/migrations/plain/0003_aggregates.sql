-- What the continuous aggregates of TimescaleDB hold, computed when it is asked for.
CREATE VIEW measurement_hourly AS
SELECT date_trunc('hour', time, 'UTC') AS bucket, device_id, channel, metric_id, place_id,
       min(value) AS minimum, max(value) AS maximum, sum(value) / count(*) AS average, sum(value) AS total,
       count(*) AS samples, (array_agg(value ORDER BY time))[1] AS first,
       (array_agg(value ORDER BY time DESC))[1] AS last, min(time) AS first_time, max(time) AS last_time
FROM measurement
WHERE quality & 9 = 0
GROUP BY 1, 2, 3, 4, 5;

CREATE VIEW measurement_daily AS
SELECT date_trunc('day', time, 'Europe/Berlin') AS bucket, device_id, channel, metric_id, place_id,
       min(value) AS minimum, max(value) AS maximum, sum(value) / count(*) AS average, sum(value) AS total,
       count(*) AS samples, (array_agg(value ORDER BY time))[1] AS first,
       (array_agg(value ORDER BY time DESC))[1] AS last, min(time) AS first_time, max(time) AS last_time
FROM measurement
WHERE quality & 9 = 0
GROUP BY 1, 2, 3, 4, 5;

CREATE VIEW measurement_monthly AS
SELECT date_trunc('month', time, 'Europe/Berlin') AS bucket, device_id, channel, metric_id, place_id,
       min(value) AS minimum, max(value) AS maximum, sum(value) / count(*) AS average, sum(value) AS total,
       count(*) AS samples, (array_agg(value ORDER BY time))[1] AS first,
       (array_agg(value ORDER BY time DESC))[1] AS last, min(time) AS first_time, max(time) AS last_time
FROM measurement
WHERE quality & 9 = 0
GROUP BY 1, 2, 3, 4, 5;
