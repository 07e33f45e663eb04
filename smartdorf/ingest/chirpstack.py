"""ChirpStack v4 device events, as JSON or Protobuf → our types.

Owns: the names and rules of ChirpStack's event JSON, and whether an event's time can be believed. It must not
know where an event came from (broker, stream, webhook) nor what becomes of it. Protobuf is first turned into
what ChirpStack's JSON would have said (``chirpstack_protobuf``), so both encodings give equal events.

An event that cannot be used raises ``Rejected``, whatever its bytes; the caller keeps it with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _
from smartdorf.model import DeviceEvent, DeviceInfo, Event, Reception, Uplink

MAX_PAYLOAD = 256 * 1024  # bytes; an event heard by 40 gateways with much metadata has about 32 KiB
MAX_TOPIC = 1024  # characters; they are kept in memory
MAX_NESTING = 64  # levels in `object`; Protobuf cannot carry more, and what walks it later must not overflow
MAX_TIME_DIFFERENCE = timedelta(minutes=2)  # between the event's time and its arrival at the network server
MAX_AHEAD = timedelta(hours=1)  # of our clock
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # clocks that were never set start in 1970 or 1980
MAX_DETAIL = 200  # characters

Reason = Literal["unreadable", "too_large", "unknown_event", "future_time", "implausible_time"]
REASONS: Final[tuple[str, ...]] = get_args(Reason)


class Rejected(SmartdorfError):  # noqa: N818 - a verdict on a message, no failure of ours
    """The event cannot be used."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = _shorten(detail, MAX_DETAIL)
        super().__init__(f"{reason}: {self.detail}")


class TopicInfo(Struct, frozen=True):
    """What an event's topic tells."""

    application_id: str
    dev_eui: str  # 16 lower-case hex digits
    event: str  # up, join …, or a word that we do not know


def describe_topic(topic: str) -> TopicInfo | None:
    """Read ``[prefix/]application/<id>/device/<dev_eui>/event/<type>``; None for any other topic."""
    return _describe_topic(topic) if len(topic) <= MAX_TOPIC else None


@lru_cache(maxsize=16384)
def _describe_topic(topic: str) -> TopicInfo | None:
    match topic.rsplit("/", 6)[-6:]:
        case ["application", application_id, "device", dev_eui, "event", event] if _HEX_16(dev_eui):
            return TopicInfo(application_id, dev_eui.lower(), event)
    return None


def gateway_of_stats(topic: str) -> str | None:
    """Read ``[prefix/]gateway/<gateway_id>/event/stats``; None for any other topic.

    What the message says beside that is not looked at: it came, so the gateway works. Nor is its time: a gateway
    whose clock is wrong would look dead, while one that is noticed a little late does no harm.
    """
    if not topic.endswith("/event/stats") or len(topic) > MAX_TOPIC:
        return None
    *_prefix, gateway, gateway_id, _event, _stats = ("", *topic.split("/"))
    return gateway_id.lower() if gateway == "gateway" and _HEX_16(gateway_id) else None


def parse_event(topic: str, payload: bytes, received_at: datetime) -> Event:
    """One ChirpStack event. Raises ``Rejected``, and nothing else, for what cannot be used.

    ``received_at`` only unmasks times of the future; it never becomes an event's time, since a redelivery
    must get the same one.
    """
    if len(payload) > MAX_PAYLOAD:
        message = _("the payload has {size} bytes; expected at most {limit}")
        raise Rejected("too_large", message.format(size=len(payload), limit=MAX_PAYLOAD))
    about = describe_topic(topic)
    if about is None:
        message = _('expected a topic like "application/…/device/<16 hex digits>/event/up", got "{topic}"')
        raise Rejected("unknown_event", message.format(topic=_shorten(topic, 80)))
    if about.event != "up" and about.event not in _HEADS:
        message = _('unknown event "{event}"; known are {known}')
        known = ", ".join(["up", *_HEADS])
        raise Rejected("unknown_event", message.format(event=_shorten(about.event, 40), known=known))
    try:
        event = _uplink(about, payload) if about.event == "up" else _device_event(about, payload)
    except RecursionError:
        raise Rejected("unreadable", _("the JSON is nested too deeply")) from None
    except ValueError as error:  # of msgspec, of UTF-8, and of chirpstack_protobuf
        raise Rejected("unreadable", _advice(error, payload)) from None
    if event.time > received_at + MAX_AHEAD:
        message = _("time {time} is ahead of our clock ({now}): check the clock of ChirpStack's server")
        raise Rejected("future_time", message.format(time=event.time, now=received_at))
    if event.time < EARLIEST:
        message = _("time {time} lies before {earliest}: check the clock of ChirpStack's server")
        raise Rejected("implausible_time", message.format(time=event.time, earliest=EARLIEST.date()))
    return event


# -- ChirpStack's JSON: what we read of it, everything else is ignored ---------------------------------------
# Times are read as text: msgspec rounds the ninth digit, we truncate. What is absent has Protobuf's default.

_Uint8 = Annotated[int, Meta(ge=0, le=255)]
_Uint32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
_Int16 = Annotated[int, Meta(ge=-(2**15), le=2**15 - 1)]


class _DeviceInfo(Struct, rename="camel", gc=False):
    dev_eui: str
    device_name: str = ""
    device_profile_name: str = ""
    application_id: str = ""
    application_name: str = ""
    tenant_name: str = ""
    tags: dict[str, str] = {}


class _RxInfo(Struct, rename="camel", gc=False):
    gateway_id: str = ""
    rssi: _Int16 = 0
    snr: float = 0.0
    ns_time: str | None = None


class _TxInfo(Struct, rename="camel", gc=False):
    frequency: _Uint32 = 0


class _JoinServerContext(Struct, rename="camel", gc=False):
    session_key_id: str = ""
    app_s_key: dict[str, Any] | None = None


class _Up(Struct, rename="camel", gc=False):
    deduplication_id: UUID
    device_info: _DeviceInfo
    dev_addr: str
    time: str | None = None
    adr: bool = False
    dr: _Uint8 = 0
    f_cnt: _Uint32 = 0
    f_port: _Uint8 = 0
    confirmed: bool = False
    data: bytes = b""
    object: dict[str, Any] | None = None
    rx_info: list[_RxInfo] = []
    tx_info: _TxInfo | None = None
    join_server_context: _JoinServerContext | None = None


class _Head(Struct, rename="camel", kw_only=True):
    """What every other event has."""

    device_info: _DeviceInfo
    time: str | None = None


class _Frame(_Head, rename="camel", kw_only=True):
    deduplication_id: UUID

    def key(self) -> str:
        return str(self.deduplication_id)


class _Ack(_Head, rename="camel", kw_only=True):
    queue_item_id: UUID  # deduplicationId is empty where a class B or C timeout produced the event

    def key(self) -> str:
        return str(self.queue_item_id)


class _TxAck(_Head, rename="camel", kw_only=True):
    queue_item_id: UUID
    downlink_id: _Uint32 = 0

    def key(self) -> str:
        return f"{self.queue_item_id}:{self.downlink_id}"


class _Log(_Head, rename="camel", kw_only=True):
    level: str | int = 0
    code: str | int = 0
    description: str = ""
    context: dict[str, str] = {}

    def key(self) -> str:
        """A hash of all that the event says, the same for JSON and Protobuf (log events have no id)."""
        dev_eui = self.device_info.dev_eui.lower()
        said = (dev_eui, self.time, self.level, self.code, self.description, self.context)
        return blake2b(msgspec.json.encode(said, order="sorted"), digest_size=16).hexdigest()


_HEADS: Final[Mapping[str, type[_Frame | _Ack | _TxAck | _Log]]] = {
    "join": _Frame,
    "status": _Frame,
    "log": _Log,
    "ack": _Ack,
    "txack": _TxAck,
    "location": _Frame,
}
_decode_up: Callable[[bytes], _Up] = msgspec.json.Decoder(_Up).decode
_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
_HEX_16: Final = re.compile(r"[0-9A-Fa-f]{16}").fullmatch
_HEX_8: Final = re.compile(r"[0-9A-Fa-f]{8}").fullmatch


# -- into our types -----------------------------------------------------------------------------------------


def _uplink(about: TopicInfo, payload: bytes) -> Uplink:
    said = _decode_up(payload) if _is_json(payload) else msgspec.convert(_from_protobuf("up", payload), _Up)
    if not _HEX_8(said.dev_addr):
        raise _unreadable("devAddr", _("8 hex digits"), said.dev_addr)
    if said.object is not None and _nested_deeper(said.object, MAX_NESTING):
        raise Rejected("unreadable", _("object is nested more than {n} levels deep").format(n=MAX_NESTING))
    receptions = []
    ns_time: datetime | None = None
    for rx_info in said.rx_info:
        arrival = None if rx_info.ns_time is None else _utc("rxInfo[].nsTime", rx_info.ns_time)
        if arrival is not None and (ns_time is None or arrival < ns_time):
            ns_time = arrival
        if gateway_id := _gateway_id(rx_info.gateway_id):
            receptions.append(Reception(gateway_id, rx_info.rssi, rx_info.snr, arrival))
    time = ns_time if said.time is None else _utc("time", said.time)
    if time is None:
        raise Rejected("unreadable", _("time is missing, and no rxInfo has an nsTime to stand in for it"))
    reported_time = None
    # A gateway whose GPS is wrong decides the event's time unchecked (chirpstack#732).
    if ns_time is not None and abs(time - ns_time) > MAX_TIME_DIFFERENCE:
        time, reported_time = ns_time, time
    context = said.join_server_context
    # Positional, in the order of the model: sixteen keywords would cost a seventh of the whole function.
    return Uplink(
        said.deduplication_id,
        _device_info(about, said.device_info),
        said.dev_addr.lower(),
        time,
        said.f_cnt,
        said.f_port,
        said.data,
        tuple(receptions),
        said.dr,
        said.adr,
        said.confirmed,
        (said.tx_info.frequency or None) if said.tx_info is not None else None,
        ns_time,
        reported_time,
        said.object,
        context is not None and (context.session_key_id != "" or context.app_s_key is not None),
    )


def _device_event(about: TopicInfo, payload: bytes) -> DeviceEvent:
    document = msgspec.json.decode(payload) if _is_json(payload) else _from_protobuf(about.event, payload)
    said = msgspec.convert(document, _HEADS[about.event])
    if _nested_deeper(document, MAX_NESTING):
        raise Rejected("unreadable", _("the event is nested more than {n} levels deep").format(n=MAX_NESTING))
    if said.time is None:
        raise Rejected("unreadable", _("time is missing"))
    del document["deviceInfo"]
    _drop_session_key(document)
    return DeviceEvent(
        type=about.event,
        key=said.key(),
        time=_utc("time", said.time),
        device=_device_info(about, said.device_info),
        payload=document,
    )


def _device_info(about: TopicInfo, said: _DeviceInfo) -> DeviceInfo:
    if said.dev_eui != about.dev_eui and said.dev_eui.lower() != about.dev_eui:
        message = _(
            'deviceInfo.devEui is "{body}", but the topic names device {topic}: '
            "does a bridge rename the topics, or is the payload another device's?"
        )
        raise Rejected("unreadable", message.format(body=_shorten(said.dev_eui, 20), topic=about.dev_eui))
    names = (
        said.device_name,
        said.device_profile_name,
        said.application_id,
        said.application_name,
        said.tenant_name,
    )
    tags = said.tags
    if "\0" in "".join((*names, *tags, *tags.values())):
        # PostgreSQL cannot store NUL. These are labels that somebody typed: one must not quarantine every
        # event of a device. In measured data a NUL stays; there it is for the caller to refuse the event.
        names = tuple(name.replace("\0", "\ufffd") for name in names)  # type: ignore[assignment]  # still 5
        tags = {key.replace("\0", "\ufffd"): tag.replace("\0", "\ufffd") for key, tag in tags.items()}
    return DeviceInfo(about.dev_eui, *names, tags)


@lru_cache(maxsize=4096)
def _gateway_id(said: str) -> str:
    """16 lower-case hex digits, or nothing where a roaming partner does not tell which gateway it was.

    Passive roaming tells the lower half of a foreign gateway's id only (ChirpStack sends and accepts it so);
    the upper half, which no real EUI has zero, is filled up.
    """
    if _HEX_16(said):
        return said.lower()
    if said == "":
        return ""
    if _HEX_8(said):
        return said.lower().rjust(16, "0")
    raise _unreadable("rxInfo[].gatewayId", _("16 hex digits"), said)


def _utc(field: str, text: str) -> datetime:
    """RFC 3339 → UTC, truncated to microseconds."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is UTC:  # what ChirpStack writes
            return time
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _unreadable(field, _("a time with its UTC offset (RFC 3339)"), text)


def _drop_session_key(document: dict[str, Any]) -> None:
    """A join may carry the application session key; keys are never stored."""
    context = document.get("joinServerContext")
    if isinstance(context, dict) and isinstance(context.get("appSKey"), dict):
        context["appSKey"].pop("aesKey", None)


# -- reading and refusing -----------------------------------------------------------------------------------


def _is_json(payload: bytes) -> bool:
    """No Protobuf event starts with ``{``, even after what JSON counts as space."""
    return payload.startswith(b"{") or payload.lstrip(b" \t\r\n").startswith(b"{")


def _from_protobuf(event: str, payload: bytes) -> dict[str, Any]:
    # imported here: where ChirpStack sends JSON, its generated Protobuf code is never loaded
    from smartdorf.ingest.chirpstack_protobuf import read_event  # noqa: PLC0415

    return read_event(event, payload)


def _nested_deeper(value: Any, levels: int) -> bool:
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    if _SCALARS.issuperset(map(type, children)):  # nearly always: a flat object
        return False
    return any(_nested_deeper(child, levels - 1) for child in children if isinstance(child, (dict, list)))


def _advice(error: ValueError, payload: bytes) -> str:
    """What is wrong, and where. msgspec says ``Expected `int` <= 255 - at `$.fPort```."""
    if isinstance(error, UnicodeDecodeError):
        return _("the JSON is not UTF-8")
    problem, at, path = str(error).rpartition(" - at `$.")
    if at:
        return _("{field}: {problem}").format(field=path.rstrip("`"), problem=problem)
    if b"NaN" in payload or b"Infinity" in payload:
        message = _("{error}; NaN and Infinity are no JSON: the codec in ChirpStack must not return them")
        return message.format(error=error)
    return str(error)


def _unreadable(field: str, expected: str, got: str) -> Rejected:
    message = _('{field}: expected {expected}, got "{got}"')
    return Rejected("unreadable", message.format(field=field, expected=expected, got=_shorten(got, 40)))


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
