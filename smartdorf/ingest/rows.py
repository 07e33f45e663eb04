"""From what was parsed and decoded to the rows of the database. Pure; knows no connection and no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct

from smartdorf.alerting.engine import Observation
from smartdorf.db.batches import json_text
from smartdorf.db.stages import (
    MEASUREMENTS,
    RECEPTIONS,
    UPLINKS,
    DeviceEventRow,
    MeasurementRow,
    Packed,
    QuarantineRow,
    ReceptionRow,
    SessionRow,
    UplinkRow,
)
from smartdorf.directory import Device, Directory
from smartdorf.errors import DataRejectedError
from smartdorf.ingest.frames import LedgerBatch, Session, SessionKey
from smartdorf.ingest.source import Message
from smartdorf.model import Decoded, DeviceEvent, Event, Quality, Sample, Uplink


class Rejection(Struct, frozen=True):
    """Why a message cannot be used."""

    reason: str
    detail: str


class Rows(NamedTuple):
    """What one uplink writes if it is new, and what the rules then see of it."""

    uplink: UplinkRow
    packed: Packed | None  # the uplink's row, where it was made ready for COPY
    receptions: list[ReceptionRow | Packed]
    measurements: list[MeasurementRow | Packed]
    observations: list[Observation]
    samples: Sequence[Sample]  # of the measurements, in their order
    plain: list[MeasurementRow]  # the measurements, before they were packed


class Item(Struct):
    """One message on its way: what became of it so far."""

    message: Message
    event: Event | None = None
    rejection: Rejection | None = None
    device: Device | None = None  # None: never heard of
    decoded: Decoded | None = None  # of an uplink whose device has a model
    rows: Rows | None = None  # of an uplink, once its device and its gateways have ids
    gateway_id: str | None = None  # no device's message: this gateway says that it works


_TOO_LATE = int(Quality.TOO_LATE)
RETRANSMISSION = "retransmission"  # a value of column uplink.status


def storable(text: str) -> str:
    """``text`` without what PostgreSQL's text cannot hold: NUL, and half a surrogate pair."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def quarantine_row(message: Message, rejection: Rejection, source: str) -> QuarantineRow:
    """Unique by topic and payload, so that a redelivery is the same row."""
    digest = hashlib.blake2b(
        message.topic.encode(errors="replace") + b"\0" + message.payload, digest_size=16
    ).digest()
    return QuarantineRow(
        digest,
        storable(message.topic),
        message.payload,
        rejection.reason,
        storable(rejection.detail),
        source,
        message.received_at,
    )


class FurtherRows(NamedTuple):
    """Everything that follows from the uplinks that were new."""

    observations: list[Observation]
    receptions: list[ReceptionRow | Packed]
    measurements: list[MeasurementRow | Packed]
    missing_frames: int  # by how many the number of missing frames changed


def make_rows(
    uplink: Uplink,
    device: Device,
    decoded: Decoded | None,
    received_at: datetime,
    directory: Directory,
    gateways: Mapping[str, int],
    metrics: Mapping[str, int],
    *,
    oldest: datetime,
    pack: bool,
) -> Rows:
    """Everything that the uplink alone determines; whether it is new is for the database to say.

    ``oldest``: values from before are too late for the aggregates.
    ``pack``: make them ready for COPY, as one of many. Not where the database would refuse one of them: whoever writes
    them then finds out which.
    """
    row = uplink_row(uplink, device, decoded, received_at, status_of(decoded))
    receptions = [
        ReceptionRow(uplink.time, device.id, gateways[r.gateway_id], uplink.f_cnt, r.rssi, r.snr)
        for r in uplink.receptions
    ]
    measurements: list[MeasurementRow] = []
    samples = decoded.samples if decoded is not None else ()
    if samples:
        quality = Quality.TIME_REPLACED if uplink.reported_time is not None else Quality.OK
        measurements = measurement_rows(samples, device.id, directory, metrics, oldest, int(quality))
    seen = observations(uplink, device.id, decoded, tuple([reception.gateway_id for reception in receptions]))
    if pack:
        try:
            return Rows(
                row,
                UPLINKS.format.pack(row),
                [RECEPTIONS.pack(reception) for reception in receptions],
                [MEASUREMENTS.format.pack(measurement) for measurement in measurements],
                seen,
                samples,
                measurements,
            )
        except DataRejectedError:
            pass
    return Rows(row, None, [*receptions], [*measurements], seen, samples, measurements)


def first_rows(items: Iterable[Item], ledger: LedgerBatch) -> dict[UUID, tuple[Uplink, Rows]]:
    """The uplinks of a batch by deduplication id, retransmissions marked; one that stands there twice counts once."""
    found: dict[UUID, tuple[Uplink, Rows]] = {}
    for item in items:
        uplink, rows = item.event, item.rows
        if not isinstance(uplink, Uplink) or rows is None or uplink.deduplication_id in found:
            continue
        if ledger.is_retransmission(rows.uplink.device_id, uplink):
            # its values were told by the first of the two
            rows = Rows(rows.uplink._replace(status=RETRANSMISSION), None, rows.receptions, [], [], (), [])
        found[uplink.deduplication_id] = uplink, rows
    return found


def uplinks_of(first: Mapping[UUID, tuple[Uplink, Rows]]) -> list[UplinkRow | Packed]:
    """The uplinks' own rows, packed where they were."""
    return [rows.packed or rows.uplink for _uplink, rows in first.values()]


def further_rows(
    first: Mapping[UUID, tuple[Uplink, Rows]], new: Collection[UUID], ledger: LedgerBatch
) -> FurtherRows:
    """What the new uplinks bring: observations for the rules, receptions, measurements, frame counts."""
    further = FurtherRows([], [], [], 0)
    missing = 0
    for key, (uplink, rows) in first.items():
        if key in new:
            retransmission = rows.uplink.status == RETRANSMISSION
            missing += ledger.count(rows.uplink.device_id, uplink, retransmission=retransmission)
            further.observations.extend(rows.observations)
            further.receptions.extend(rows.receptions)
            further.measurements.extend(rows.measurements)
    return further._replace(missing_frames=missing)


def status_of(decoded: Decoded | None) -> str:
    """Column uplink.status of an uplink that is no retransmission."""
    if decoded is None:
        return "unknown_device"
    if decoded.fault is not None:
        return "fault"
    return "decoded" if decoded.samples else "nothing"


def object_of(decoded: Decoded | None, uplink: Uplink) -> str | None:
    """Column uplink.object: what no measurement carries; before a device is known, all that ChirpStack gave."""
    value: Mapping[str, Any] | None = uplink.object if decoded is None or decoded.fault else decoded.object
    return json_text(value) if value else None


def detail_of(decoded: Decoded | None) -> str | None:
    """Column uplink.fault_detail: of a fault, or what an uplink that was decoded could not tell."""
    if decoded is None:
        return None
    if decoded.fault is not None:
        return storable(decoded.fault.detail)
    return f"left out for want of {', '.join(decoded.missing)}" if decoded.missing else None


def uplink_row(
    uplink: Uplink, device: Device, decoded: Decoded | None, received_at: datetime, status: str
) -> UplinkRow:
    best = max(uplink.receptions, key=_strength, default=None)
    fault = decoded.fault if decoded is not None else None
    return UplinkRow(
        uplink.time,
        uplink.deduplication_id,
        device.id,
        uplink.f_cnt,
        uplink.f_port,
        uplink.dr,
        uplink.adr,
        uplink.confirmed,
        uplink.encrypted,
        len(uplink.receptions),
        received_at,
        uplink.frequency,
        best.rssi if best else None,
        best.snr if best else None,
        uplink.ns_time,
        uplink.dev_addr,
        uplink.data,
        status,
        device.model if decoded is not None else None,
        object_of(decoded, uplink),
        uplink.reported_time,
        storable(fault.reason) if fault else None,
        detail_of(decoded),
    )


def _strength(reception: Any) -> tuple[float, int]:
    return reception.snr, reception.rssi


def measurement_rows(
    samples: Iterable[Sample],
    device_id: int,
    directory: Directory,
    metrics: Mapping[str, int],
    oldest: datetime,
    extra_quality: int,
) -> list[MeasurementRow]:
    """``extra_quality``: bits that all values of this uplink get."""
    found: list[MeasurementRow] = []
    known_time, known_channel, place_id, extra = None, None, None, extra_quality
    for sample in samples:
        time, channel = sample.time, sample.channel
        if time is not known_time or channel != known_channel:  # nearly always the same as the one before
            place = directory.place_at(device_id, channel, time)
            known_time, known_channel, place_id = time, channel, place.id if place is not None else None
            extra = extra_quality if time >= oldest else extra_quality | _TOO_LATE
        quality = sample.quality | extra
        found.append(
            MeasurementRow(time, device_id, channel, metrics[sample.metric], sample.value, quality, place_id)
        )
    return found


def words(items: Iterable[Item], gateways: Mapping[str, int]) -> list[Observation]:
    """What our own gateways say of themselves."""
    times = {item.gateway_id: item.message.received_at for item in items if item.gateway_id is not None}
    return [Observation(0, time, gateway=gateways[gateway_id]) for gateway_id, time in times.items()]


def observations(
    uplink: Uplink, device_id: int, decoded: Decoded | None, gateways: tuple[int, ...] = ()
) -> list[Observation]:
    """What the rules see of one uplink: its values grouped by their times, oldest first.

    The last one is at the uplink's own time, with or without values: the device was heard, by these gateways.
    """
    time = uplink.time
    heard: list[tuple[int, str, float]] = []
    by_time: dict[datetime, list[tuple[int, str, float]]] = {}
    for sample in decoded.samples if decoded is not None else ():
        values = heard if sample.time == time else by_time.setdefault(sample.time, [])
        values.append((sample.channel, sample.metric, sample.value))
    found = [Observation(device_id, earlier, tuple(by_time[earlier])) for earlier in sorted(by_time)]
    found.append(Observation(device_id, time, tuple(heard), gateways))
    return found


def new_firmware(items: Iterable[Item]) -> dict[int, str]:
    """Which devices tell of another firmware than they did, by id."""
    found: dict[int, str] = {}
    for item in items:
        if item.decoded is not None and item.decoded.object and item.device is not None:
            firmware = item.decoded.firmware
            if firmware is not None and firmware != item.device.firmware:
                found[item.device.id] = storable(firmware)
    return found


def device_event_row(event: DeviceEvent, device_id: int, received_at: datetime) -> DeviceEventRow:
    return DeviceEventRow(event.time, device_id, event.type, event.key, json_text(event.payload), received_at)


def session_row(key: SessionKey, session: Session) -> SessionRow:
    device_id, dev_addr = key
    return SessionRow(
        device_id,
        session.started_at,
        session.first_f_cnt,
        session.last_f_cnt,
        session.received,
        session.retransmissions,
        session.last_time,
        dev_addr,
    )
