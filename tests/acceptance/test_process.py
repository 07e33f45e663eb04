"""The service as a process: two of them, asked to stop, and ``smartdorf check`` beside it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from smartdorf.db.pool import connected
from smartdorf.simulate.load import load_messages, load_village
from smartdorf.simulate.publish import publish
from tests.acceptance.bay import BAY_TAKEN
from tests.acceptance.conftest import Mortal
from tests.support.locks import Locks
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database
from tests.support.service import ServiceProcess, until
from tests.support.traffic import Traffic, onboard, until_rows, value

DEVICES = 20


async def test_a_second_instance_exits_and_names_the_holder(
    database: Database, broker: Mosquitto, folder: Path, tmp_path: Path, seed: int
) -> None:
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    messages = load_messages(600, seed=seed, devices=DEVICES)
    async with ServiceProcess(folder, database, broker.port) as service:
        second = ServiceProcess(tmp_path / "second", database, broker.port)
        await second.start(ready=False)
        await publish(traffic.record(messages[:300]), host="127.0.0.1", port=broker.port)
        assert await second.exit_code() == 1
        said = second.tail()
        assert "Another instance already writes to this database" in said
        assert f"pid {service.pid}" in said
        assert socket.gethostname()[:24] in said
        assert "Traceback" not in said
        # the first one has not noticed anything, at the broker neither
        await traffic.until_stored(database)
        assert (await service.get("/readyz"))[0] == 200
        assert not service.logged("database lost; nothing is acknowledged until it is back")
        assert not service.logged("not connected")

        # with the very same settings their ports collide first; the cause is named all the same
        port = service.url.rpartition(":")[2]
        second.config.write_text(second.config.read_text().replace("port = 0\n", f"port = {port}\n"))
        again = await second.command("run")
        assert again.returncode == 1
        assert f"pid {service.pid}" in again.stderr

        # and as soon as it is gone, another one may take its place
        service.kill()
        await service.start()
        await publish(traffic.record(messages[300:]), host="127.0.0.1", port=broker.port)
        await traffic.until_stored(database)
    await traffic.check_uplinks(database)


async def test_asked_to_stop_under_load_it_finishes_what_is_under_way(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    messages = load_messages(8000, seed=seed, devices=DEVICES)
    async with ServiceProcess(folder, database, broker.port) as service:
        publishing = asyncio.create_task(
            publish(traffic.record(messages), host="127.0.0.1", port=broker.port)
        )
        await until_rows(database, 500)
        await service.stop()  # within ten seconds, exit code 0
        assert service.logged("service has stopped")
        stored = await value(database, "SELECT count(*) FROM uplink")
        await publishing
        assert stored < len(messages), "it had finished anyway"
        await service.start()
        await traffic.until_stored(database)
        # what it had committed it had acknowledged: nothing came twice
        assert await service.metric('smartdorf_uplinks_total{result="duplicate"}') == 0
    await traffic.check_uplinks(database)


async def test_asked_to_stop_while_a_commit_hangs_it_does_not_wait_for_ever(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    async with ServiceProcess(folder, database, broker.port) as service:
        async with Locks(database, "uplink") as locks:
            await publish(
                traffic.record(load_messages(10, seed=seed, devices=DEVICES)),
                host="127.0.0.1",
                port=broker.port,
            )
            await locks.until_waiting("uplink")
            await service.stop()
            assert service.logged("still busy at shutdown; goes on after the next start")
        await service.start()
        await traffic.until_stored(database)
    await traffic.check_uplinks(database)


async def test_asked_to_stop_while_the_database_is_away(
    mortal: Mortal, broker: Mosquitto, folder: Path, seed: int
) -> None:
    await onboard(mortal.database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    async with ServiceProcess(folder, mortal.database, broker.port) as service:
        await asyncio.to_thread(mortal.server.kill)
        await publish(
            traffic.record(load_messages(10, seed=seed, devices=DEVICES)), host="127.0.0.1", port=broker.port
        )

        async def holds() -> bool:
            return await service.metric('smartdorf_source_held{source="village"}') == 10

        await until(holds, "it holds the messages")
        await service.stop()
        await asyncio.to_thread(mortal.server.start)
        await service.start()
        await traffic.until_stored(mortal.database)
    await traffic.check_uplinks(mortal.database)


async def test_asked_to_stop_while_it_waits_for_a_migration_that_does_not_end(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    """It has only just begun, and the thread that asks for the schema waits for a lock of somebody else's."""
    service = ServiceProcess(folder, database, broker.port)
    async with connected(database.dsn) as migration:
        await migration.execute("BEGIN; LOCK TABLE _yoyo_migration IN ACCESS EXCLUSIVE MODE")
        await service.start(ready=False)
        await Locks.until_somebody_waits(database, "_yoyo_migration")
        await service.stop()  # within ten seconds, exit code 0
    service.check_conduct()


async def test_check_finds_nothing_wrong_and_does_not_disturb(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    async with ServiceProcess(folder, database, broker.port) as service:
        code, findings = await _check(service)
        assert code == 0, findings
        assert {f["level"] for f in findings} <= {"ok", "note", "warning"}
        said = " ".join(f["message"] for f in findings)
        assert f"pid {service.pid}" in said
        assert f"connected to 127.0.0.1:{broker.port}" in said
        assert (await service.get("/readyz"))[0] == 200
        assert await service.metric('smartdorf_source_reconnects_total{source="village"}') == 0
        assert not service.logged("not connected")


async def test_check_names_everything_that_is_wrong_at_once(
    mortal: Mortal, broker: Mosquitto, folder: Path
) -> None:
    broken = BAY_TAKEN.replace("parking_occupied == 1", "parking_ocupied == 1")
    service = ServiceProcess(folder, mortal.database, broker.port, rules=broken)
    broker.stop()
    await asyncio.to_thread(mortal.server.kill)
    code, findings = await _check(service)
    assert code == 1
    wrong = [(f["subject"], f["message"]) for f in findings if f["level"] == "error"]
    assert any(subject == "mqtt village" and "connection refused" in message for subject, message in wrong)
    assert any(subject == "database" for subject, _message in wrong)
    (rule,) = (message for _subject, message in wrong if "parking_ocupied" in message)
    assert "village.yaml:8:" in rule
    assert 'did you mean "parking_occupied"?' in rule
    await asyncio.to_thread(mortal.server.start)


async def test_check_of_broken_settings_says_where_and_ends_with_two(folder: Path) -> None:
    service = ServiceProcess(folder, Database("postgresql://nobody@127.0.0.1:1/x", "plain"), 1)
    service.config.write_text(service.config.read_text().replace("port = 1\n", 'port = "one"\nhots = "x"\n'))
    done = await service.command("check")
    assert done.returncode == 2
    assert "smartdorf.toml:7:" in done.stderr
    assert 'did you mean "host"?' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "check"])
async def test_without_settings_it_exits_with_two_and_says_where_it_looked(
    tmp_path: Path, folder: Path, command: str
) -> None:
    service = ServiceProcess(folder, Database("postgresql://nobody@127.0.0.1:1/x", "plain"), 1)
    service.config.unlink()
    done = await service.command(command)
    assert done.returncode == 2
    assert str(service.config) in done.stderr
    assert os.fspath(tmp_path) in done.stderr


async def _check(service: ServiceProcess) -> tuple[int, list[dict[str, str]]]:
    done = await service.command("check", "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)
