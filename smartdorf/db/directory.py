"""Places, devices and installations: read into a Directory, and changed with an audit trail."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from smartdorf.db.batches import json_text
from smartdorf.directory import Device, Directory, Gateway, Installation, Place
from smartdorf.errors import NotFoundError, UsageError, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Vocabulary

_PLACES = """
    SELECT p.id, p.slug, p.name, p.place_type, t.slug AS tenant, p.tags, p.parameters, p.limits
    FROM place p JOIN tenant t ON t.id = p.tenant_id ORDER BY p.slug
"""
_DEVICES = """
    SELECT d.id, d.dev_eui, d.name, d.model, d.firmware, d.tags, d.parameters, d.limits, r.limit_s AS silence
    FROM device d LEFT JOIN device_rhythm r ON r.device_id = d.id ORDER BY d.id
"""
_INSTALLATIONS = "SELECT device_id, place_id, valid_from, valid_to, channel FROM installation ORDER BY id"


async def load_directory(connection: asyncpg.Connection) -> Directory:
    """Everything that is known of places and devices."""
    return Directory.of(
        [_place(row) for row in await connection.fetch(_PLACES)],
        [_device(row) for row in await connection.fetch(_DEVICES)],
        [Installation(**row) for row in await connection.fetch(_INSTALLATIONS)],
        [
            Gateway(**row)
            for row in await connection.fetch("SELECT id, gateway_id, name, is_own FROM gateway")
        ],
    )


def _place(row: asyncpg.Record) -> Place:
    fields = {**row, **{name: msgspec.json.decode(row[name]) for name in ("tags", "parameters", "limits")}}
    return Place(**fields)


def _device(row: asyncpg.Record) -> Device:
    fields = {**row, **{name: msgspec.json.decode(row[name]) for name in ("tags", "parameters", "limits")}}
    return Device(**fields)


async def load_gateways(connection: asyncpg.Connection) -> dict[str, int]:
    """Ids by gateway_id."""
    return {row[0]: row[1] for row in await connection.fetch("SELECT gateway_id, id FROM gateway")}


async def sync_metrics(connection: asyncpg.Connection, vocabulary: Vocabulary) -> dict[str, int]:
    """Make sure that every quantity of the vocabulary has its id; returns the ids by name."""
    quantities = vocabulary.quantities.values()
    await connection.execute(
        "INSERT INTO metric (name, unit, kind) SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) "
        "ON CONFLICT (name) DO UPDATE SET unit = excluded.unit, kind = excluded.kind "
        "WHERE (metric.unit, metric.kind) <> (excluded.unit, excluded.kind)",
        [quantity.name for quantity in quantities],
        [quantity.unit for quantity in quantities],
        [quantity.kind for quantity in quantities],
    )
    return {row[0]: row[1] for row in await connection.fetch("SELECT name, id FROM metric")}


async def sync_rollovers(connection: asyncpg.Connection, sizes: Mapping[tuple[int, int, int], float]) -> None:
    """Where counters begin at 0 again, by device, channel and metric: what consumption is reckoned with."""
    arrays = [*zip(*sizes, strict=True)] if sizes else [(), (), ()]
    await connection.execute(
        "WITH asked AS (SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::double precision[]) "
        "               AS asked (device_id, channel, metric_id, size)), "
        "gone AS (DELETE FROM counter_rollover c WHERE NOT EXISTS (SELECT FROM asked a WHERE "
        "         (a.device_id, a.channel, a.metric_id) = (c.device_id, c.channel, c.metric_id))) "
        "INSERT INTO counter_rollover AS known (device_id, channel, metric_id, size) SELECT * FROM asked "
        "ON CONFLICT (device_id, channel, metric_id) DO UPDATE SET size = excluded.size "
        "WHERE known.size <> excluded.size",
        *map(list, arrays),
        list(sizes.values()),
    )


_SAVE_FIRMWARE = """
    UPDATE device SET firmware = new.firmware
    FROM unnest($1::bigint[], $2::text[]) AS new (id, firmware) WHERE device.id = new.id
"""


async def save_firmware(connection: asyncpg.Connection, firmware: Mapping[int, str]) -> None:
    """What devices have reported as their firmware, by id."""
    if firmware:
        await connection.execute(_SAVE_FIRMWARE, list(firmware), list(firmware.values()))


# -- changes, each with its line in the audit log -------------------------------------------------------------


async def audit(
    connection: asyncpg.Connection, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Who did what to whom. Called in the transaction of the change."""
    await connection.execute(
        "INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, $2, $3, $4::jsonb)",
        actor(),
        action,
        subject,
        json_text(detail or {}),
    )


def actor() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a container's user may have no name
        return f"?@{socket.gethostname()}"


async def add_place(
    connection: asyncpg.Connection,
    *,
    slug: str,
    name: str,
    place_type: str,
    tenant: str = "village",
    latitude: float | None = None,
    longitude: float | None = None,
    tags: Mapping[str, str] | None = None,
    parameters: Mapping[str, float] | None = None,
    limits: Mapping[str, float] | None = None,
) -> bool:
    """Add a place, or change the one with this slug. Returns whether it is new."""
    async with connection.transaction():
        tenant_id = await connection.fetchval("SELECT id FROM tenant WHERE slug = $1", tenant)
        if tenant_id is None:
            known = [row[0] for row in await connection.fetch("SELECT slug FROM tenant")]
            raise NotFoundError(
                _('unknown tenant "{slug}"').format(slug=tenant) + did_you_mean(tenant, known)
            )
        new = await connection.fetchval(
            "INSERT INTO place AS known "
            "(tenant_id, slug, name, place_type, latitude, longitude, tags, parameters, limits) "
            "VALUES ($1, $2, coalesce(nullif($3, ''), $2), $4, $5, $6, $7::jsonb, $8::jsonb, $9::jsonb) "
            "ON CONFLICT (slug) DO UPDATE SET tenant_id = excluded.tenant_id, "
            "name = coalesce(nullif($3, ''), known.name), "
            "place_type = excluded.place_type, "
            "latitude = coalesce(excluded.latitude, known.latitude), "
            "longitude = coalesce(excluded.longitude, known.longitude), "
            "tags = known.tags || excluded.tags, parameters = known.parameters || excluded.parameters, "
            "limits = known.limits || excluded.limits "
            "RETURNING xmax = 0",
            tenant_id,
            slug,
            name,
            place_type,
            latitude,
            longitude,
            json_text(tags or {}),
            json_text(parameters or {}),
            json_text(limits or {}),
        )
        detail = {
            "name": name,
            "place_type": place_type,
            "parameters": parameters or {},
            "limits": limits or {},
        }
        await audit(connection, "place.add" if new else "place.change", slug, detail)
    return bool(new)


async def add_device(
    connection: asyncpg.Connection,
    *,
    dev_eui: str,
    model: str,
    name: str = "",
    parameters: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    limits: Mapping[str, float] | None = None,
) -> bool:
    """Onboard a device, or change it; what it has sent so far is decoded anew. Returns whether it is new."""
    async with connection.transaction():
        before = await connection.fetchval("SELECT model FROM device WHERE dev_eui = $1", dev_eui)
        device_id = await connection.fetchval(
            "INSERT INTO device AS known (dev_eui, model, onboarded_at, name, parameters, tags, limits) "
            "VALUES ($1, $2, now(), $3, $4::jsonb, $5::jsonb, $6::jsonb) "
            "ON CONFLICT (dev_eui) DO UPDATE SET model = excluded.model, "
            "onboarded_at = coalesce(known.onboarded_at, excluded.onboarded_at), "
            "name = CASE WHEN excluded.name = '' THEN known.name ELSE excluded.name END, "
            "parameters = known.parameters || excluded.parameters, tags = known.tags || excluded.tags, "
            "limits = known.limits || excluded.limits "
            "RETURNING id",
            dev_eui,
            model,
            name,
            json_text(parameters or {}),
            json_text(tags or {}),
            json_text(limits or {}),
        )
        detail = {"model": model, "name": name, "parameters": parameters or {}, "limits": limits or {}}
        await audit(connection, "device.add" if before is None else "device.change", dev_eui, detail)
        if before != model:
            await request_redecode(connection, [device_id])
    return before is None


async def install(
    connection: asyncpg.Connection,
    *,
    dev_eui: str,
    place: str,
    channel: int | None = None,
    since: datetime,
) -> None:
    """Let the device (or one channel) watch a place from ``since`` on; what it watched before ends there."""
    async with connection.transaction():
        device_id = await connection.fetchval("SELECT id FROM device WHERE dev_eui = $1", dev_eui)
        if device_id is None:
            known = [row[0] for row in await connection.fetch("SELECT dev_eui FROM device")]
            raise NotFoundError(
                _("unknown device {dev_eui}").format(dev_eui=dev_eui) + did_you_mean(dev_eui, known)
            )
        place_id = await connection.fetchval("SELECT id FROM place WHERE slug = $1", place)
        if place_id is None:
            known = [row[0] for row in await connection.fetch("SELECT slug FROM place")]
            raise NotFoundError(_('unknown place "{slug}"').format(slug=place) + did_you_mean(place, known))
        current = await connection.fetchrow(
            "SELECT id, place_id, valid_from FROM installation "
            "WHERE device_id = $1 AND coalesce(channel, -1) = coalesce($2::smallint, -1) AND valid_to IS NULL",
            device_id,
            channel,
        )
        if current is not None and current["place_id"] == place_id:
            return
        if current is not None:
            if current["valid_from"] >= since:
                message = _("{dev_eui} was installed at its present place only on {time:%Y-%m-%d %H:%M} UTC")
                raise UsageError(message.format(dev_eui=dev_eui, time=current["valid_from"]))
            await connection.execute(
                "UPDATE installation SET valid_to = $2 WHERE id = $1", current["id"], since
            )
        await connection.execute(
            "INSERT INTO installation (device_id, place_id, channel, valid_from) VALUES ($1, $2, $3, $4)",
            device_id,
            place_id,
            channel,
            since,
        )
        await audit(
            connection, "device.install", dev_eui, {"place": place, "channel": channel, "since": since}
        )


async def first_uplinks(connection: asyncpg.Connection, dev_euis: Sequence[str]) -> dict[str, datetime]:
    """When each of these devices was first heard; those that were not are left out."""
    rows = await connection.fetch(
        "SELECT d.dev_eui, min(f.started_at) FROM frame_gap f JOIN device d ON d.id = f.device_id "
        "WHERE d.dev_eui = ANY ($1::text[]) GROUP BY d.dev_eui",
        list(dev_euis),
    )
    return {row[0]: row[1] for row in rows}


async def request_redecode(connection: asyncpg.Connection, device_ids: Sequence[int]) -> None:
    """Ask the writer to decode the devices' stored uplinks anew."""
    await connection.execute(
        "INSERT INTO redecode_request (device_id) SELECT * FROM unnest($1::bigint[]) "
        "ON CONFLICT (device_id) DO UPDATE SET requested_at = now()",
        list(device_ids),
    )


# -- lists for people -------------------------------------------------------------------------------------------

_PLACE_LIST = """
    SELECT p.slug, p.name, p.place_type, t.slug AS tenant, p.latitude, p.longitude, p.tags::text AS tags,
           p.parameters::text AS parameters, p.limits::text AS limits,
           string_agg(DISTINCT d.dev_eui, ', ') AS devices, max(f.last_time) AS last_heard
    FROM place p
    JOIN tenant t ON t.id = p.tenant_id
    LEFT JOIN installation i ON i.place_id = p.id AND i.valid_to IS NULL
    LEFT JOIN device d ON d.id = i.device_id
    LEFT JOIN frame_gap f ON f.device_id = d.id
    GROUP BY p.id, t.slug ORDER BY p.slug
"""


async def fetch_places(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    """All places with the devices that watch them now."""
    return [_with_objects(row, "tags", "parameters", "limits") for row in await connection.fetch(_PLACE_LIST)]


_DEVICE_LIST = """
    SELECT d.dev_eui, d.name, d.model, d.firmware, d.profile_name, d.application_name, d.tags::text AS tags,
           d.parameters::text AS parameters, d.limits::text AS limits, d.id, d.created_at, d.onboarded_at,
           (SELECT string_agg(p.slug, ', ') FROM installation i JOIN place p ON p.id = i.place_id
            WHERE i.device_id = d.id AND i.valid_to IS NULL) AS places,
           max(f.last_time) AS last_heard, coalesce(sum(f.received), 0)::bigint AS received,
           coalesce(sum(greatest(0, f.last_f_cnt - f.first_f_cnt + 1 - f.received)), 0)::bigint AS missing,
           coalesce(sum(f.retransmissions), 0)::bigint AS retransmissions
    FROM device d LEFT JOIN frame_gap f ON f.device_id = d.id
    WHERE (NOT $1 OR d.model IS NULL) AND ($2::text IS NULL OR d.dev_eui = $2)
    GROUP BY d.id ORDER BY d.dev_eui
"""


async def fetch_devices(
    connection: asyncpg.Connection, *, unknown: bool = False, dev_eui: str | None = None
) -> list[dict[str, Any]]:
    """Devices with where they are and how well they are heard; ``unknown``: only those without a model."""
    found = await connection.fetch(_DEVICE_LIST, unknown, dev_eui)
    return [_with_objects(row, "tags", "parameters", "limits") for row in found]


_LATEST_OF_DEVICE = """
    SELECT m.name AS metric, l.channel, l.value, l.time, l.quality
    FROM measurement_latest l JOIN metric m ON m.id = l.metric_id JOIN device d ON d.id = l.device_id
    WHERE d.dev_eui = $1 ORDER BY l.channel, m.name
"""
_UPLINKS_OF_DEVICE = """
    SELECT u.time, u.f_port, u.f_cnt, encode(u.data, 'hex') AS data, u.status, u.fault, u.fault_detail, u.best_rssi,
           u.best_snr, u.gateway_count
    FROM uplink u JOIN device d ON d.id = u.device_id WHERE d.dev_eui = $1 ORDER BY u.time DESC LIMIT $2
"""


async def fetch_device_details(connection: asyncpg.Connection, dev_eui: str, uplinks: int) -> dict[str, Any]:
    """One device with its latest values and last uplinks; raises NotFoundError."""
    found = await fetch_devices(connection, dev_eui=dev_eui)
    if not found:
        known = [row[0] for row in await connection.fetch("SELECT dev_eui FROM device")]
        raise NotFoundError(
            _("unknown device {dev_eui}").format(dev_eui=dev_eui) + did_you_mean(dev_eui, known)
        )
    return {
        **found[0],
        "latest": [dict(row) for row in await connection.fetch(_LATEST_OF_DEVICE, dev_eui)],
        "uplinks": [dict(row) for row in await connection.fetch(_UPLINKS_OF_DEVICE, dev_eui, uplinks)],
    }


def _with_objects(row: asyncpg.Record, *columns: str) -> dict[str, Any]:
    return {**row, **{column: msgspec.json.decode(row[column]) for column in columns}}
