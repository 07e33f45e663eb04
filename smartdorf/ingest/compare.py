"""Compare what is stored of a model's devices with what its decoder says now. Reads only."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from smartdorf.db.directory import load_directory
from smartdorf.db.history import fetch_devices_of, fetch_values, stored_uplinks
from smartdorf.db.requests import StoredUplink
from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.registry import decode_uplink
from smartdorf.directory import Device, Directory
from smartdorf.ingest.drift import Drift, Key
from smartdorf.ingest.requests import uplink_of
from smartdorf.model import Decoded


async def find_drift(connection: asyncpg.Connection, model: DeviceModel, since: datetime) -> Drift:
    """What would change if all uplinks since then were decoded anew."""
    drift, directory = Drift(), await load_directory(connection)
    for device_id in await fetch_devices_of(connection, model.name):
        device = directory.devices[device_id]
        async for stored in stored_uplinks(connection, device_id, since):
            await _compare(connection, drift, model, device, directory, stored)
    return drift


async def _compare(
    connection: asyncpg.Connection,
    drift: Drift,
    model: DeviceModel,
    device: Device,
    directory: Directory,
    stored: list[StoredUplink],
) -> None:
    decoded = [
        decode_uplink(model, uplink_of(row, device), directory.parameters_at(device, row.time))
        for row in stored
    ]
    times = [row.time for row in stored] + [sample.time for found in decoded for sample in found.samples]
    values: dict[datetime, dict[Key, float]] = {}
    for channel, metric, time, value in await fetch_values(connection, device.id, times):
        values.setdefault(time, {})[channel, metric, time] = value
    for row, found in zip(stored, decoded, strict=True):
        drift.add(device.dev_eui, row.time, (row.f_port, len(row.data)), found, _at(values, row.time, found))


def _at(values: dict[datetime, dict[Key, float]], time: datetime, decoded: Decoded) -> dict[Key, float]:
    found: dict[Key, float] = {}
    for at in {time, *(sample.time for sample in decoded.samples)}:
        found |= values.get(at, {})
    return found
