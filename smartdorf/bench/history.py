"""A year of plausible measurements, made by the database itself: what is measured is the store, not Python.

Every device reports five quantities each quarter of an hour, at its own second and some milliseconds off, in the
resolution of real sensors: smoother or coarser values would compress better than a village's.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg

QUANTITIES = ("fill_level_pct", "air_temperature_c", "air_humidity_pct", "water_level_m", "battery_v")
INTERVAL = timedelta(minutes=15)

_DEVICES = """
    WITH p AS (
        INSERT INTO place (tenant_id, slug, name, place_type, latitude, longitude)
        SELECT t.id, 'place-' || n, 'Place ' || n, 'container', 48 + n / 1e4, 9 + n / 1e4
        FROM tenant t, generate_series(1, $1::int) n RETURNING id
    ), d AS (
        INSERT INTO device (dev_eui, model, onboarded_at)
        SELECT lpad(to_hex(n), 16, '0'), 'bench', now() FROM generate_series(1, $1::int) n RETURNING id
    )
    INSERT INTO installation (device_id, place_id, valid_from)
    SELECT d.id, p.id, $2 FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM d) d
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM p) p USING (n)
"""
_METRICS = """
    INSERT INTO metric (name, unit, kind)
    SELECT name, '1', 'gauge' FROM unnest($1::text[]) WITH ORDINALITY quantity (name, number) ORDER BY number
"""

# The sums of sines are a year and a day; random() is the sensor's noise. In the order of arrival: all devices' readings
# of one quarter of an hour, then the next.
_MEASUREMENTS = """
    INSERT INTO measurement (time, device_id, channel, metric_id, value, quality, place_id)
    SELECT reading.time, reading.device_id, 0, value.metric_id, value.value, 0, reading.place_id
    FROM (
        SELECT t + device_id * INTERVAL '1.7 s' + random() * INTERVAL '0.4 s' AS time, device_id, place_id,
               extract(epoch FROM t)::double precision / 86400 AS day
        FROM generate_series($1::timestamptz, $2::timestamptz - INTERVAL '1 s', INTERVAL '15 min') t
        CROSS JOIN installation
        OFFSET 0
    ) reading
    CROSS JOIN LATERAL (VALUES
        (1, floor(mod((day + device_id * 1.7)::numeric, 9)::double precision * 11)),
        (2, round((10 + 9 * sin(day / 58) + 5 * sin(day * 6.2832) + random() * 0.4)::numeric, 1)::double precision),
        (3, round((70 - 15 * sin(day * 6.2832) + random() * 2)::numeric)::double precision),
        (4, round((1.2 + 0.3 * sin(day / 4 + device_id) + random() * 0.008)::numeric, 3)::double precision),
        (5, round((3.6 - mod(day::numeric, 365) * 0.0003 + random() * 0.004)::numeric, 3)::double precision)
    ) value (metric_id, value)
    ON CONFLICT (device_id, channel, metric_id, time) DO NOTHING
"""
_LATEST = """
    INSERT INTO measurement_latest (device_id, channel, metric_id, time, value, quality, place_id)
    SELECT DISTINCT ON (device_id, channel, metric_id) device_id, channel, metric_id, time, value, quality, place_id
    FROM measurement WHERE time > $1
    ORDER BY device_id, channel, metric_id, time DESC
"""


async def add_devices(connection: asyncpg.Connection, devices: int, since: datetime) -> None:
    """Each with a place of its own; both are numbered from 1, as are the quantities."""
    await connection.execute(_DEVICES, devices, since)
    await connection.execute(_METRICS, list(QUANTITIES))


async def measure(connection: asyncpg.Connection, begin: datetime, end: datetime) -> int:
    """All devices report from ``begin`` until before ``end``; returns the number of measurements."""
    done: str = await connection.execute(_MEASUREMENTS, begin, end, timeout=3600)
    return int(done.rpartition(" ")[2])


async def fill_latest(connection: asyncpg.Connection, after: datetime) -> None:
    """What the service writes beside each measurement."""
    await connection.execute(_LATEST, after)
