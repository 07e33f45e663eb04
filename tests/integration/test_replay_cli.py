"""A decoder was mended or broken: `smartdorf replay` says what would change, and rewrites it if told to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from tests.integration.test_cli import Shell

MANIFEST = """\
vendor: mine
model: thermo
name: {de: Thermo, en: Thermo}
category: environment
documentation: https://example.org/thermo
device_profile: {region: EU868, mac_version: "1.0.3", class: A, uplink_interval: 1h}
proof: datasheet
codec: thermo.py
measurements: {air_temperature_c: temperature, battery_v: battery}
"""
BEFORE = """\
def decode(frame, context):
    return {"temperature": frame.i16(0) / 100, "battery": frame.u8(2) / 10}
"""
AFTER = """\
def decode(frame, context):
    frame.expect(3)
    return {"temperature": frame.i16(0) / 10, **({"battery": frame.u8(2) / 10} if frame.u8(2) else {})}
"""
# 20.5 and 21.0 degrees if in tenths; the last byte 36 (3.6 V) or 0; the third one has a byte too many
FRAMES = ("00cd24", "00d200", "00cd2400")
EUI = "0123456789abcdef"


@pytest.fixture
def smartdorf(tmp_path: Path, plain_db: str) -> Shell:
    shell = Shell(tmp_path, plain_db)
    (tmp_path / "decoders" / "mine").mkdir(parents=True)
    (tmp_path / "decoders" / "mine" / "thermo.yaml").write_text(MANIFEST)
    (tmp_path / "decoders" / "mine" / "thermo.py").write_text(BEFORE)
    with (tmp_path / "smartdorf.toml").open("a") as file:
        file.write('[content]\ndecoders = ["decoders"]\n')
    now = datetime.now(UTC)
    with psycopg.connect(plain_db, autocommit=True) as connection:
        shell("devices", "add", EUI, "--model", "mine/thermo")
        for number, data in enumerate(FRAMES):
            time = now - timedelta(hours=10 - number)
            connection.execute(
                "INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, "
                "encrypted, data, gateway_count, received_at, status) "
                "VALUES (%s, %s, 1, '01', %s, 2, 3, true, false, false, %s, 1, %s, 'unknown_device')",
                (time, UUID(int=number), number, bytes.fromhex(data), time),
            )
    assert "1 device(s) decoded anew" in shell("replay")
    assert values(plain_db) == {
        "air_temperature_c": [2.05, 2.1, 2.05],
        "battery_v": [3.6, 0.0, 3.6],
    }
    return shell


def values(dsn: str) -> dict[str, list[float]]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT q.name, array_agg(m.value ORDER BY m.time) FROM measurement m "
            "JOIN metric q ON q.id = m.metric_id GROUP BY q.name"
        )
        return dict(rows.fetchall())


def test_as_long_as_nothing_was_changed_there_is_no_difference(smartdorf: Shell):
    report = smartdorf.json("replay", "--model", "mine/thermo", "--since", "2d", "--dry-run")
    assert report["uplinks"] == 3
    assert report["quantities"]["air_temperature_c"] == {
        "same": 3,
        "changed": 0,
        "new": 0,
        "gone": 0,
        "examples": [],
    }


def test_what_would_change_is_said_and_then_done(smartdorf: Shell):
    (smartdorf.folder / "decoders" / "mine" / "thermo.py").write_text(AFTER)
    what = ("replay", "--model", "mine/thermo", "--since", "2d")
    report = smartdorf.json(*what, "--dry-run", code=1)
    assert {name: (q["changed"], q["gone"]) for name, q in report["quantities"].items()} == {
        "air_temperature_c": (2, 0),
        "battery_v": (0, 1),
    }
    assert report["faults"] == {"length": 1}
    said = smartdorf(*what, "--dry-run", code=1)
    assert "2.05 → 20.5" in said
    assert "1 uplinks that gave values would be a fault: length" in said
    assert values(smartdorf.dsn)["air_temperature_c"] == [2.05, 2.1, 2.05]  # so far only said

    assert "1 device(s) decoded anew" in smartdorf(*what, "--apply")
    # the third one can no longer be read, and stays as it was
    assert values(smartdorf.dsn) == {"air_temperature_c": [20.5, 21.0, 2.05], "battery_v": [3.6, 3.6]}
    with psycopg.connect(smartdorf.dsn) as connection:
        statuses = connection.execute("SELECT status FROM uplink ORDER BY time").fetchall()
        assert statuses == [("decoded",)] * 3
        actions = connection.execute(
            "SELECT detail ? 'since' FROM audit_log WHERE action = 'uplink.redecode'"
        )
        assert actions.fetchall() == [(False,), (True,)]
    report = smartdorf.json(*what, "--dry-run", code=1)
    assert report["quantities"]["air_temperature_c"]["changed"] == 0


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("--model", "mine/thermo", "--dry-run"), "go with --since"),
        (("--since", "2d", "--dry-run"), "--since goes with --model"),
        (("--since", "2d", "--model", "mine/thermo"), "--dry-run (first) or --apply (then)"),
        (("--since", "90d", "--model", "mine/thermo", "--apply"), "goes back 53 days at most"),
        (("--since", "soon", "--model", "mine/thermo", "--apply"), "is no duration"),
        (("--model", "mine/termo"), 'did you mean "mine/thermo"'),
    ],
)
def test_wrong_input_is_told_what_is_expected(smartdorf: Shell, words: tuple[str, ...], advice: str):
    assert advice in smartdorf("replay", *words, code=2)
