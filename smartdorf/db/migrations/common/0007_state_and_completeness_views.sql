-- How long each state held, by hour (UTC), local day and month: occupancy of a bay is the share of code 1. A reading holds
-- until the next one, at most for 25 hours (sensors that report changes repeat themselves once a day), and no longer than
-- its sensor is installed there. What no reading covers is unknown and counts for no state: `seconds` of all codes together
-- say how much of the time is known, `share` is the share of that.
CREATE VIEW state_hourly AS
SELECT bucket, place_id, device_id, channel, metric_id, code, sum(seconds) AS seconds,
       sum(seconds) / sum(sum(seconds)) OVER (PARTITION BY place_id, metric_id, device_id, channel, bucket) AS share
FROM (
    SELECT p.*, least(
               lead(p.first_time) OVER (PARTITION BY p.place_id, p.metric_id, p.device_id, p.channel ORDER BY p.bucket),
               p.last_time + interval '25 hours', i.valid_to, now()) AS until
    FROM state_part_hourly p
    LEFT JOIN LATERAL (
        SELECT min(valid_to) AS valid_to FROM installation i
        WHERE i.device_id = p.device_id AND i.place_id = p.place_id AND coalesce(i.channel, p.channel) = p.channel
          AND i.valid_to > p.last_time
    ) i ON true
) part (part_bucket, device_id, channel, metric_id, place_id, within, last, first_time, last_time, until)
CROSS JOIN LATERAL (
    SELECT part_bucket AS bucket, code, within[code] AS seconds
    FROM generate_subscripts(within, 1) code
    UNION ALL
    SELECT hour, last::integer,
           extract(epoch FROM least(until, hour + interval '1 hour') - greatest(last_time, hour))
    FROM generate_series(part_bucket, until, interval '1 hour') hour
) held
WHERE seconds > 0
GROUP BY place_id, metric_id, device_id, channel, bucket, code;

CREATE VIEW state_daily AS
SELECT bucket, place_id, device_id, channel, metric_id, code, sum(seconds) AS seconds,
       sum(seconds) / sum(sum(seconds)) OVER (PARTITION BY place_id, metric_id, device_id, channel, bucket) AS share
FROM (
    SELECT p.*, least(
               lead(p.first_time) OVER (PARTITION BY p.place_id, p.metric_id, p.device_id, p.channel ORDER BY p.bucket),
               p.last_time + interval '25 hours', i.valid_to, now()) AS until
    FROM state_part_daily p
    LEFT JOIN LATERAL (
        SELECT min(valid_to) AS valid_to FROM installation i
        WHERE i.device_id = p.device_id AND i.place_id = p.place_id AND coalesce(i.channel, p.channel) = p.channel
          AND i.valid_to > p.last_time
    ) i ON true
) part (part_bucket, device_id, channel, metric_id, place_id, within, last, first_time, last_time, until)
CROSS JOIN LATERAL (
    SELECT part_bucket AS bucket, code, within[code] AS seconds
    FROM generate_subscripts(within, 1) code
    UNION ALL
    SELECT day AT TIME ZONE 'Europe/Berlin', last::integer,
           extract(epoch FROM least(until, (day + interval '1 day') AT TIME ZONE 'Europe/Berlin')
                              - greatest(last_time, day AT TIME ZONE 'Europe/Berlin'))
    FROM generate_series(
        part_bucket AT TIME ZONE 'Europe/Berlin', until AT TIME ZONE 'Europe/Berlin', interval '1 day') day
) held
WHERE seconds > 0
GROUP BY place_id, metric_id, device_id, channel, bucket, code;

CREATE VIEW state_monthly AS
SELECT date_trunc('month', bucket, 'Europe/Berlin') AS bucket, place_id, device_id, channel, metric_id, code,
       sum(seconds) AS seconds,
       sum(seconds) / sum(sum(seconds)) OVER (
           PARTITION BY date_trunc('month', bucket, 'Europe/Berlin'), place_id, device_id, channel, metric_id) AS share
FROM state_daily
GROUP BY 1, 2, 3, 4, 5, 6;

-- How many frames of a place's devices arrived, of how many that were sent, by local day. Frames that are missing before a
-- frame count on its day: a device that is silent has no row, and its gap stands where it ends. A counter that starts
-- anew without a join loses what it sent between the last frame before and the first one after, which nobody knows.
CREATE VIEW completeness_daily AS
WITH day AS (
    SELECT bucket, device_id, dev_addr, received, retransmissions, lowest, highest, last,
           coalesce(lag(last) OVER (PARTITION BY device_id, dev_addr ORDER BY bucket), lowest - 1) AS before
    FROM frame_part_daily
), device_day AS (
    SELECT bucket, device_id, sum(received) AS received, sum(retransmissions) AS retransmissions,
           sum(greatest(received, CASE WHEN last < before THEN greatest(highest - before, 0) + last - lowest + 1
                                       ELSE highest - before END)) AS expected
    FROM day
    GROUP BY bucket, device_id
)
SELECT d.bucket, i.place_id, d.device_id, d.expected::bigint, d.received::bigint, d.retransmissions::bigint,
       d.received / d.expected AS share
FROM device_day d
JOIN LATERAL (
    SELECT DISTINCT place_id FROM installation i
    WHERE i.device_id = d.device_id
      AND i.valid_from < (d.bucket AT TIME ZONE 'Europe/Berlin' + interval '1 day') AT TIME ZONE 'Europe/Berlin'
      AND (i.valid_to IS NULL OR i.valid_to > d.bucket)
) i ON true
WHERE d.expected > 0;
