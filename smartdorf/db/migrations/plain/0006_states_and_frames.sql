-- What the continuous aggregates of TimescaleDB hold, computed when it is asked for.
CREATE VIEW state_part_hourly AS
SELECT date_trunc('hour', m.time, 'UTC') AS bucket, m.device_id, m.channel, m.metric_id, m.place_id,
       state_seconds(m.value, m.time ORDER BY m.time) AS seconds, (array_agg(m.value ORDER BY m.time DESC))[1] AS last,
       min(m.time) AS first_time, max(m.time) AS last_time
FROM measurement m JOIN metric q ON q.id = m.metric_id
WHERE q.kind = 'state' AND m.quality & 9 = 0
GROUP BY 1, 2, 3, 4, 5;

CREATE VIEW state_part_daily AS
SELECT date_trunc('day', bucket, 'Europe/Berlin') AS bucket, device_id, channel, metric_id, place_id,
       state_seconds(seconds, first_time, last, last_time ORDER BY first_time) AS seconds,
       (array_agg(last ORDER BY last_time DESC))[1] AS last, min(first_time) AS first_time, max(last_time) AS last_time
FROM state_part_hourly
GROUP BY 1, 2, 3, 4, 5;

CREATE VIEW frame_part_daily AS
SELECT date_trunc('day', time, 'Europe/Berlin') AS bucket, device_id, dev_addr,
       count(*) FILTER (WHERE status <> 'retransmission') AS received,
       count(*) FILTER (WHERE status = 'retransmission') AS retransmissions,
       min(f_cnt) AS lowest, max(f_cnt) AS highest, (array_agg(f_cnt ORDER BY time DESC))[1] AS last,
       min(time) AS first_time, max(time) AS last_time
FROM uplink
GROUP BY 1, 2, 3;
