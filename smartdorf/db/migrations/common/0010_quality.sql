-- What a device last said of its firmware: faults are counted by it.
ALTER TABLE device ADD COLUMN firmware text NOT NULL DEFAULT '';

-- Where counters begin at 0 again. The service writes it, from the manifests and what a pulse counts at each device.
CREATE TABLE counter_rollover (
    device_id bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    channel smallint NOT NULL,
    metric_id smallint NOT NULL REFERENCES metric,
    size double precision NOT NULL,
    PRIMARY KEY (device_id, channel, metric_id)
);

-- As before (see 0004), but a counter that is known to roll over has done so if what it would then have counted is at
-- most an eighth of its range; more than that, it began anew: a new battery, a new meter.
CREATE OR REPLACE VIEW consumption_hourly AS
SELECT bucket, place_id, device_id, channel, metric_id,
       CASE WHEN last >= before THEN last - before
            WHEN last + size - before <= size / 8 THEN last + size - before
            ELSE greatest(maximum - before, 0) + last - minimum END AS consumed,
       last < before AND (last + size - before <= size / 8) IS NOT TRUE AS counter_reset
FROM (SELECT h.bucket, h.place_id, h.device_id, h.channel, h.metric_id, h.minimum, h.maximum, h.last, r.size,
             coalesce(lag(h.last) OVER (PARTITION BY h.place_id, h.device_id, h.channel, h.metric_id
                                        ORDER BY h.bucket), h.first) AS before
      FROM measurement_hourly h JOIN metric m ON m.id = h.metric_id AND m.kind = 'counter'
      LEFT JOIN counter_rollover r ON (r.device_id, r.channel, r.metric_id) = (h.device_id, h.channel, h.metric_id))
     counter;
