"""A village's past, made by the database itself: uplinks with two readings each, once an hour from every device.

The devices watch a container and report its fill level; once in nine days it is full for a day, so that rules have
something to tell, and now and then one keeps silent for two days.
"""

from __future__ import annotations

from datetime import datetime

import asyncpg

MODEL = "milesight/em310-udl"  # category waste
MEASUREMENTS = 2  # an uplink

_DEVICES = """
    WITH p AS (
        INSERT INTO place (tenant_id, slug, name, place_type)
        SELECT t.id, 'place-' || n, 'Place ' || n, 'container' FROM tenant t, generate_series(1, $1::int) n
        RETURNING id
    ), d AS (
        INSERT INTO device (dev_eui, name, model, onboarded_at)
        SELECT lpad(to_hex(n), 16, '0'), 'Device ' || n, $3, now() FROM generate_series(1, $1::int) n RETURNING id
    )
    INSERT INTO installation (device_id, place_id, valid_from)
    SELECT d.id, p.id, $2 FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM d) d
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM p) p USING (n)
"""

# Silent for two days of fifty: each device at another time.
_HEARD = """
    SELECT t + device_id * INTERVAL '3.6 s' + random() * INTERVAL '1 s' AS time, device_id, place_id,
           extract(epoch FROM t - $1)::bigint / 3600 AS hour
    FROM generate_series($1::timestamptz, $2::timestamptz - INTERVAL '1 s', INTERVAL '1 hour') t
    CROSS JOIN installation
    WHERE mod(extract(epoch FROM t)::bigint / 3600 + device_id * 37, 1200) >= 48
"""
_PAST = f"""
    WITH heard AS MATERIALIZED ({_HEARD}), uplinks AS (
        INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, encrypted,
                            data, gateway_count, received_at, status, model)
        SELECT time, gen_random_uuid(), device_id, lpad(to_hex(device_id), 8, '0'), hour, 85, 5, true, false, false,
               '\\x01755c0367fa000467', 1, time, 'decoded', '{MODEL}'
        FROM heard
    )
    INSERT INTO measurement (time, device_id, channel, metric_id, value, quality, place_id)
    SELECT time, device_id, 0, m.id,
           CASE m.name WHEN 'battery_pct' THEN 90
           ELSE mod(extract(epoch FROM time)::bigint / 3600 + device_id * 41, 216) / 2.3 END, 0, place_id
    FROM heard CROSS JOIN metric m WHERE m.name IN ('fill_level_pct', 'battery_pct')
"""

# What a starting service reads back, as the uplink path leaves it.
_STATE = """
    WITH latest AS (
        INSERT INTO measurement_latest (device_id, channel, metric_id, time, value, quality, place_id)
        SELECT DISTINCT ON (device_id, metric_id) device_id, channel, metric_id, time, value, quality, place_id
        FROM measurement ORDER BY device_id, metric_id, time DESC
    )
    INSERT INTO frame_gap (device_id, dev_addr, started_at, first_f_cnt, last_f_cnt, received, retransmissions,
                           last_time)
    SELECT device_id, dev_addr, min(time), min(f_cnt), max(f_cnt), count(*), 0, max(time)
    FROM uplink GROUP BY device_id, dev_addr
"""


async def add_devices(connection: asyncpg.Connection, devices: int, since: datetime) -> None:
    """Each with a container of its own."""
    await connection.execute(_DEVICES, devices, since, MODEL)


async def hear(connection: asyncpg.Connection, begin: datetime, end: datetime) -> int:
    """All devices report each hour from ``begin`` until before ``end``; returns the number of measurements."""
    done: str = await connection.execute(_PAST, begin, end, timeout=3600)
    return int(done.rpartition(" ")[2])


async def remember(connection: asyncpg.Connection) -> None:
    """What the service writes beside the uplinks: latest values and frame counts."""
    await connection.execute(_STATE, timeout=3600)
