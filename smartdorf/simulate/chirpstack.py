"""ChirpStack v4 integration events, written the way ChirpStack writes them.

Owns: the events' field names, what is emitted and what is omitted, JSON and Protobuf. Must not know
smartdorf's own parser of these events, which this module exists to contradict.

An event is built once as the dictionary of its JSON form; Protobuf is made from that. The rules:
scalars, lists and maps of the ``integration`` package are always there (``fPort: 0``, ``tags: {}``), unset
messages are absent; inside ``gw.*`` and ``common.*`` objects whatever has its default value is omitted.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from chirpstack_api import integration
from google.protobuf import json_format

Event = dict[str, Any]

REGION = "eu868"
BANDWIDTH = 125_000  # Hz, of data rates 0 to 5
GPS_EPOCH = datetime(1980, 1, 6, tzinfo=UTC)
LEAP_SECONDS = 18  # GPS is ahead of UTC by so many since 2017

_PROTOBUF = {
    "up": integration.UplinkEvent,
    "join": integration.JoinEvent,
    "status": integration.StatusEvent,
    "log": integration.LogEvent,
    "ack": integration.AckEvent,
    "txack": integration.TxAckEvent,
    "location": integration.LocationEvent,
}
EVENT_TYPES = tuple(_PROTOBUF)


@dataclass(frozen=True, slots=True)
class Reception:
    """One gateway's hearing of a frame. ``gps_time`` only where the gateway has a clock of its own."""

    gateway_id: str
    ns_time: datetime
    rssi: int
    snr: float
    channel: int
    latitude: float
    longitude: float
    altitude: float
    uplink_id: int
    context: bytes
    ns_digits: int = 0  # nanoseconds below the microsecond
    rf_chain: int = 0
    gps_time: datetime | None = None


def topic(application_id: str, dev_eui: str, event_type: str) -> str:
    return f"application/{application_id}/device/{dev_eui}/event/{event_type}"


def timestamp(at: datetime, ns_digits: int = 0) -> str:
    """RFC 3339 as pbjson writes it: ``+00:00``, and 0, 3, 6 or 9 digits of a second."""
    if ns_digits:
        text = at.isoformat(timespec="microseconds")
        return f"{text[:26]}{ns_digits:03d}{text[26:]}"
    if at.microsecond == 0:
        return at.isoformat(timespec="seconds")
    return at.isoformat(timespec="microseconds" if at.microsecond % 1000 else "milliseconds")


def device_info(
    *,
    tenant: tuple[str, str],
    application: tuple[str, str],
    profile: tuple[str, str],
    device_name: str,
    dev_eui: str,
    tags: Mapping[str, str],
) -> Event:
    """The ``deviceInfo`` of every event; tenant, application and profile are (id, name)."""
    return {
        "tenantId": tenant[0],
        "tenantName": tenant[1],
        "applicationId": application[0],
        "applicationName": application[1],
        "deviceProfileId": profile[0],
        "deviceProfileName": profile[1],
        "deviceName": device_name,
        "devEui": dev_eui,
        "deviceClassEnabled": "CLASS_A",
        "tags": dict(tags),
    }


def up(
    *,
    deduplication_id: str,
    time: str,
    device: Event,
    dev_addr: str,
    dr: int,
    f_cnt: int,
    f_port: int,
    data: bytes,
    receptions: Sequence[Reception],
    frequency: int,
    adr: bool = True,
    confirmed: bool = False,
) -> Event:
    return {
        "deduplicationId": deduplication_id,
        "time": time,
        "deviceInfo": device,
        "devAddr": dev_addr,
        "adr": adr,
        "dr": dr,
        "fCnt": f_cnt,
        "fPort": f_port,
        "confirmed": confirmed,
        "data": base64.b64encode(data).decode(),
        "rxInfo": [_rx_info(reception) for reception in receptions],
        "txInfo": {"frequency": frequency, "modulation": _lora(dr)},
        "regionConfigId": REGION,
    }


def _rx_info(reception: Reception) -> Event:
    info: Event = {"gatewayId": reception.gateway_id}
    _set(info, "uplinkId", reception.uplink_id)
    if reception.gps_time is not None:
        info["gwTime"] = timestamp(reception.gps_time)
    info["nsTime"] = timestamp(reception.ns_time, reception.ns_digits)
    if reception.gps_time is not None:
        since_epoch = reception.gps_time - GPS_EPOCH
        seconds = since_epoch.days * 86_400 + since_epoch.seconds + LEAP_SECONDS
        info["timeSinceGpsEpoch"] = duration(seconds, since_epoch.microseconds)
    _set(info, "rssi", reception.rssi)
    _set(info, "snr", reception.snr)
    _set(info, "channel", reception.channel)
    _set(info, "rfChain", reception.rf_chain)
    location: Event = {}
    _set(location, "latitude", reception.latitude)
    _set(location, "longitude", reception.longitude)
    _set(location, "altitude", reception.altitude)
    info["location"] = location
    _set(info, "context", base64.b64encode(reception.context).decode())
    info["crcStatus"] = "CRC_OK"
    return info


def _set(target: Event, name: str, value: object) -> None:
    """Set a ``gw.*`` or ``common.*`` field, which is omitted where it has its default."""
    if value:
        target[name] = value


def duration(seconds: int, microseconds: int = 0) -> str:
    """``google.protobuf.Duration`` with 0, 3 or 6 digits: ``1475993740.734112s``."""
    if microseconds == 0:
        return f"{seconds}s"
    if microseconds % 1000 == 0:
        return f"{seconds}.{microseconds // 1000:03d}s"
    return f"{seconds}.{microseconds:06d}s"


def _lora(dr: int, *, downlink: bool = False) -> Event:
    """Data rates 0 to 5 of EU868 are spreading factors 12 to 7 at 125 kHz."""
    lora: Event = {"bandwidth": BANDWIDTH, "spreadingFactor": 12 - dr, "codeRate": "CR_4_5"}
    _set(lora, "polarizationInversion", downlink)
    return {"lora": lora}


def join(*, deduplication_id: str, time: str, device: Event, dev_addr: str) -> Event:
    return {
        "deduplicationId": deduplication_id,
        "time": time,
        "deviceInfo": device,
        "devAddr": dev_addr,
        "regionConfigId": REGION,
    }


def status(*, deduplication_id: str, time: str, device: Event, margin: int, battery_level: float) -> Event:
    return {
        "deduplicationId": deduplication_id,
        "time": time,
        "deviceInfo": device,
        "margin": margin,
        "externalPowerSource": False,
        "batteryLevelUnavailable": False,
        "batteryLevel": battery_level,
    }


def log(
    *, time: str, device: Event, level: str, code: str, description: str, context: Mapping[str, str]
) -> Event:
    return {
        "time": time,
        "deviceInfo": device,
        "level": level,
        "code": code,
        "description": description,
        "context": dict(context),
    }


def ack(
    *,
    deduplication_id: str,
    time: str,
    device: Event,
    queue_item_id: str,
    acknowledged: bool,
    f_cnt_down: int,
) -> Event:
    return {
        "deduplicationId": deduplication_id,
        "time": time,
        "deviceInfo": device,
        "queueItemId": queue_item_id,
        "acknowledged": acknowledged,
        "fCntDown": f_cnt_down,
    }


def txack(
    *,
    downlink_id: int,
    time: str,
    device: Event,
    queue_item_id: str,
    f_cnt_down: int,
    gateway_id: str,
    frequency: int,
    dr: int,
    context: bytes,
) -> Event:
    """Sent in the first receive window, one second after the uplink. It carries no application tags."""
    return {
        "downlinkId": downlink_id,
        "time": time,
        "deviceInfo": device,
        "queueItemId": queue_item_id,
        "fCntDown": f_cnt_down,
        "gatewayId": gateway_id,
        "txInfo": {
            "frequency": frequency,
            "power": 16,
            "modulation": _lora(dr, downlink=True),
            "timing": {"delay": {"delay": "1s"}},
            "context": base64.b64encode(context).decode(),
        },
    }


def location(
    *, deduplication_id: str, time: str, device: Event, latitude: float, longitude: float, accuracy: float
) -> Event:
    return {
        "deduplicationId": deduplication_id,
        "time": time,
        "deviceInfo": device,
        "location": {
            "latitude": latitude,
            "longitude": longitude,
            "source": "GEO_RESOLVER_TDOA",
            "accuracy": accuracy,
        },
    }


def encode_json(event: Event) -> bytes:
    return msgspec.json.encode(event)


def encode_protobuf(event_type: str, event: Event) -> bytes:
    """The same event as Protobuf; strict, so a field that ChirpStack does not have is an error here."""
    return bytes(parse_event(event_type, event).SerializeToString(deterministic=True))


def parse_event(event_type: str, event: Event) -> Any:
    """The Protobuf message of an event."""
    parse: Callable[..., Any] = json_format.ParseDict  # it has no annotations of its own
    return parse(event, _PROTOBUF[event_type]())
