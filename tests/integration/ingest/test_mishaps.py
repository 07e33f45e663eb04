"""What must not stop the service: mishaps of decoders, requests and connections, each on a real database."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from smartdorf.db import directory as db
from smartdorf.db.pool import connected
from smartdorf.db.quarantine import request_replay
from smartdorf.decoding.codec import Codec
from smartdorf.errors import DatabaseUnavailableError
from smartdorf.ingest.memory import Content
from smartdorf.ingest.requests import work_off_requests
from tests.integration.ingest.test_pipeline import Bench, content, message, onboard, opened, uplink

__all__ = ["content"]  # a fixture

MODEL = "milesight/em400-mud"


def with_codec(content: Content, decode: Callable[[Any, Any], Any]) -> Content:
    """The same content, but for a model whose codec does ``decode``."""
    model = dataclasses.replace(content.catalogue.models[MODEL], codec=Codec(decode, Path("mishap.py")))
    catalogue = dataclasses.replace(content.catalogue, models={**content.catalogue.models, MODEL: model})
    return dataclasses.replace(content, catalogue=catalogue)


@pytest.fixture
async def bench(plain_db: str, content: Content) -> AsyncIterator[Bench]:
    async with opened(plain_db, content) as made:
        yield made


def loops(_frame: object, _context: object) -> None:
    while True:
        with contextlib.suppress(Exception):  # a codec that catches all it can
            pass


@pytest.mark.parametrize(
    "decode",
    [loops, lambda *_: {"odd": 1 + 2j}, lambda *_: {"odd": "\ud800"}, lambda *_: 1 / 0],
    ids=["loops", "returns a complex number", "returns half a character", "raises"],
)
async def test_a_codec_that_misbehaves_gives_faults_and_the_next_message_is_stored(
    plain_db: str, content: Content, decode: Callable[[Any, Any], Any]
):
    async with opened(plain_db, with_codec(content, decode)) as bench:
        await onboard(plain_db)
        await bench.writer.open()
        await bench.receive(uplink(1))
        await bench.receive(uplink(2), message(b"{not json"))
        assert bench.acknowledged == 3
        assert await bench.rows("SELECT status, fault, count(*) FROM uplink GROUP BY 1, 2") == [
            ("fault", "codec_error", 2)
        ]


async def test_what_the_database_refuses_of_the_past_becomes_a_fault_and_the_rest_is_decoded(
    plain_db: str, content: Content, monkeypatch: pytest.MonkeyPatch
):
    # a NUL is noticed before; this stands for whatever only the database notices
    monkeypatch.setattr("smartdorf.decoding.registry._check_storable", lambda _left_over: None)

    def padded(frame: Any, _context: Any) -> dict[str, Any]:
        return {"version": "1.0\0" if frame.data[1] == 0x76 else "1.0", "battery": 90}

    async with opened(plain_db, with_codec(content, padded)) as bench:
        poison = uplink(2, data=bytes((0x01, 0x76, 90)))
        await bench.receive(uplink(1), poison, uplink(3))
        await onboard(plain_db)
        await bench.pipeline.rebind()
        await work_off_requests(bench.pipeline, bench.clock)
        assert await bench.rows("SELECT f_cnt, status, fault FROM uplink ORDER BY 1") == [
            (1, "decoded", None),
            (2, "fault", "refused_by_database"),
            (3, "decoded", None),
        ]
        assert await bench.rows("SELECT count(*) FROM redecode_request") == [(0,)]


async def test_a_replay_that_is_refused_with_an_odd_character_is_noted(bench: Bench):
    odd = uplink(1)
    odd["deviceInfo"]["devEui"] = "ab\0"
    await bench.receive(message(odd))
    async with connected(bench.dsn) as connection:
        await request_replay(connection, None, None)
    await work_off_requests(bench.pipeline, bench.clock)
    assert await bench.rows("SELECT reason, attempts FROM quarantine") == [("unreadable", 1)]


async def test_a_device_that_was_onboarded_a_moment_ago_is_known_to_the_request(bench: Bench):
    await bench.receive(uplink(1))
    await onboard(bench.dsn)
    # the NOTIFY of the new model has not been handled yet
    await work_off_requests(bench.pipeline, bench.clock)
    assert await bench.rows("SELECT status FROM uplink") == [("decoded",)]


async def test_a_database_that_refuses_connections_for_a_while_is_no_fault_of_the_messages(bench: Bench):
    name = urlsplit(bench.dsn).path[1:]
    await bench.receive(uplink(1))
    async with connected(bench.dsn.replace(f"/{name}", "/postgres")) as admin:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await admin.execute(f"ALTER DATABASE {name} RENAME TO {name}_away")
        receiving = asyncio.create_task(bench.receive(uplink(2), uplink(3)))
        await asyncio.sleep(1.0)  # two tries
        assert not receiving.done()
        await admin.execute(f"ALTER DATABASE {name}_away RENAME TO {name}")
        async with asyncio.timeout(20):
            await receiving
    assert await bench.rows("SELECT count(*) FROM uplink") == [(3,)]
    assert await bench.rows("SELECT count(*) FROM quarantine") == [(0,)]


async def test_whoever_listens_is_told_that_the_database_was_lost(plain_db: str, content: Content):
    said: list[str] = []
    async with opened(plain_db, content, on_notify=said.append) as bench:
        await bench.writer.open()
        said.clear()
        bench.writer.lost(DatabaseUnavailableError("disk full"))
        assert said == ["disconnected"]


async def test_a_place_keeps_its_name_when_something_else_is_changed(plain_db: str):
    async with connected(plain_db) as connection:
        await db.add_place(connection, slug="glas", name="Glascontainer", place_type="container")
        await db.add_place(connection, slug="glas", name="", place_type="container", limits={"full": 70})
        await db.add_place(connection, slug="neu", name="", place_type="container")
        found = await db.fetch_places(connection)
    assert [(place["slug"], place["name"]) for place in found] == [("glas", "Glascontainer"), ("neu", "neu")]
