"""ChirpStack's Protobuf events → what ChirpStack's JSON would have said of them.

Owns: the rules by which ChirpStack writes its messages as JSON. What an event means is ``chirpstack``'s affair.

The rules: messages of the ``integration`` package carry all their scalars, lists and maps; those of ``gw`` and
``common`` leave out defaults; a message that is not set is absent. Times end in ``+00:00``, bytes are base64,
enumerations are names, 64-bit integers text. NaN and infinity become null: no JSON can carry them, and one
useless number must not cost the event.
"""

import base64
import math
import struct
from typing import Any, Final

from chirpstack_api.integration import (
    AckEvent,
    JoinEvent,
    LocationEvent,
    LogEvent,
    StatusEvent,
    TxAckEvent,
    UplinkEvent,
)
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from smartdorf.i18n import gettext as _

_MESSAGES: Final[dict[str, Any]] = {
    "up": UplinkEvent,
    "join": JoinEvent,
    "status": StatusEvent,
    "log": LogEvent,
    "ack": AckEvent,
    "txack": TxAckEvent,
    "location": LocationEvent,
}
_INT64: Final = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
_FLOAT32: Final = struct.Struct("<f")


def read_event(event: str, payload: bytes) -> dict[str, Any]:
    """The event as a JSON document; of ``up``, the hot path, only what we use. Raises ValueError."""
    message = _MESSAGES[event]()
    try:
        message.ParseFromString(payload)
    except DecodeError:
        name = message.DESCRIPTOR.name
        raise ValueError(_("is neither JSON nor ChirpStack's {name} in Protobuf").format(name=name)) from None
    return _uplink(message) if event == "up" else _document(message)


def _uplink(message: Any) -> dict[str, Any]:
    rx_infos = []
    for rx_info in message.rx_info:
        told: dict[str, Any] = {
            "gatewayId": rx_info.gateway_id,
            "rssi": rx_info.rssi,
            "snr": _float32(rx_info.snr),
        }
        if rx_info.HasField("ns_time"):
            told["nsTime"] = _time("rxInfo[].nsTime", rx_info.ns_time)
        rx_infos.append(told)
    document: dict[str, Any] = {
        "deduplicationId": message.deduplication_id,
        "devAddr": message.dev_addr,
        "adr": message.adr,
        "dr": message.dr,
        "fCnt": message.f_cnt,
        "fPort": message.f_port,
        "confirmed": message.confirmed,
        "data": message.data,
        "rxInfo": rx_infos,
        "txInfo": {"frequency": message.tx_info.frequency},
    }
    if message.HasField("time"):
        document["time"] = _time("time", message.time)
    if message.HasField("device_info"):
        device = message.device_info
        document["deviceInfo"] = {
            "devEui": device.dev_eui,
            "deviceName": device.device_name,
            "deviceProfileName": device.device_profile_name,
            "applicationId": device.application_id,
            "applicationName": device.application_name,
            "tenantName": device.tenant_name,
            "tags": dict(device.tags),
        }
    if message.HasField("object"):
        document["object"] = _object(message.object)
    if message.HasField("join_server_context"):
        document["joinServerContext"] = _document(message.join_server_context)
    return document


def _document(message: Any) -> dict[str, Any]:
    """Any message by ChirpStack's rules."""
    all_fields = message.DESCRIPTOR.file.package == "integration"
    document = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if message.HasField(field.name) if field.has_presence else all_fields or value:
            document[field.json_name] = _field(field, value)
    return document


def _field(field: FieldDescriptor, value: Any) -> Any:
    if not field.is_repeated:
        return _single(field, value)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(value)  # ChirpStack has maps of text to text only
    return [_single(field, element) for element in value]


def _single(field: FieldDescriptor, value: Any) -> Any:  # noqa: PLR0911 - a table of types
    if field.message_type is not None:
        match field.message_type.full_name:
            case "google.protobuf.Timestamp":
                return _time(field.json_name, value)
            case "google.protobuf.Duration":
                return value.ToJsonString()
        return _document(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode("ascii")
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return _float32(value)
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return value if math.isfinite(value) else None
    return str(value) if field.cpp_type in _INT64 else value


def _time(field: str, timestamp: Any) -> str:
    try:
        text: str = timestamp.ToJsonString()  # …Z with 0, 3, 6 or 9 digits
    except ValueError:
        raise ValueError(_("{field}: expected a time of the years 1 to 9999").format(field=field)) from None
    return text.removesuffix("Z") + "+00:00"


def _float32(value: float) -> float | None:
    """The shortest decimal that is this 32-bit float, as in JSON: 7.2 and not 7.199999809265137."""
    if not math.isfinite(value):
        return None
    packed = _FLOAT32.pack(value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if _FLOAT32.pack(short) == packed:
            return short
    return float(f"{value:.9g}")


def _object(value: Any) -> dict[str, Any]:
    return {key: _value(member) for key, member in value.fields.items()}


def _value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            return value.number_value if math.isfinite(value.number_value) else None
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _object(value.struct_value)
        case "list_value":
            return [_value(element) for element in value.list_value.values]
    return None
