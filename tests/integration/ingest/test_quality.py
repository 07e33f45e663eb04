"""What is told of values beside those before them, on a real database: flags, faults, firmware, roll-overs."""

import base64
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from smartdorf.config.rules import load_rules
from smartdorf.content import shipped
from smartdorf.db import directory as db
from smartdorf.db.pool import connected
from smartdorf.decoding.registry import load_catalogue
from smartdorf.ingest.compare import find_drift
from smartdorf.ingest.memory import Content
from smartdorf.vocabulary import load_vocabulary
from tests.integration.ingest.test_pipeline import EUI, NOON, Bench, opened, uplink
from tests.support.postgres import Database

# A counter of 16 bits, as a village would write its own.
PULSE = """
vendor: acme
model: pulse
name: {de: Impulszähler, en: Pulse counter}
category: water
documentation: https://example.org/pulse
device_profile: {region: EU868, mac_version: "1.0.3", class: A, uplink_interval: 1h}
proof: datasheet
parameters:
  pulse_volume_m3: {unit: m3, range: [0, 10], de: Volumen eines Impulses, en: Volume of a pulse}
codec: pulse.py
measurements:
  pulse_count: {field: pulses, rollover: 65536}
  water_volume_m3: {derive: pulse_volume, from: pulse_count, volume: pulse_volume_m3}
"""
PULSE_CODEC = """
def decode(frame, context):
    frame.expect(2)
    return {"pulses": frame.u16(0)}
"""

JUMP, STUCK, RESTARTING = 16, 32, 64
_FLAGS = (
    "SELECT x.time, x.value, x.quality FROM measurement x JOIN metric m ON m.id = x.metric_id "
    "WHERE m.name = $1 ORDER BY x.time"
)


def em300(temperature: float) -> bytes:
    """Milesight EM300-TH, f_port 85: 03 67 temperature in tenths of a degree, little-endian."""
    return bytes((0x03, 0x67)) + round(temperature * 10).to_bytes(2, "little", signed=True)


def climate(f_cnt: int, temperature: float, hours: float, **changes: Any) -> dict[str, Any]:
    return uplink(f_cnt, data=em300(temperature), at=NOON + timedelta(hours=hours), **changes)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    folder = tmp_path_factory.mktemp("decoders")
    (folder / "pulse.yaml").write_text(PULSE)
    (folder / "pulse.py").write_text(PULSE_CODEC)
    vocabulary = load_vocabulary()
    catalogue = load_catalogue([shipped("decoders"), folder], vocabulary)
    assert catalogue.problems == []
    return Content(vocabulary, catalogue, load_rules([shipped("rules")], vocabulary))


@pytest.fixture
async def bench(any_db: Database, content: Content) -> AsyncIterator[Bench]:
    async with opened(any_db.dsn, content) as made:
        yield made


async def add(dsn: str, model: str = "milesight/em300-th", **parameters: float) -> None:
    async with connected(dsn) as connection:
        await db.add_device(connection, dev_eui=EUI, model=model, parameters=parameters)


async def flags(bench: Bench, metric: str = "air_temperature_c") -> list[tuple[float, int]]:
    return [(value, quality) for _time, value, quality in await bench.rows(_FLAGS, metric)]


async def test_a_jump_is_flagged_and_kept(bench: Bench):
    await add(bench.dsn)
    await bench.receive(climate(0, 4.0, 0), climate(1, 4.5, 1))
    await bench.receive(climate(2, 39.0, 2), climate(3, 5.0, 3))
    assert await flags(bench) == [(4.0, 0), (4.5, 0), (39.0, JUMP), (5.0, 0)]
    assert await bench.rows("SELECT sum(samples) FROM measurement_hourly") == [(4,)]


async def test_what_was_before_a_restart_is_not_forgotten(any_db: Database, content: Content):
    await add(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(*[climate(n, 21.5, 6.0 * n) for n in range(12)])
        assert {quality for _value, quality in await flags(bench)} == {0}
    async with opened(any_db.dsn, content) as bench:  # the thirteenth equal value, three days after the first
        await bench.receive(climate(12, 21.5, 72))
        assert (await flags(bench))[-1] == (21.5, STUCK)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(climate(13, 49.0, 73))
        assert (await flags(bench))[-1] == (49.0, JUMP)


async def test_a_redelivered_batch_is_judged_once(bench: Bench):
    await add(bench.dsn)
    first, spike = climate(0, 4.0, 0), climate(1, 39.0, 1)
    await bench.receive(first, spike)
    await bench.receive(first, spike)
    await bench.receive(climate(2, 4.2, 2))
    assert await flags(bench) == [(4.0, 0), (39.0, JUMP), (4.2, 0)]


async def test_many_at_once_are_judged_as_well(bench: Bench):
    """A hundred uplinks take another way to the server than a few."""
    await add(bench.dsn)
    await bench.receive(*[climate(n, 30.0 if n == 70 else 4.0 + n % 2, n / 4) for n in range(150)])
    assert [(n, flag) for n, (_value, flag) in enumerate(await flags(bench)) if flag] == [(70, JUMP)]


async def test_a_device_that_begins_anew_all_day_is_flagged(bench: Bench):
    await add(bench.dsn)
    for n in range(6):  # joins again every hour: another address, the counter at 0
        event = climate(0, 4.0 + n / 10, n, devAddr=f"01a3f2{n:02x}")
        event["deduplicationId"] = f"00000000-0000-0000-0000-{n:012d}"
        await bench.receive(event)
    assert [quality for _value, quality in await flags(bench)] == [0, 0, 0, 0, RESTARTING, RESTARTING]
    assert await flags(bench, "device_restarting") == [(1.0, 0), (1.0, 0)]


def broken(f_cnt: int, at: datetime | None = None) -> dict[str, Any]:
    return uplink(f_cnt, data=b"\x03\x67\x01", at=at)


async def test_a_decoder_that_fails_is_a_measurement_until_it_works(any_db: Database, content: Content):
    await add(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(climate(0, 4.0, 0), broken(1), broken(2))
        assert await flags(bench, "decode_fault") == [(1.0, 0), (1.0, 0)]
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(climate(3, 4.0, 3), climate(4, 4.0, 4))
        assert await flags(bench, "decode_fault") == [(1.0, 0), (1.0, 0), (0.0, 0)]


def heard(f_cnt: int, *snr: float) -> dict[str, Any]:
    event = climate(f_cnt, 4.0, f_cnt)
    time = event["rxInfo"][0]["nsTime"]
    event["rxInfo"] = [
        {"gatewayId": f"0016c001ff10a23{number}", "nsTime": time, "rssi": -118, "snr": value}
        for number, value in enumerate(snr)
    ]
    return event


async def test_a_link_without_reserve_is_a_measurement_until_one_gateway_hears_it_well(
    any_db: Database, content: Content
):
    await add(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(heard(0, -5.0), heard(1, -18.5, -17.1), heard(2, -18.5, -16.9), heard(3, -19.0))
        assert await flags(bench, "link_weak") == [(1.0, 0), (0.0, 0), (1.0, 0)]
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(heard(4, -3.0), heard(5, -3.0))
        assert await flags(bench, "link_weak") == [(1.0, 0), (0.0, 0), (1.0, 0), (0.0, 0)]


async def test_what_smartdorf_notes_itself_is_no_difference_between_decoders(bench: Bench, content: Content):
    await add(bench.dsn)
    await bench.receive(broken(1), climate(2, 4.0, 2))
    async with connected(bench.dsn) as connection:
        drift = await find_drift(connection, content.catalogue.models["milesight/em300-th"], NOON)
    assert drift.uplinks == 2
    assert not drift.differs


async def test_faults_are_counted_by_model_and_firmware(bench: Bench):
    await add(bench.dsn)
    # Milesight: ff 0a firmware version 1.3
    await bench.receive(uplink(0, data=bytes.fromhex("ff0a0103")))
    await bench.receive(broken(1), broken(2))
    assert await bench.rows("SELECT firmware FROM device") == [("v1.3",)]
    assert (
        bench.metrics.value(
            "smartdorf_decode_faults_total", reason="too_short", model="milesight/em300-th", firmware="v1.3"
        )
        == 2.0
    )


async def test_what_a_pulse_counts_says_where_the_volume_rolls_over(any_db: Database, content: Content):
    await add(any_db.dsn, "acme/pulse", pulse_volume_m3=0.01)
    async with opened(any_db.dsn, content) as bench:
        data = (65530).to_bytes(2, "big")
        await bench.receive(uplink(0, data=data), uplink(1, data=(4).to_bytes(2, "big")))
        assert await bench.rows(
            "SELECT m.name, round(size::numeric, 6)::float8 "
            "FROM counter_rollover JOIN metric m ON m.id = metric_id ORDER BY 1"
        ) == [("pulse_count", 65536), ("water_volume_m3", 655.36)]
        assert await bench.rows(
            "SELECT m.name, round(sum(consumed)::numeric, 6)::float8 "
            "FROM consumption_hourly JOIN metric m ON m.id = metric_id GROUP BY 1 ORDER BY 1"
        ) == [("pulse_count", 10), ("water_volume_m3", 0.1)]
        assert await flags(bench, "pulse_count") == [(65530.0, 0), (4.0, 0)]


def test_the_frames_are_what_is_claimed():
    assert base64.b64decode(climate(0, -1.5, 0)["data"]).hex() == "0367f1ff"
