"""What one batch of the uplink path writes: typed rows in, one statement per table, all in the caller's transaction.

How the rows reach the server is the business of ``stages``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from smartdorf.db.stages import (
    EVENTS,
    MEASUREMENTS,
    QUARANTINED,
    RECEPTIONS,
    SESSIONS,
    UPLINKS,
    DeviceEventRow,
    MeasurementRow,
    Packed,
    QuarantineRow,
    ReceptionRow,
    SessionRow,
    UplinkRow,
    copy,
)


class UnknownDevice(NamedTuple):
    """A device heard for the first time, as the network server calls it."""

    dev_eui: str
    name: str
    profile_name: str
    application_name: str


def json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_ADD_DEVICES = """
    INSERT INTO device (dev_eui, name, profile_name, application_name)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    ON CONFLICT (dev_eui) DO UPDATE SET dev_eui = excluded.dev_eui
    RETURNING dev_eui, id
"""


async def add_devices(
    connection: asyncpg.Connection, devices: Collection[UnknownDevice]
) -> Mapping[str, int]:
    """Ids by dev_eui; a device that somebody added a moment ago keeps its row."""
    rows = await connection.fetch(_ADD_DEVICES, *zip(*devices, strict=True))
    return {row["dev_eui"]: row["id"] for row in rows}


_ADD_GATEWAYS = """
    INSERT INTO gateway (gateway_id) SELECT * FROM unnest($1::text[])
    ON CONFLICT (gateway_id) DO UPDATE SET gateway_id = excluded.gateway_id
    RETURNING gateway_id, id
"""


async def add_gateways(connection: asyncpg.Connection, gateway_ids: Collection[str]) -> Mapping[str, int]:
    """Ids by gateway_id."""
    rows = await connection.fetch(_ADD_GATEWAYS, list(gateway_ids))
    return {row["gateway_id"]: row["id"] for row in rows}


# A redelivered message inserts nothing and returns no row.
_INSERT_UPLINKS = """
    INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, encrypted,
                        frequency, data, object, best_rssi, best_snr, gateway_count, ns_time, reported_time,
                        received_at, status, fault, fault_detail, model)
    SELECT time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, encrypted,
           frequency, data, object::jsonb, best_rssi, best_snr, gateway_count, ns_time, reported_time,
           received_at, status, fault, fault_detail, model
    FROM {rows}
    ON CONFLICT (deduplication_id, time) DO NOTHING
    RETURNING deduplication_id
"""


async def insert_uplinks(connection: asyncpg.Connection, rows: Sequence[UplinkRow | Packed]) -> set[UUID]:
    """Insert; returns the deduplication ids of those that were not there yet."""
    if not rows:
        return set()
    brought = await UPLINKS.bring(connection, rows)
    return {row[0] for row in await brought.fetch(_INSERT_UPLINKS)}


async def insert_receptions(connection: asyncpg.Connection, rows: Sequence[ReceptionRow | Packed]) -> None:
    """Insert; the caller passes only those of new uplinks, so nothing can be there twice."""
    if rows:
        await copy(connection, "reception", RECEPTIONS, rows)


_INSERT_MEASUREMENTS = """
    INSERT INTO measurement (time, device_id, channel, metric_id, value, quality, place_id)
    SELECT time, device_id, channel, metric_id, value, quality, place_id FROM {rows}
    ON CONFLICT (device_id, channel, metric_id, time) DO NOTHING
"""
# Decoding anew may give another value for the same moment: the newer decoder is right.
_REPLACE_MEASUREMENTS = """
    INSERT INTO measurement (time, device_id, channel, metric_id, value, quality, place_id)
    SELECT DISTINCT ON (device_id, channel, metric_id, time)
           time, device_id, channel, metric_id, value, quality, place_id FROM {rows}
    ON CONFLICT (device_id, channel, metric_id, time)
    DO UPDATE SET value = excluded.value, quality = excluded.quality, place_id = excluded.place_id
"""
_SAVE_LATEST = """
    INSERT INTO measurement_latest AS known (time, device_id, channel, metric_id, value, quality, place_id)
    SELECT DISTINCT ON (device_id, channel, metric_id)
           time, device_id, channel, metric_id, value, quality, place_id FROM {rows}
    ORDER BY device_id, channel, metric_id, time DESC
    ON CONFLICT (device_id, channel, metric_id)
    DO UPDATE SET time = excluded.time, value = excluded.value, quality = excluded.quality,
                  place_id = excluded.place_id
    WHERE excluded.time >= known.time
"""


async def insert_measurements(
    connection: asyncpg.Connection, rows: Sequence[MeasurementRow | Packed], *, replace: bool = False
) -> None:
    """Insert, and keep the newest value of each series; with ``replace``, a value that is there gives way."""
    if not rows:
        return
    brought = await MEASUREMENTS.bring(connection, rows)
    await brought.fetch(_REPLACE_MEASUREMENTS if replace else _INSERT_MEASUREMENTS)
    await brought.fetch(_SAVE_LATEST)


_SAVE_SESSIONS = """
    INSERT INTO frame_gap (device_id, dev_addr, started_at, first_f_cnt, last_f_cnt, received, retransmissions,
                           last_time)
    SELECT device_id, dev_addr, started_at, first_f_cnt, last_f_cnt, received, retransmissions, last_time FROM {rows}
    ON CONFLICT (device_id, dev_addr, started_at)
    DO UPDATE SET first_f_cnt = excluded.first_f_cnt, last_f_cnt = excluded.last_f_cnt,
                  received = excluded.received, retransmissions = excluded.retransmissions,
                  last_time = excluded.last_time
"""


async def save_sessions(connection: asyncpg.Connection, rows: Sequence[SessionRow]) -> None:
    """Write the sessions' counts; they are totals, so writing them twice changes nothing."""
    if rows:
        await (await SESSIONS.bring(connection, rows)).fetch(_SAVE_SESSIONS)


_INSERT_EVENTS = """
    INSERT INTO device_event (time, device_id, type, key, payload, received_at)
    SELECT time, device_id, type, key, payload::jsonb, received_at FROM {rows}
    ON CONFLICT (type, key, time) DO NOTHING
"""


async def insert_device_events(connection: asyncpg.Connection, rows: Sequence[DeviceEventRow]) -> None:
    """Insert those that are not there yet."""
    if rows:
        await (await EVENTS.bring(connection, rows)).fetch(_INSERT_EVENTS)


_QUARANTINE = """
    INSERT INTO quarantine (hash, topic, payload, reason, detail, source, received_at)
    SELECT hash, topic, payload, reason, detail, source, received_at FROM {rows}
    ON CONFLICT (hash) DO NOTHING
"""


async def insert_quarantine(connection: asyncpg.Connection, rows: Sequence[QuarantineRow]) -> None:
    """Keep what could not be used, once."""
    if rows:
        await (await QUARANTINED.bring(connection, rows)).fetch(_QUARANTINE)
