"""The path of an uplink on a real database, without a broker: what is stored, once, and what is told."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from smartdorf.clock import Clock
from smartdorf.db import directory as db
from smartdorf.db import pool
from smartdorf.db.pool import connected
from smartdorf.db.quarantine import request_redecode_of_faults, request_replay
from smartdorf.errors import AlreadyRunningError
from smartdorf.ingest.memory import Content
from smartdorf.ingest.pipeline import Pipeline
from smartdorf.ingest.requests import work_off_requests
from smartdorf.ingest.source import Batch, Message
from smartdorf.ingest.writer import Writer
from smartdorf.metrics import Metrics
from tests.support.content import content_of
from tests.support.postgres import Database

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=30)  # when all of it arrives here
EUI = "24e124136c012345"
GATEWAY = "0016c001ff10a235"

RULES = """
groups:
  - name: waste
    rules:
      - alert: ContainerFull
        title: {de: Container voll, en: Container full}
        for_each: {place_type: container}
        limits: {full: 80}
        when: fill_level_pct >= full
        for: 2 readings
        severity: warning
        notify: [bauhof]
        mode: live
        summary: {de: "{place}: {fill_level_pct} voll", en: "{place}: {fill_level_pct} full"}
"""


def em400(distance_mm: int, battery_pct: int = 90) -> bytes:
    """Milesight EM400-MUD, f_port 85: 01 75 battery %, 04 82 distance in mm, little-endian."""
    return bytes((0x01, 0x75, battery_pct, 0x04, 0x82)) + distance_mm.to_bytes(2, "little")


def uplink(
    f_cnt: int, *, data: bytes | None = None, at: datetime | None = None, **changes: Any
) -> dict[str, Any]:
    time = (at or NOON + f_cnt * timedelta(hours=1)).isoformat()
    return {
        "deduplicationId": str(UUID(int=f_cnt + 1)),
        "time": time,
        "deviceInfo": {"devEui": EUI, "deviceName": "em400", "deviceProfileName": "EM400-MUD", "tags": {}},
        "devAddr": "01a3f27c",
        "adr": True,
        "dr": 5,
        "fCnt": f_cnt,
        "fPort": 85,
        "confirmed": False,
        "data": base64.b64encode(em400(900) if data is None else data).decode(),
        "rxInfo": [{"gatewayId": GATEWAY, "nsTime": time, "rssi": -97, "snr": 7.5}],
        "txInfo": {"frequency": 868100000},
        **changes,
    }


def message(event: dict[str, Any] | bytes, kind: str = "up", eui: str = EUI) -> Message:
    payload = event if isinstance(event, bytes) else json.dumps(event).encode()
    topic = f"application/17c82e96-be03-4f38-aef3-f83d48582d97/device/{eui}/event/{kind}"
    return Message(topic, payload, 1, LATER, duplicate=False)


class Bench:
    """A pipeline on a database, with a rule of its own, and what it acknowledged and woke."""

    def __init__(
        self, dsn: str, content: Content, on_notify: Callable[[str], None] = lambda _payload: None
    ) -> None:
        self.dsn = dsn
        self.acknowledged = 0
        self.woken = 0
        self.metrics = Metrics("test")
        self.clock = Clock(start=LATER)
        self.writer = Writer(dsn, content, self.metrics, on_notify)
        self.pipeline = Pipeline(
            self.writer,
            content,
            clock=self.clock,
            metrics=self.metrics,
            late=timedelta(days=53),
            wake_notifier=self._wake,
        )

    def _wake(self) -> None:
        self.woken += 1

    async def receive(self, *messages: Message | dict[str, Any]) -> None:
        made = [message(m) if isinstance(m, dict) else m for m in messages]

        def acknowledge() -> None:
            self.acknowledged += len(made)

        prepared = await self.pipeline.prepare("test", made)
        await self.pipeline.handle_batch(prepared, Batch("test", made, acknowledge))

    async def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        async with connected(self.dsn) as connection:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return content_of(RULES, tmp_path_factory.mktemp("rules"))


@asynccontextmanager
async def opened(
    dsn: str, content: Content, on_notify: Callable[[str], None] = lambda _payload: None
) -> AsyncIterator[Bench]:
    bench = Bench(dsn, content, on_notify)
    try:
        yield bench
    finally:
        await bench.writer.close()


@pytest.fixture
async def bench(any_db: Database, content: Content) -> AsyncIterator[Bench]:
    async with opened(any_db.dsn, content) as made:
        yield made


async def onboard(dsn: str, since: datetime = NOON - timedelta(days=1)) -> None:
    """The container at the church: the sensor hangs 1.8 m above its floor."""
    async with connected(dsn) as connection:
        await db.add_place(
            connection,
            slug="kirchplatz",
            name="Kirchplatz",
            place_type="container",
            parameters={"mounting_height_m": 1.8},
        )
        await db.add_device(connection, dev_eui=EUI, model="milesight/em400-mud")
        await db.install(connection, dev_eui=EUI, place="kirchplatz", since=since)


async def test_an_uplink_becomes_rows_and_is_acknowledged(bench: Bench):
    await onboard(bench.dsn)
    await bench.receive(uplink(0))
    assert bench.acknowledged == 1
    assert await bench.rows("SELECT time, f_cnt, status, best_rssi, gateway_count, model FROM uplink") == [
        (NOON, 0, "decoded", -97, 1, "milesight/em400-mud")
    ]
    assert await bench.rows(
        "SELECT m.name, x.value, p.slug FROM measurement x JOIN metric m ON m.id = x.metric_id "
        "JOIN place p ON p.id = x.place_id ORDER BY 1"
    ) == [
        ("battery_pct", 90.0, "kirchplatz"),
        ("fill_distance_m", 0.9, "kirchplatz"),
        ("fill_level_pct", 50.0, "kirchplatz"),
    ]
    assert await bench.rows(
        "SELECT g.gateway_id, r.rssi, r.snr FROM reception r JOIN gateway g ON g.id = r.gateway_id"
    ) == [(GATEWAY, -97, 7.5)]


async def test_what_arrives_too_late_for_the_aggregates_is_stored_and_marked(bench: Bench):
    await onboard(bench.dsn)
    limit = LATER - timedelta(days=53)
    async with connected(bench.dsn) as connection:
        await connection.execute("UPDATE installation SET valid_from = $1", limit - timedelta(days=9))
    in_time, too_late = limit + timedelta(minutes=1), limit - timedelta(minutes=1)
    await bench.receive(uplink(0, at=too_late), uplink(1, at=in_time))
    assert await bench.rows("SELECT DISTINCT time, quality FROM measurement ORDER BY time") == [
        (too_late, 8),
        (in_time, 0),
    ]
    assert await bench.rows("SELECT sum(samples) FROM measurement_hourly") == [(3,)]


async def test_what_could_not_be_told_for_want_of_a_parameter_is_said(bench: Bench):
    async with connected(bench.dsn) as connection:
        await db.add_device(connection, dev_eui=EUI, model="milesight/em400-mud")
    await bench.receive(uplink(0))
    assert await bench.rows("SELECT status, fault, fault_detail FROM uplink") == [
        ("decoded", None, "left out for want of mounting_height_m")
    ]
    assert await bench.rows(
        "SELECT m.name FROM measurement x JOIN metric m ON m.id = x.metric_id ORDER BY 1"
    ) == [
        ("battery_pct",),
        ("fill_distance_m",),
    ]


@pytest.mark.parametrize(
    ("parameters", "levels"),
    [
        # 1.5 m below a sensor that hangs at 4 m of the gauge's scale, whose zero lies 123.4 m above the sea
        ({"gauge_datum_m": 123.4}, [("water_level_m", 2.5, 0), ("water_level_nhn_m", 125.9, 0)]),
        ({}, [("water_level_m", 2.5, 0)]),
    ],
)
async def test_a_gauge_whose_datum_is_known_also_tells_the_level_above_the_sea(
    bench: Bench, parameters: dict[str, float], levels: list[tuple[str, float, int]]
):
    async with connected(bench.dsn) as connection:
        await db.add_place(
            connection,
            slug="bach",
            name="Bach",
            place_type="gauge",
            parameters={"sensor_height_m": 4, **parameters},
        )
        await db.add_device(connection, dev_eui=EUI, model="milesight/em500-udl")
        await db.install(connection, dev_eui=EUI, place="bach", since=NOON - timedelta(days=1))
    await bench.receive(uplink(0, data=bytes.fromhex("0382dc05")))
    assert await bench.rows("SELECT fault_detail FROM uplink") == [(None,)]  # nothing is amiss without it
    assert (
        await bench.rows(
            "SELECT m.name, x.value, x.quality FROM measurement x JOIN metric m ON m.id = x.metric_id "
            "JOIN place p ON p.id = x.place_id WHERE m.name LIKE 'water%' ORDER BY 1"
        )
        == levels
    )


async def test_a_redelivery_is_acknowledged_and_changes_nothing(bench: Bench):
    await onboard(bench.dsn)
    await bench.receive(uplink(0), uplink(0))
    await bench.receive(uplink(0))
    assert bench.acknowledged == 3
    for table, count in (("uplink", 1), ("reception", 1), ("measurement", 3)):
        assert await bench.rows(f"SELECT count(*) FROM {table}") == [(count,)]
    assert bench.metrics.value("smartdorf_uplinks_total", result="duplicate") == 2


async def test_a_retransmission_is_stored_marked_and_not_counted_as_a_reading(bench: Bench):
    await onboard(bench.dsn)
    full = em400(180)  # 90 %
    again = uplink(0, data=full, at=NOON + timedelta(seconds=9), deduplicationId=str(UUID(int=99)))
    await bench.receive(uplink(0, data=full), again)
    assert await bench.rows("SELECT status FROM uplink ORDER BY time") == [("decoded",), ("retransmission",)]
    assert await bench.rows("SELECT count(*) FROM measurement") == [(3,)]
    # two readings are needed: the retransmission is none
    assert await bench.rows("SELECT phase, readings FROM rule_state") == [("pending", 1)]


async def test_two_full_readings_raise_one_alert_and_put_it_into_the_outbox(bench: Bench):
    await onboard(bench.dsn)
    for f_cnt in range(3):
        await bench.receive(uplink(f_cnt, data=em400(180)))
    assert await bench.rows("SELECT rule, state, since, fired_at, summary->>'en' FROM alert") == [
        ("ContainerFull", "firing", NOON, NOON + timedelta(hours=1), "Kirchplatz: 90\xa0% full")
    ]
    assert await bench.rows("SELECT receiver, state, stale FROM outbox") == [("bauhof", "waiting", True)]
    assert bench.woken == 1
    await bench.receive(uplink(3, data=em400(1700)))
    assert await bench.rows("SELECT state, resolved_at FROM alert") == [
        ("resolved", NOON + timedelta(hours=3))
    ]
    assert await bench.rows(
        "SELECT e.kind, o.receiver FROM outbox o JOIN alert_event e ON e.id = o.alert_event_id ORDER BY e.id"
    ) == [
        ("fired", "bauhof"),
        ("resolved", "bauhof"),
    ]
    assert await bench.rows("SELECT count(*) FROM rule_state") == [(0,)]


async def test_a_restart_between_two_readings_goes_on_where_it_was(any_db: Database, content: Content):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as first:
        await first.receive(uplink(0, data=em400(180)))
    async with opened(any_db.dsn, content) as second:
        await second.receive(uplink(1, data=em400(180)))
        assert await second.rows("SELECT since, fired_at FROM alert") == [(NOON, NOON + timedelta(hours=1))]


async def test_missing_frames_are_counted_across_a_restart(any_db: Database, content: Content):
    async with opened(any_db.dsn, content) as first:
        await first.receive(uplink(5))
    async with opened(any_db.dsn, content) as second:
        await second.receive(uplink(9))
        assert await second.rows("SELECT first_f_cnt, last_f_cnt, received FROM frame_gap") == [(5, 9, 2)]
        assert second.metrics.value("smartdorf_missing_frames") == 3


async def test_an_unknown_device_is_stored_raw_and_decoded_once_it_is_known(bench: Bench):
    await bench.receive(uplink(0), uplink(1, data=em400(180)))
    assert await bench.rows("SELECT status, count(*) FROM uplink GROUP BY 1") == [("unknown_device", 2)]
    assert await bench.rows("SELECT dev_eui, model, profile_name FROM device") == [(EUI, None, "EM400-MUD")]
    await onboard(bench.dsn)
    await bench.pipeline.rebind()
    await work_off_requests(bench.pipeline, bench.clock)
    assert await bench.rows("SELECT status, model, count(*) FROM uplink GROUP BY 1, 2") == [
        ("decoded", "milesight/em400-mud", 2)
    ]
    level = "SELECT value FROM {} x JOIN metric m ON m.id = x.metric_id WHERE name = 'fill_level_pct' ORDER BY time"
    assert await bench.rows(level.format("measurement")) == [(50.0,), (90.0,)]
    assert await bench.rows(level.format("measurement_latest")) == [(90.0,)]
    assert await bench.rows("SELECT count(*) FROM redecode_request") == [(0,)]


async def test_the_past_that_was_decoded_raises_no_alert_and_the_next_reading_counts(bench: Bench):
    await bench.receive(*(uplink(f_cnt, data=em400(180)) for f_cnt in range(5)))
    await onboard(bench.dsn)
    await bench.pipeline.rebind()
    await work_off_requests(bench.pipeline, bench.clock)
    assert await bench.rows("SELECT count(*) FROM alert") == [(0,)]
    await bench.receive(uplink(5, data=em400(180)))
    await bench.receive(uplink(6, data=em400(180)))
    assert await bench.rows("SELECT fired_at FROM alert") == [(NOON + timedelta(hours=6),)]


async def test_a_message_that_is_no_event_is_kept_with_its_reason_once(bench: Bench):
    await bench.receive(message(b"{not json"), uplink(0), message(b"{not json"))
    assert bench.acknowledged == 3
    assert await bench.rows("SELECT reason, payload FROM quarantine") == [("unreadable", b"{not json")]
    assert await bench.rows("SELECT count(*) FROM uplink") == [(1,)]


async def test_one_row_that_the_database_refuses_is_quarantined_and_the_others_are_stored(bench: Bench):
    # jsonb has no NUL; ChirpStack's object of a device that nobody knows is kept as it came
    poison = uplink(3, object={"text": "a\u0000b"})
    await bench.receive(*(poison if f_cnt == 3 else uplink(f_cnt) for f_cnt in range(7)))
    assert bench.acknowledged == 7
    assert await bench.rows("SELECT f_cnt FROM uplink ORDER BY 1") == [(0,), (1,), (2,), (4,), (5,), (6,)]
    assert await bench.rows("SELECT reason FROM quarantine") == [("refused_by_database",)]


async def test_a_replay_stores_what_can_be_used_by_now_and_says_why_the_rest_cannot(bench: Bench):
    await bench.receive(message(b"{not json"), message(json.dumps(uplink(0, fPort=999)).encode()))
    async with connected(bench.dsn) as connection:
        await connection.execute(
            "UPDATE quarantine SET payload = $1 WHERE payload <> $2",
            json.dumps(uplink(0)).encode(),
            b"{not json",
        )
        assert len(await request_replay(connection, None, None)) == 2
    await work_off_requests(bench.pipeline, bench.clock)
    assert await bench.rows("SELECT f_cnt FROM uplink") == [(0,)]
    assert await bench.rows(
        "SELECT payload = $1, replayed_at IS NOT NULL, replay_requested_at IS NULL, attempts "
        "FROM quarantine ORDER BY id",
        b"{not json",
    ) == [(True, False, True, 1), (False, True, True, 1)]


async def test_faults_are_decoded_anew_after_the_decoder_was_mended(bench: Bench):
    await onboard(bench.dsn)
    await bench.receive(uplink(0, data=b"\x01"))
    assert await bench.rows("SELECT status, fault IS NOT NULL FROM uplink") == [("fault", True)]
    async with connected(bench.dsn) as connection:
        # what a mended decoder can read
        await connection.execute("UPDATE uplink SET data = $1", em400(900))
        assert await request_redecode_of_faults(connection, "milesight/em400-mud") == 1
    await work_off_requests(bench.pipeline, bench.clock)
    assert await bench.rows("SELECT status, fault FROM uplink") == [("decoded", None)]
    assert await bench.rows(
        "SELECT m.name, value FROM measurement JOIN metric m ON m.id = metric_id ORDER BY m.name"
    ) == [("battery_pct", 90.0), ("decode_fault", 0.0), ("fill_distance_m", 0.9), ("fill_level_pct", 50.0)]


async def test_other_events_are_stored_once(bench: Bench):
    status = {
        "deduplicationId": str(UUID(int=7)),
        "time": NOON.isoformat(),
        "deviceInfo": {"devEui": EUI},
        "margin": 9,
        "externalPowerSource": False,
        "batteryLevelUnavailable": False,
        "batteryLevel": 81.5,
    }
    await bench.receive(message(status, "status"), message(status, "status"))
    await bench.receive(message(status, "status"))
    assert await bench.rows("SELECT type, (payload->>'batteryLevel')::float8 FROM device_event") == [
        ("status", 81.5)
    ]


async def test_an_uplink_is_at_the_place_that_its_device_watched_then(bench: Bench):
    await onboard(bench.dsn)
    async with connected(bench.dsn) as connection:
        await db.add_place(connection, slug="schule", name="Schule", place_type="container")
        await db.install(connection, dev_eui=EUI, place="schule", since=NOON + timedelta(hours=5))
    await bench.receive(uplink(4), uplink(6))
    assert await bench.rows(
        "SELECT DISTINCT x.time, p.slug FROM measurement x JOIN place p ON p.id = x.place_id ORDER BY 1"
    ) == [
        (NOON + timedelta(hours=4), "kirchplatz"),
        (NOON + timedelta(hours=6), "schule"),
    ]


async def test_large_batches_are_stored_like_small_ones(bench: Bench):
    await onboard(bench.dsn)
    await bench.receive(*(uplink(f_cnt) for f_cnt in range(300)))
    await bench.receive(*(uplink(f_cnt) for f_cnt in range(250, 400)))
    assert await bench.rows("SELECT count(*), count(DISTINCT f_cnt) FROM uplink") == [(400, 400)]
    assert await bench.rows("SELECT count(*) FROM measurement") == [(1200,)]
    assert await bench.rows("SELECT time FROM measurement_latest LIMIT 1") == [(NOON + timedelta(hours=399),)]
    assert await bench.rows("SELECT received FROM frame_gap") == [(400,)]


async def test_a_second_writer_is_refused_and_told_who_holds_the_lock(
    plain_db: str, content: Content, monkeypatch: pytest.MonkeyPatch
):
    async with opened(plain_db, content) as first, opened(plain_db, content) as second:
        await first.writer.open()
        monkeypatch.setattr(pool, "_PROCESS", "another")
        with pytest.raises(AlreadyRunningError, match=r"smartdorf writer .* pid \d+"):
            await second.writer.open()


async def test_a_writer_whose_session_was_ended_reads_its_memory_back_and_goes_on(
    plain_db: str, content: Content
):
    await onboard(plain_db)
    async with opened(plain_db, content) as bench:
        await bench.receive(uplink(0, data=em400(180)))
        async with connected(plain_db) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'smartdorf writer%'"
            )
        async with asyncio.timeout(20):
            await bench.receive(uplink(0, data=em400(180)), uplink(1, data=em400(180)))
        assert await bench.rows("SELECT since, fired_at FROM alert") == [(NOON, NOON + timedelta(hours=1))]
        assert await bench.rows("SELECT count(*) FROM uplink") == [(2,)]


async def test_a_tick_fires_no_timer_while_the_database_is_away(plain_db: str, content: Content):
    async with opened(plain_db, content) as bench:
        await bench.pipeline.tick(NOON)
        assert not bench.writer.is_writer
