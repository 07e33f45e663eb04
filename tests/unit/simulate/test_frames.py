"""The simulator's frames are the sensors' frames, byte for byte."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smartdorf.simulate import frames
from smartdorf.simulate.frames import Payload

# published vectors, kept beside the project; they are not part of it
VECTORS = Path(__file__).parents[4] / "shared" / "vectors"


def test_parking_sensor_says_a_change_in_one_byte():
    assert frames.tps110_status(occupied=True) == Payload(1, b"\x01")
    assert frames.tps110_status(occupied=False) == Payload(1, b"\x00")


def test_parking_sensor_counts_frost_in_a_signed_byte():
    assert frames.tps110_heartbeat(occupied=False, temperature_c=-7) == Payload(2, b"\x00\xf9")


def test_parking_sensor_starts_with_firmware_and_reset_cause():
    startup = frames.tps110_startup(occupied=True, debug_codes=[0x0102])
    assert startup == Payload(3, bytes.fromhex("02010000 00000000 00000000 001d02 02 01"))


def test_container_sensor_reports_four_values_little_endian():
    # 80 % = 50, 12.3 °C = 123 = 7b 00, 1500 mm = dc 05
    payload = frames.em400_mud(battery_pct=80, temperature_c=12.3, distance_mm=1500, tilted=False)
    assert payload == Payload(85, bytes.fromhex("017550 03677b00 0482dc05 050000"))


def test_container_sensor_raises_bit_7_of_the_channel_for_an_alarm():
    assert frames.em400_mud_alarm(distance_mm=300) == Payload(85, bytes.fromhex("84822c0101"))


def test_leak_detector_sends_an_event_of_three_bytes():
    assert frames.em300_zld(leaking=True) == Payload(85, bytes.fromhex("050001"))


def test_leak_detector_counts_humidity_in_half_per_cents():
    payload = frames.em300_zld(leaking=False, battery_pct=9, temperature_c=-0.5, humidity_pct=70.5)
    assert payload == Payload(85, bytes.fromhex("017509 0367fbff 04688d 050000"))


def test_water_meter_carries_the_reading_and_fifteen_hours():
    # 2026-01-01T00:00Z = 0x6955B900, fifteen hours earlier 0x6954E610; 1000 l = e8 03, 985 l = d9 03
    payload = frames.qalcosonic_w1(
        time=datetime(2026, 1, 1, tzinfo=UTC),
        status=frames.W1_BURST,
        volume_l=1000,
        log_time=datetime(2025, 12, 31, 9, tzinfo=UTC),
        log_volume_l=985,
        deltas_l=[1] * 15,
    )
    assert payload.f_port == 100
    assert len(payload.data) == 47
    assert payload.data == bytes.fromhex("00b95569 b0 e8030000 10e65469 d9030000" + "0100" * 15)


def test_water_meter_refuses_a_history_of_another_length():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="15 differences"):
        frames.qalcosonic_w1(time=now, status=0, volume_l=1, log_time=now, log_volume_l=1, deltas_l=[1])


def test_gauge_counts_from_the_middle_of_its_range():
    # 0 bar of 0..1 is 16384 = 4000, 0 °C is 16000 + 384 = 4000 as well, 3.0 V = 0bb8
    payload = frames.dl_pr26(device_id=7, battery_v=3.0, pressure_bar=0.0, temperature_c=0.0)
    assert payload == Payload(1, bytes.fromhex("02 0007 0003 4000 4000 0bb8"))


def test_climate_sensor_says_in_two_bits_how_good_the_battery_is():
    def first_byte(battery_v: float) -> int:
        return frames.lht65n(battery_v=battery_v, temperature_c=20, humidity_pct=50).data[0]

    assert [first_byte(volts) >> 6 for volts in (3.0, 2.6, 2.52, 2.4)] == [3, 2, 1, 0]


def test_climate_sensor_without_probe_reads_7fff():
    # 3.000 V = 0bb8 with bits 11 = cbb8, -1.50 °C = ff6a, 45.0 % = 01c2
    payload = frames.lht65n(battery_v=3.0, temperature_c=-1.5, humidity_pct=45.0)
    assert payload == Payload(2, bytes.fromhex("cbb8 ff6a 01c2 01 7fff 7fff"))


def _bosch(expected: dict[str, Any]) -> Payload | None:
    occupied = expected["occupied"]
    if expected["type"] == "parking status":
        return frames.tps110_status(occupied=occupied)
    if expected["type"] == "heartbeat":
        return frames.tps110_heartbeat(occupied=occupied, temperature_c=expected["temperature"])
    if "debugCodes" not in expected:
        return None  # another publisher's reading of the same fields
    major, minor, patch = map(int, expected["firmwareVersion"].split("."))
    return frames.tps110_startup(
        occupied=occupied,
        debug_codes=expected["debugCodes"],
        firmware=(major, minor, patch),
        reset_cause={"system request": frames.RESET_SYSTEM_REQUEST}[expected["resetCause"]],
    )


def _container(expected: dict[str, Any]) -> Payload | None:
    if "distance_alarm" in expected:
        return frames.em400_mud_alarm(distance_mm=expected["distance"], temperature_c=expected["temperature"])
    if "distance_alarming" in expected:
        return None  # two reports in one frame; a single sensor does not send that
    return frames.em400_mud(
        battery_pct=expected["battery"],
        temperature_c=expected["temperature"],
        distance_mm=expected["distance"],
        tilted=expected["position"] == "tilt",
    )


def _meter(expected: dict[str, Any]) -> Payload | None:
    def time(name: str) -> datetime:
        return datetime.fromisoformat(expected[name])

    if expected.get("payloadType") == "Basic":
        return frames.qalcosonic_w1(
            time=time("lastLogTime"),
            status=frames.W1_OK,
            volume_l=expected["lastVolume"],
            log_time=time("firstLogTime"),
            log_volume_l=expected["firstLogVolume"],
            deltas_l=expected["deltaVolumes"],
        )
    if expected.get("payloadType") == "Device alarms":
        return frames.qalcosonic_w1_alarm(
            time=time("date"), status={"EMPTY PIPE": frames.W1_PIPE_EMPTY}[expected["alarmDescription"]]
        )
    return None  # configuration, and the enhanced format of newer firmware


def _gauge(expected: dict[str, Any]) -> Payload:
    def value(name: str) -> float | None:
        return expected[name]["value"] if name in expected else None

    return frames.dl_pr26(
        device_id=expected["device_id"],
        battery_v=expected["battery_voltage"]["value"],
        pressure_bar=value("pressure"),
        temperature_c=value("temperature"),
    )


def _climate(expected: dict[str, Any]) -> Payload:
    probe = expected["TempC_DS"]
    return frames.lht65n(
        battery_v=expected["BatV"],
        temperature_c=expected["TempC_SHT"],
        humidity_pct=expected["Hum_SHT"],
        probe_c=None if probe == 327.67 else probe,
    )


def _leak(expected: dict[str, Any]) -> Payload | None:
    if "history" in expected:
        return None
    return frames.em300_zld(
        leaking="leak" in (expected.get("water"), expected.get("leakage_status")),
        battery_pct=expected.get("battery"),
        temperature_c=expected.get("temperature"),
        humidity_pct=expected.get("humidity"),
    )


@pytest.mark.parametrize(
    ("model", "encode", "least"),
    [
        ("bosch/tps110", _bosch, 4),
        ("milesight/em400-mud", _container, 2),
        ("axioma/qalcosonic-w1", _meter, 2),
        ("decentlab/dl-pr26", _gauge, 2),
        ("dragino/lht65n", _climate, 2),
        ("milesight/em300-zld", _leak, 3),
    ],
)
def test_published_values_give_the_published_bytes(
    model: str, encode: Callable[[dict[str, Any]], Payload | None], least: int
):
    path = VECTORS / f"{model}.json"
    if not path.exists():
        pytest.skip("the published vectors are not on this machine")
    compared = 0
    for vector in json.loads(path.read_text())["vectors"]:
        payload = encode(vector["expected"]) if vector.get("expected") else None
        if payload is not None:
            assert (payload.f_port, payload.data.hex()) == (vector["f_port"], vector["bytes"])
            compared += 1
    assert compared >= least
