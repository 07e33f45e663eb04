-- States (a bay is taken, a pipe is dry) as seconds by code; see 0005 and, for what people ask for, 0007.
CREATE MATERIALIZED VIEW state_part_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 hour', m.time) AS bucket, m.device_id, m.channel, m.metric_id, m.place_id,
       state_seconds(m.value, m.time ORDER BY m.time) AS seconds, last(m.value, m.time) AS last,
       min(m.time) AS first_time, max(m.time) AS last_time
FROM measurement m JOIN metric q ON q.id = m.metric_id
WHERE q.kind = 'state' AND m.quality & 9 = 0
GROUP BY 1, 2, 3, 4, 5
WITH NO DATA;

CREATE MATERIALIZED VIEW state_part_daily
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 day', bucket, 'Europe/Berlin') AS bucket, device_id, channel, metric_id, place_id,
       state_seconds(seconds, first_time, last, last_time ORDER BY first_time) AS seconds,
       last(last, last_time) AS last, min(first_time) AS first_time, max(last_time) AS last_time
FROM state_part_hourly
GROUP BY 1, 2, 3, 4, 5
WITH NO DATA;

-- Frames by local day: what a gap means is told by completeness_daily.
CREATE MATERIALIZED VIEW frame_part_daily
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 day', time, 'Europe/Berlin') AS bucket, device_id, dev_addr,
       count(*) FILTER (WHERE status <> 'retransmission') AS received,
       count(*) FILTER (WHERE status = 'retransmission') AS retransmissions,
       min(f_cnt) AS lowest, max(f_cnt) AS highest, last(f_cnt, time) AS last,
       min(time) AS first_time, max(time) AS last_time
FROM uplink
GROUP BY 1, 2, 3
WITH NO DATA;

CREATE INDEX state_part_hourly_place ON state_part_hourly (place_id, metric_id, bucket DESC);
CREATE INDEX state_part_daily_place ON state_part_daily (place_id, metric_id, bucket DESC);
CREATE INDEX frame_part_daily_device ON frame_part_daily (device_id, bucket DESC);

-- A panel reads one quantity of one place over time: compressed so that this is a few rows.
ALTER MATERIALIZED VIEW measurement_hourly SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'place_id, metric_id',
    timescaledb.orderby = 'bucket, device_id, channel'
);
ALTER MATERIALIZED VIEW measurement_daily SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'place_id, metric_id',
    timescaledb.orderby = 'bucket, device_id, channel'
);
ALTER MATERIALIZED VIEW state_part_hourly SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'place_id, metric_id',
    timescaledb.orderby = 'bucket, device_id, channel'
);
ALTER MATERIALIZED VIEW state_part_daily SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'place_id, metric_id',
    timescaledb.orderby = 'bucket, device_id, channel'
);

-- A batch is found by its series and times, or by its place; a Bloom filter over the unique index, which TimescaleDB would
-- make by itself, would add a tenth and help nobody. (No index at all makes 2.29.2 crash at an ON CONFLICT.)
ALTER TABLE measurement SET (timescaledb.sparse_index = 'minmax(place_id)');
