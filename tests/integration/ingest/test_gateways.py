"""Gateways that stop hearing, on a real database: one alert instead of many, also over restarts."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from chirpstack_api.gw import GatewayStats

from smartdorf.cli.alerts import alert_json, marks, where
from smartdorf.config.rules import load_rules
from smartdorf.content import shipped
from smartdorf.db import alerts as db_alerts
from smartdorf.db import directory as db
from smartdorf.db import lifecycle
from smartdorf.db.outbox import fetch_due
from smartdorf.db.pool import connected, open_pool
from smartdorf.db.rhythm import learn
from smartdorf.decoding.registry import load_catalogue
from smartdorf.ingest.memory import Content
from smartdorf.ingest.requests import work_off_requests
from smartdorf.ingest.source import Message
from smartdorf.vocabulary import load_vocabulary
from tests.integration.ingest.test_pipeline import NOON, Bench, message, opened, uplink
from tests.support.postgres import Database

RATHAUS, BAUHOF = "0016c001ff10a235", "0016c001ff10b346"
METERS = [f"24e124136c0100{n:02d}" for n in range(4)]  # the last one is heard by both
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    folder: Path = tmp_path_factory.mktemp("rules")
    text = (shipped("rules") / "device_health.yaml").read_text(encoding="utf-8")
    text = text.replace(
        "{quiet: learned}", "{quiet: 26h}"
    )  # what would be learned is not what is tested here
    (folder / "device_health.yaml").write_text(text, encoding="utf-8")
    vocabulary = load_vocabulary()
    rules = load_rules([folder], vocabulary)
    assert rules.problems == ()
    return Content(vocabulary, load_catalogue([shipped("decoders")], vocabulary), rules)


async def onboard(dsn: str) -> None:
    async with connected(dsn) as connection:
        for number, eui in enumerate(METERS):
            await db.add_device(connection, dev_eui=eui, model="milesight/em400-mud", name=f"Meter {number}")


def said(hour: float, number: int, *gateways: str) -> Any:
    """An uplink of meter ``number``."""
    time, f_cnt = NOON + hour * HOUR, round((hour + 100) * 60)
    heard = [{"gatewayId": g, "nsTime": time.isoformat(), "rssi": -97, "snr": 7.5} for g in gateways]
    event = uplink(f_cnt, at=time, rxInfo=heard, deduplicationId=str(UUID(int=f_cnt * 100 + number)))
    event["deviceInfo"] = {**event["deviceInfo"], "devEui": METERS[number]}
    return message(json.dumps(event).encode(), eui=METERS[number])


async def pass_to(bench: Bench, hour: float) -> None:
    await bench.writer.open()
    await bench.pipeline.tick(NOON + hour * HOUR)


async def usual_days(bench: Bench) -> None:
    """Four days on which the Rathaus hears something every hour, and the Bauhof twice a day."""
    await bench.receive(*[said(hour, hour % 3, RATHAUS) for hour in range(-96, 0)])
    await bench.receive(*[said(hour + 0.5, 3, RATHAUS, BAUHOF) for hour in range(-96, 0, 12)])
    await the_night(bench)


async def the_night(bench: Bench) -> None:
    """The service learns, and reads places, devices and gateways anew."""
    async with connected(bench.dsn) as connection:
        await learn(connection, {}, NOON)
    await bench.pipeline.rebind()


async def alerts(bench: Bench) -> list[tuple[str, str, str]]:
    return await bench.rows("SELECT rule, subject_kind, state FROM alert ORDER BY id")


async def pending(bench: Bench) -> list[db_alerts.AlertRow]:
    async with connected(bench.dsn) as connection:
        return await db_alerts.fetch_pending(connection)


async def test_one_alert_for_the_gateway_and_none_for_its_sensors_over_restarts(
    any_db: Database, content: Content
):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await usual_days(bench)
        await pass_to(bench, 0)
        await bench.receive(*[said(number / 10, number, RATHAUS) for number in range(3)])
        await bench.receive(said(0.3, 3, RATHAUS, BAUHOF))
        await pass_to(bench, 2.3)
        assert await alerts(bench) == []
    async with opened(any_db.dsn, content) as bench:
        await pass_to(bench, 2.31)
        assert await alerts(bench) == [("GatewayDown", "gateway", "firing")]
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(said(12.3, 3, BAUHOF), said(24.3, 3, BAUHOF))
        await pass_to(bench, 27)
        assert await alerts(bench) == [("GatewayDown", "gateway", "firing")]
        rows = await pending(bench)
        assert [row.device for row in rows] == ["Meter 0", "Meter 1", "Meter 2"]
        assert list(marks(rows[0])) == [f"muted by alert 1 (GatewayDown, gateway {RATHAUS})"]
        assert alert_json(rows[0], NOON)["muted_by"] == [
            {"alert": 1, "rule": "GatewayDown", "place": "", "device": "", "gateway": RATHAUS}
        ]
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(said(30, 0, RATHAUS))  # it is back
        assert await alerts(bench) == [("GatewayDown", "gateway", "resolved")]
    async with opened(any_db.dsn, content) as bench:
        await pass_to(bench, 30)
        assert await pending(bench) == []
        await bench.receive(*[said(hour, 0, RATHAUS) for hour in range(31, 57)])
        await bench.receive(said(36.3, 3, BAUHOF), said(48.3, 3, BAUHOF))
        await pass_to(bench, 56)
        assert await alerts(bench) == [("GatewayDown", "gateway", "resolved")]
    async with opened(any_db.dsn, content) as bench:
        await pass_to(bench, 56.1)
        assert await bench.rows(
            "SELECT a.rule, d.name, a.summary->>'en' FROM alert a JOIN device d ON d.id = a.subject_id "
            "WHERE a.state = 'firing' ORDER BY 2"
        ) == [
            (
                "DeviceSilent",
                "Meter 1",
                "Meter 1 (no place yet): no message for 55\xa0hours; at most 26\xa0hours are normal",
            ),
            (
                "DeviceSilent",
                "Meter 2",
                "Meter 2 (no place yet): no message for 55\xa0hours; at most 26\xa0hours are normal",
            ),
        ]


async def test_an_alert_of_a_gateway_is_told_with_its_name(any_db: Database, content: Content):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await usual_days(bench)
        async with connected(bench.dsn) as connection:
            await connection.execute("UPDATE gateway SET name = 'Rathaus' WHERE gateway_id = $1", RATHAUS)
        await bench.pipeline.rebind()
        await pass_to(bench, 2)
        async with connected(bench.dsn) as connection:
            [row] = await db_alerts.fetch_open(connection)
        assert (where(row), row.summary["de"]) == (
            "Rathaus",
            "Gateway Rathaus: seit 2\xa0Stunden nichts empfangen",
        )
        async with open_pool(bench.dsn) as pool:
            [due] = await fetch_due(pool, NOON + 60 * 24 * HOUR, receiver=None, with_stale=True, limit=9)
        assert (due.gateway, due.place, due.device) == ("Rathaus", "", "")


async def test_closed_by_hand_its_sensors_wait_no_longer_than_their_limit(any_db: Database, content: Content):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await usual_days(bench)
        await pass_to(bench, 2)
        await bench.receive(said(2.5, 3, BAUHOF), said(14.5, 3, BAUHOF))
        await pass_to(bench, 26)
        assert len(await pending(bench)) == 3
        await pass_to(bench, 718)  # the clock of the test is at 720
        assert len(await pending(bench)) == 4
        async with connected(bench.dsn) as connection:
            [_bauhof, rathaus] = await db_alerts.fetch_open(connection)
            await lifecycle.request_close(connection, rathaus.id, "taken down", bench.clock.now())
        await work_off_requests(bench.pipeline, bench.clock)
        closed = (bench.clock.now() - NOON) / HOUR
        await pass_to(bench, closed)
        assert await pending(bench) == []
        await pass_to(bench, closed + 25.9)
        assert {rule for rule, _kind, _state in await alerts(bench)} == {"GatewayDown"}
        await pass_to(bench, closed + 26.1)
        assert [rule for rule, _kind, state in await alerts(bench) if state == "firing"] == [
            "DeviceSilent"
        ] * 4


async def test_a_start_reads_back_what_was_known(any_db: Database, content: Content):
    """Although little is noted."""
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await usual_days(bench)
        await bench.receive(*[said(minute / 60, minute % 3, RATHAUS) for minute in range(200)])
        assert bench.writer.memory is not None
        before = bench.writer.memory.state.hearing
        [(noted,)] = await bench.rows("SELECT count(*) FROM hearing")
        assert noted == 5  # pairs, and not uplinks
    async with opened(any_db.dsn, content) as bench:
        memory = await bench.writer.open()
        after = memory.state.hearing
        assert (after.last, after.pairs, after.pauses) == (before.last, before.pairs, before.pauses)
        [rathaus] = await bench.rows("SELECT id FROM gateway WHERE gateway_id = $1", RATHAUS)
        assert after.last[rathaus[0]] == NOON + timedelta(minutes=199)


async def test_a_gateway_that_is_new_is_watched_from_the_next_night_on_and_holds_nobody_up(
    any_db: Database, content: Content
):
    await onboard(any_db.dsn)
    told: list[str] = []
    async with opened(any_db.dsn, content, told.append) as bench:
        await bench.receive(said(0, 0, RATHAUS))
        await bench.rows("SELECT 1")
        assert "directory" not in told
        await the_night(bench)
        assert "directory" in told
        memory = bench.writer.memory
        assert memory is not None
        assert [key.rule for key in memory.rules.instances if key.kind == "gateway"] == ["GatewayDown"]


# -- what our own tell of themselves -----------------------------------------------------------------------------------


def stats(minutes: float, gateway_id: str = RATHAUS, payload: bytes = b"{}") -> Message:
    topic = f"eu868/gateway/{gateway_id}/event/stats"
    return Message(topic, payload, 1, NOON + timedelta(minutes=minutes), duplicate=False)


async def test_our_own_gateway_is_missed_after_half_an_hour_and_found_again(
    any_db: Database, content: Content
):
    await onboard(any_db.dsn)
    told: list[str] = []
    protobuf = GatewayStats(gateway_id=RATHAUS, rx_packets_received=17).SerializeToString()
    async with opened(any_db.dsn, content, told.append) as bench:
        await bench.receive(stats(-1), stats(0, payload=protobuf))
        await bench.rows("SELECT 1")
        assert "directory" in told  # it is watched from the first word on
        await bench.pipeline.rebind()
        told.clear()
        await bench.receive(*[stats(minute / 2) for minute in range(1, 61)])
        await bench.rows("SELECT 1")
        assert told == []
        await pass_to(bench, 1.0)
        assert await alerts(bench) == []
        await pass_to(bench, 1.01)
        assert await alerts(bench) == [("GatewayOffline", "gateway", "firing")]
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(stats(90))
        assert await alerts(bench) == [("GatewayOffline", "gateway", "resolved")]
        assert await bench.rows("SELECT gateway_id, is_own, last_told_at FROM gateway") == [
            (RATHAUS, True, NOON + timedelta(minutes=90))
        ]
        assert await bench.rows("SELECT count(*) FROM quarantine") == [(0,)]


async def test_what_nobody_could_hear_is_not_missed(any_db: Database, content: Content):
    """Stats come with QoS 0: while the service is away the broker keeps none."""
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(stats(0), stats(0, BAUHOF))
        await bench.pipeline.rebind()
    async with opened(any_db.dsn, content) as bench:
        await bench.writer.open()
        back = NOON + 12 * HOUR
        await bench.pipeline.tick(back, back)
        await bench.pipeline.tick(back + 0.5 * HOUR, back)
        assert await alerts(bench) == []
        await bench.receive(stats(12 * 60 + 20))
        await bench.pipeline.tick(back + 0.6 * HOUR, back)
        assert await alerts(bench) == [("GatewayOffline", "gateway", "firing")]
        [(gateway_id,)] = await bench.rows(
            "SELECT gateway_id FROM alert JOIN gateway g ON g.id = subject_id WHERE state = 'firing'"
        )
        assert gateway_id == BAUHOF


async def test_a_gateway_that_was_taken_away_is_not_missed_again_at_each_start(
    any_db: Database, content: Content
):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(stats(0))
        await bench.pipeline.rebind()
    async with opened(any_db.dsn, content) as bench:
        await bench.writer.open()
        back = NOON + 31 * 24 * HOUR
        await bench.pipeline.tick(back, back)
        await bench.pipeline.tick(back + HOUR, back)
        assert await alerts(bench) == []
