-- What flowed through a meter by hour and by local day, from the counters' aggregates. An hour has what its last value is
-- more than the last one before it at the same place; the first hour of a meter has what it saw itself. A counter that
-- is lower at the end of an hour than before has rolled over or was exchanged: what it counted up to its highest value
-- and from its lowest one on is taken, and what lay between is not known. Volumes that arrive late or in one piece
-- after a gap count in the hour in which they were seen.
CREATE VIEW consumption_hourly AS
SELECT bucket, place_id, device_id, channel, metric_id,
       CASE WHEN last >= before THEN last - before
            ELSE greatest(maximum - before, 0) + last - minimum END AS consumed,
       last < before AS counter_reset
FROM (SELECT h.bucket, h.place_id, h.device_id, h.channel, h.metric_id, h.minimum, h.maximum, h.last,
             coalesce(lag(h.last) OVER (PARTITION BY h.place_id, h.device_id, h.channel, h.metric_id
                                        ORDER BY h.bucket), h.first) AS before
      FROM measurement_hourly h JOIN metric m ON m.id = h.metric_id AND m.kind = 'counter') counter;

CREATE VIEW consumption_daily AS
SELECT date_trunc('day', bucket, 'Europe/Berlin') AS bucket, place_id, metric_id,
       sum(consumed) AS consumed, bool_or(counter_reset) AS counter_reset
FROM consumption_hourly
GROUP BY 1, 2, 3;
