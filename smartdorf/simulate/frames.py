"""Uplink payloads as the sensors themselves send them, written from the vendors' format descriptions.

Owns: physical values -> (f_port, bytes). Must not know smartdorf's decoders: these encoders exist so that
the two can contradict each other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

# Axioma status byte. Leakage and burst are temporary errors, so they come with 0x10.
W1_OK = 0x00
W1_LOW_BATTERY = 0x04
W1_PIPE_EMPTY = 0x10
W1_LEAKAGE = 0x30
W1_BURST = 0xB0

W1_DELTAS = 15  # hourly differences that a consumption frame carries

# Bosch TPS110, last but one byte of a startup frame
RESET_WATCHDOG, RESET_POWER_ON, RESET_SYSTEM_REQUEST = 1, 2, 3

PROBE_MISSING = 0x7FFF  # Dragino: what a port without a probe reads

MILESIGHT_PORT = 85


class Payload(NamedTuple):
    f_port: int
    data: bytes


def tps110_status(*, occupied: bool) -> Payload:
    """Bosch TPS110: the bay's state has changed."""
    return Payload(1, bytes([occupied]))


def tps110_heartbeat(*, occupied: bool, temperature_c: int) -> Payload:
    """Bosch TPS110: the sign of life, once a day; temperature is a signed byte."""
    return Payload(2, struct.pack("<Bb", occupied, temperature_c))


def tps110_startup(
    *,
    occupied: bool,
    firmware: tuple[int, int, int] = (0, 29, 2),
    reset_cause: int = RESET_POWER_ON,
    debug_codes: Sequence[int] = (),
) -> Payload:
    """Bosch TPS110: after power-on or reset. Three 32-bit debug codes, firmware, reset cause, state."""
    codes = (*debug_codes, 0, 0, 0)[:3]
    return Payload(3, struct.pack("<3I3BBB", *codes, *firmware, reset_cause, occupied))


def em400_mud(
    *,
    battery_pct: int | None = None,
    temperature_c: float | None = None,
    distance_mm: int | None = None,
    tilted: bool | None = None,
) -> Payload:
    """Milesight EM400-MUD: the periodic report; a part that is not given is left out, as in the field."""
    data = _battery(battery_pct) + _temperature(temperature_c)
    if distance_mm is not None:
        data += b"\x04\x82" + struct.pack("<H", distance_mm)
    if tilted is not None:
        data += bytes([0x05, 0x00, tilted])
    return Payload(MILESIGHT_PORT, data)


def em400_mud_alarm(*, distance_mm: int, temperature_c: float | None = None) -> Payload:
    """Milesight EM400-MUD: a threshold was crossed. The channel has bit 7 set, the value a 01 behind it."""
    data = b""
    if temperature_c is not None:
        data += b"\x83\x67" + struct.pack("<hB", round(temperature_c * 10), 1)
    data += b"\x84\x82" + struct.pack("<HB", distance_mm, 1)
    return Payload(MILESIGHT_PORT, data)


def em300_zld(
    *,
    leaking: bool,
    battery_pct: int | None = None,
    temperature_c: float | None = None,
    humidity_pct: float | None = None,
) -> Payload:
    """Milesight EM300-ZLD: zone leak detection; humidity counts half per cents."""
    data = _battery(battery_pct) + _temperature(temperature_c)
    if humidity_pct is not None:
        data += bytes([0x04, 0x68, round(humidity_pct * 2)])
    return Payload(MILESIGHT_PORT, data + bytes([0x05, 0x00, leaking]))


def _battery(battery_pct: int | None) -> bytes:
    return b"" if battery_pct is None else bytes([0x01, 0x75, battery_pct])


def _temperature(temperature_c: float | None) -> bytes:
    return b"" if temperature_c is None else b"\x03\x67" + struct.pack("<h", round(temperature_c * 10))


def qalcosonic_w1(
    *,
    time: datetime,
    status: int,
    volume_l: int,
    log_time: datetime,
    log_volume_l: int,
    deltas_l: Sequence[int],
) -> Payload:
    """Axioma Qalcosonic W1: reading now, reading at ``log_time``, then 15 hourly differences from there on."""
    if len(deltas_l) != W1_DELTAS:
        raise ValueError(f"a consumption frame carries {W1_DELTAS} differences, not {len(deltas_l)}")
    seconds, log_seconds = int(time.timestamp()), int(log_time.timestamp())
    head = struct.pack("<IBIII", seconds, status, volume_l, log_seconds, log_volume_l)
    return Payload(100, head + struct.pack(f"<{W1_DELTAS}H", *deltas_l))


def qalcosonic_w1_alarm(*, time: datetime, status: int) -> Payload:
    """Axioma Qalcosonic W1: an alarm telegram is the meter's time and its status byte."""
    return Payload(103, struct.pack("<IB", int(time.timestamp()), status))


def dl_pr26(
    *,
    device_id: int,
    battery_v: float,
    pressure_bar: float | None = None,
    temperature_c: float | None = None,
    pressure_min_bar: float = 0.0,
    pressure_max_bar: float = 1.0,
) -> Payload:
    """Decentlab DL-PR26, protocol version 2: device id, mask of the sensors present, 16-bit words.

    Keller's scale: 16384 is the lower and 49152 the upper end of the pressure range; the temperature counts
    0.003125 °C from -50 °C at 384. Without a pressure only the battery is reported.
    """
    battery = round(battery_v * 1000)
    if pressure_bar is None or temperature_c is None:
        return Payload(1, struct.pack(">BHHH", 2, device_id, 0b10, battery))
    share = (pressure_bar - pressure_min_bar) / (pressure_max_bar - pressure_min_bar)
    pressure = round(share * 32768) + 16384
    temperature = round((temperature_c + 50) / 0.003125) + 384
    return Payload(1, struct.pack(">BHHHHH", 2, device_id, 0b11, pressure, temperature, battery))


def lht65n(
    *, battery_v: float, temperature_c: float, humidity_pct: float, probe_c: float | None = None
) -> Payload:
    """Dragino LHT65N with a temperature probe (type 1) configured; ``None`` reads as "probe missing"."""
    if battery_v >= 2.65:
        level = 3
    elif battery_v >= 2.55:
        level = 2
    else:
        level = 1 if battery_v >= 2.5 else 0
    probe = PROBE_MISSING if probe_c is None else round(probe_c * 100)
    return Payload(
        2,
        struct.pack(
            ">HhHBhH",
            level << 14 | round(battery_v * 1000),
            round(temperature_c * 100),
            round(humidity_pct * 10),
            1,
            probe,
            0x7FFF,
        ),
    )
