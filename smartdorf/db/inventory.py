"""What people have decided, from the database and back into it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asyncpg
import msgspec

from smartdorf.db.batches import json_text
from smartdorf.db.directory import audit, request_redecode
from smartdorf.inventory import Change, DeviceEntry, Installed, Inventory, PlaceEntry

_PLACES = """
    SELECT p.slug, p.name, p.place_type, t.slug AS tenant, p.latitude, p.longitude, p.tags::text AS tags,
           p.parameters::text AS parameters, p.limits::text AS limits
    FROM place p JOIN tenant t ON t.id = p.tenant_id
"""
_DEVICES = """
    SELECT dev_eui, model, name, tags::text AS tags, parameters::text AS parameters, limits::text AS limits
    FROM device WHERE model IS NOT NULL
"""
_INSTALLED = """
    SELECT d.dev_eui, p.slug, i.channel, i.valid_from, i.valid_to
    FROM installation i JOIN device d ON d.id = i.device_id JOIN place p ON p.id = i.place_id
    ORDER BY i.valid_from, coalesce(i.channel, -1), p.slug
"""


async def load_inventory(connection: asyncpg.Connection) -> Inventory:
    """Everything; devices that nobody has onboarded are not yet anybody's decision."""
    installed: dict[str, list[Installed]] = {}
    for eui, *rest in await connection.fetch(_INSTALLED):
        installed.setdefault(eui, []).append(Installed(*rest))
    return Inventory(
        tenants={row["slug"]: row["name"] for row in await connection.fetch("SELECT slug, name FROM tenant")},
        places={
            row["slug"]: PlaceEntry(
                row["name"],
                row["place_type"],
                row["tenant"],
                row["latitude"],
                row["longitude"],
                *_objects(row),
            )
            for row in await connection.fetch(_PLACES)
        },
        devices={
            row["dev_eui"]: DeviceEntry(
                row["model"], row["name"], *_objects(row), tuple(installed.get(row["dev_eui"], ()))
            )
            for row in await connection.fetch(_DEVICES)
        },
    )


def _objects(row: asyncpg.Record) -> tuple[Any, Any, Any]:
    tags, parameters, limits = (msgspec.json.decode(row[name]) for name in ("tags", "parameters", "limits"))
    return tags, parameters, limits


async def apply_changes(connection: asyncpg.Connection, changes: Iterable[Change]) -> None:
    """All or nothing; each change has its line in the audit log. Tenants come first, then places, then devices."""
    async with connection.transaction():
        for change in changes:
            if change.kind == "tenant":
                await connection.execute(_TENANT, change.key, change.after)
            elif change.kind == "place":
                await _write_place(connection, change.key, change.after)
            else:
                await _write_device(connection, change.key, change.before, change.after)
            verb = "add" if change.before is None else "change"
            await audit(connection, f"{change.kind}.{verb}", change.key, {"import": True, **_detail(change)})


def _detail(change: Change) -> dict[str, Any]:
    return {name: after for name, _before, after in change.fields}


_TENANT = (
    "INSERT INTO tenant (slug, name) VALUES ($1, $2) ON CONFLICT (slug) DO UPDATE SET name = excluded.name"
)
_PLACE = """
    INSERT INTO place (tenant_id, slug, name, place_type, latitude, longitude, tags, parameters, limits)
    SELECT id, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9::jsonb FROM tenant WHERE slug = $1
    ON CONFLICT (slug) DO UPDATE SET tenant_id = excluded.tenant_id, name = excluded.name,
        place_type = excluded.place_type, latitude = excluded.latitude, longitude = excluded.longitude,
        tags = excluded.tags, parameters = excluded.parameters, limits = excluded.limits
"""


async def _write_place(connection: asyncpg.Connection, slug: str, place: PlaceEntry) -> None:
    objects = [json_text(value) for value in (place.tags, place.parameters, place.limits)]
    await connection.execute(
        _PLACE, place.tenant, slug, place.name, place.type, place.latitude, place.longitude, *objects
    )


_DEVICE = """
    INSERT INTO device (dev_eui, model, onboarded_at, name, tags, parameters, limits)
    VALUES ($1, $2, now(), $3, $4::jsonb, $5::jsonb, $6::jsonb)
    ON CONFLICT (dev_eui) DO UPDATE SET model = excluded.model,
        onboarded_at = coalesce(device.onboarded_at, excluded.onboarded_at), name = excluded.name,
        tags = excluded.tags, parameters = excluded.parameters, limits = excluded.limits
    RETURNING id
"""
_END = """
    UPDATE installation i SET valid_to = $5 FROM place p
    WHERE p.id = i.place_id AND i.device_id = $1 AND p.slug = $2 AND i.channel IS NOT DISTINCT FROM $3::smallint
      AND i.valid_from = $4 AND i.valid_to IS NULL
"""
_INSTALL = """
    INSERT INTO installation (device_id, place_id, channel, valid_from, valid_to)
    SELECT $1, id, $3::smallint, $4, $5 FROM place WHERE slug = $2
"""


async def _write_device(
    connection: asyncpg.Connection, eui: str, before: DeviceEntry | None, after: DeviceEntry
) -> None:
    objects = [json_text(value) for value in (after.tags, after.parameters, after.limits)]
    device_id = await connection.fetchval(_DEVICE, eui, after.model, after.name, *objects)
    known = {one[:3]: one for one in before.installed} if before is not None else {}
    # what ends comes first: one channel watches one place at a time
    for one in sorted(after.installed, key=lambda one: one[:3] not in known):
        if one[:3] not in known:
            await connection.execute(_INSTALL, device_id, *one)
        elif known[one[:3]].until != one.until:
            await connection.execute(_END, device_id, *one)
    if before is None or before.model != after.model:
        await request_redecode(connection, [device_id])
