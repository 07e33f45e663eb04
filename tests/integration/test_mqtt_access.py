"""Who may connect: passwords, certificates, access lists; what a person is told; and the probe of ``check``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
import trustme

from smartdorf.clock import Clock
from smartdorf.ingest.mqtt import MqttSource
from smartdorf.ingest.mqtt_probe import probe
from smartdorf.ingest.mqtt_tls import TlsFiles
from tests.integration.test_mqtt import TOPIC, Consumer, connected, connection_to, payloads, running, until
from tests.support.mosquitto import Certificates, Mosquitto, publish


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def open_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("open")) as broker:
        yield broker


@pytest.fixture(scope="module")
def password_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("password"), users={"musterdorf": "geheim"}) as broker:
        yield broker


@pytest.fixture(scope="module")
def tls_broker(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Mosquitto]:
    with Mosquitto(
        tmp_path_factory.mktemp("tls"), certificates=certificates, client_certificate_required=True
    ) as broker:
        yield broker


@pytest.fixture(scope="module")
def strict_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Lets everybody subscribe to application/ours/#, and to nothing else."""
    folder = tmp_path_factory.mktemp("strict")
    allowed = {"acltype": "subscribePattern", "topic": "application/ours/#", "allow": True}
    access = {
        "defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True, "unsubscribe": True},
        "anonymousGroup": "everybody",
        "groups": [{"groupname": "everybody", "roles": [{"rolename": "reader"}]}],
        "roles": [{"rolename": "reader", "acls": [allowed]}],
    }
    (folder / "access.json").write_text(json.dumps(access))
    (plugin,) = Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
    options = (f"plugin {plugin}", f"plugin_opt_config_file {folder}/access.json")
    with Mosquitto(folder, options=options) as broker:
        yield broker


def detail(consumer: Consumer) -> str:
    return consumer.source.state.detail or ""


async def test_a_password_opens_the_door(password_broker: Mosquitto) -> None:
    connection = connection_to(password_broker.port, username="musterdorf", password="geheim")
    async with running(connection) as consumer:
        await connected(consumer)
    assert "geheim" not in repr(connection)


async def test_a_wrong_password_is_said_and_not_tried_again_and_again(password_broker: Mosquitto) -> None:
    connection = connection_to(password_broker.port, username="musterdorf", password="geraten")
    patient = replace(connection, retry=replace(connection.retry, refused=5.0))
    async with running(patient) as consumer:
        with structlog.testing.capture_logs() as logs:
            await until(lambda: "not authorised" in detail(consumer))
            await asyncio.sleep(0.3)
        assert 'user name "musterdorf" and password' in detail(consumer)
        assert [entry["event"] for entry in logs] == ["not connected"]
        assert not consumer.source.state.connected


async def test_a_client_certificate_opens_the_door(tls_broker: Mosquitto, certificates: Certificates) -> None:
    tls = TlsFiles(certificates.ca, certificates.client, certificates.client_key)
    publisher = connection_to(tls_broker.port, tls=tls)
    async with running(publisher) as consumer:
        await connected(consumer)
        assert consumer.source.state.certificate_expires_at is not None
        assert consumer.source.state.certificate_expires_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("with_key_of", "advice"),
    [
        ("nobody", "wants a client certificate"),
        ("stranger", "does not accept our client certificate"),
    ],
)
async def test_without_the_right_client_certificate_the_advice_says_so(
    tls_broker: Mosquitto, certificates: Certificates, tmp_path: Path, with_key_of: str, advice: str
) -> None:
    tls = TlsFiles(certificates.ca)
    if with_key_of == "stranger":
        stranger = Certificates.make(tmp_path)
        tls = TlsFiles(certificates.ca, stranger.client)
    async with running(connection_to(tls_broker.port, tls=tls)) as consumer:
        await until(lambda: advice in detail(consumer))
        assert consumer.source.state.reconnects == 0


async def test_a_broker_with_a_certificate_of_another_authority_is_not_trusted(
    tls_broker: Mosquitto, certificates: Certificates, tmp_path: Path
) -> None:
    other = Certificates.make(tmp_path)
    async with running(
        connection_to(tls_broker.port, tls=TlsFiles(other.ca, certificates.client))
    ) as consumer:
        await until(lambda: "certificate is not accepted" in detail(consumer))
        assert "ca_file" in detail(consumer)


async def test_a_broker_whose_certificate_names_another_host_is_not_trusted(tmp_path: Path) -> None:
    elsewhere = Certificates.make(tmp_path, host="broker.elsewhere.example")
    with Mosquitto(tmp_path, certificates=elsewhere) as broker:
        async with running(connection_to(broker.port, tls=TlsFiles(elsewhere.ca))) as consumer:
            await until(lambda: "certificate is not accepted" in detail(consumer))
            assert "127.0.0.1" in detail(consumer)


async def test_tls_on_a_port_without_it_and_the_other_way_round(
    open_broker: Mosquitto, tls_broker: Mosquitto, certificates: Certificates
) -> None:
    async with running(connection_to(open_broker.port, tls=TlsFiles(certificates.ca))) as consumer:
        await until(lambda: "does this port speak TLS" in detail(consumer))
    async with running(connection_to(tls_broker.port)) as consumer:
        await until(lambda: "does this port expect TLS" in detail(consumer))


async def test_a_certificate_file_that_appears_later_needs_no_restart(
    tls_broker: Mosquitto, certificates: Certificates, tmp_path: Path
) -> None:
    file = tmp_path / "client.pem"
    async with running(connection_to(tls_broker.port, tls=TlsFiles(certificates.ca, file))) as consumer:
        await until(lambda: f"{file}: no such file" in detail(consumer))
        file.write_bytes(certificates.client.read_bytes())
        await connected(consumer)


@pytest.mark.parametrize(
    ("today", "warning"),
    [
        (datetime(2026, 11, 23, tzinfo=UTC), "the client certificate expires soon; have it renewed"),
        (datetime(2027, 1, 16, tzinfo=UTC), "the client certificate has expired; have it renewed"),
    ],
    ids=["53 days before", "the day after"],
)
async def test_a_certificate_that_expires_within_60_days_is_warned_of(
    tls_broker: Mosquitto, certificates: Certificates, tmp_path: Path, today: datetime, warning: str
) -> None:
    authority = trustme.CA()
    soon = datetime(2027, 1, 15, tzinfo=UTC)
    client = authority.issue_cert("application@musterdorf.example", not_after=soon)
    client.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    connection = connection_to(tls_broker.port, tls=TlsFiles(certificates.ca, tmp_path / "client.pem"))
    source = MqttSource(connection, Clock(start=today))
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(source.run())
        await until(lambda: source.state.certificate_expires_at is not None)
        await source.close()
        await task
    assert source.state.certificate_expires_at == soon
    warnings = [entry for entry in logs if "client certificate" in entry["event"]]
    assert [(entry["event"], entry["expires_at"]) for entry in warnings] == [(warning, soon.isoformat())]


async def test_a_refused_subscription_is_an_error_with_advice(strict_broker: Mosquitto) -> None:
    connection = connection_to(strict_broker.port, topics=("application/theirs/#",))
    async with running(connection) as consumer:
        await until(lambda: '"application/theirs/#": subscription refused' in detail(consumer))
        assert "access list" in detail(consumer)
        await until(lambda: not consumer.source.state.connected)


async def test_one_refused_subscription_does_not_stop_the_others(strict_broker: Mosquitto) -> None:
    connection = connection_to(strict_broker.port, topics=("application/theirs/#", "application/ours/#"))
    async with running(connection) as consumer:
        await until(lambda: '"application/theirs/#": subscription refused' in detail(consumer))
        assert '"application/ours/#"' not in detail(consumer)
        await publish(strict_broker.port, "application/ours/device/x/event/up", [b"1"])
        assert await consumer.commit(1) == [b"1"]
        assert consumer.source.state.connected


# -- the probe ----------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 23, tzinfo=UTC)


async def test_the_probe_disturbs_neither_the_running_service_nor_its_queue(open_broker: Mosquitto) -> None:
    connection = connection_to(open_broker.port)
    async with running(connection) as consumer:
        await connected(consumer)
        await publish(open_broker.port, TOPIC, payloads(3))
        result = await probe(connection, NOW)
        assert (result.ok, result.problems, result.warnings) == (True, (), ())
        assert await consumer.commit(3) == payloads(3)
        assert consumer.source.state.connected
        assert consumer.source.state.reconnects == 0
    await publish(open_broker.port, TOPIC, [b"while away"])
    assert (await probe(connection, NOW)).ok
    async with running(connection) as consumer:
        assert await consumer.commit(1) == [b"while away"]


async def test_the_probe_says_what_is_wrong(
    password_broker: Mosquitto, strict_broker: Mosquitto, certificates: Certificates, tmp_path: Path
) -> None:
    guess = connection_to(password_broker.port, username="musterdorf", password="geraten")
    (problem,) = (await probe(guess, NOW)).problems
    assert "check user name" in problem
    (problem,) = (await probe(connection_to(password_broker.port), NOW)).problems
    assert "wants a user name and password" in problem
    topics = ("application/theirs/#", "application/ours/#")
    (problem,) = (await probe(connection_to(strict_broker.port, topics=topics), NOW)).problems
    assert problem.startswith('"application/theirs/#": subscription refused')
    (problem,) = (await probe(connection_to(1883, host="broker.invalid"), NOW)).problems
    assert '"broker.invalid" cannot be resolved' in problem
    missing = TlsFiles(tmp_path / "ca.pem", certificates.client)
    (problem,) = (await probe(connection_to(password_broker.port, tls=missing), NOW)).problems
    assert problem == f"{tmp_path / 'ca.pem'}: no such file"


async def test_the_probe_waits_for_a_silent_port_only_so_long() -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    connection = replace(connection_to(port), connect_timeout=timedelta(seconds=0.1))
    (problem,) = (await probe(connection, NOW)).problems
    assert "no answer in time" in problem
    silent.close()


async def test_the_probe_recognises_a_broker_that_knows_only_mqtt_3() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x20\x02\x00\x01")  # CONNACK of MQTT 3.1.1: unacceptable protocol version
        writer.close()

    old = await asyncio.start_server(answer, "127.0.0.1", 0)
    (problem,) = (await probe(connection_to(old.sockets[0].getsockname()[1]), NOW)).problems
    assert "this is no MQTT 5 broker" in problem
    old.close()


async def test_the_probe_warns_of_both_certificates(
    tls_broker: Mosquitto, certificates: Certificates
) -> None:
    tls = TlsFiles(certificates.ca, certificates.client)
    result = await probe(connection_to(tls_broker.port, tls=tls), NOW)
    assert result.ok
    assert result.certificate_expires_at is not None
    assert result.broker_certificate_expires_at is not None
    late = await probe(connection_to(tls_broker.port, tls=tls), result.certificate_expires_at)
    assert [text.split()[0:4] for text in late.warnings] == [
        ["the", "client", "certificate", str(certificates.client)],
        ["the", "certificate", "of", "the"],
    ]


async def test_the_probe_says_expired_where_it_is_too_late_to_warn(
    tls_broker: Mosquitto, certificates: Certificates
) -> None:
    connection = connection_to(tls_broker.port, tls=TlsFiles(certificates.ca, certificates.client))
    expiry = (await probe(connection, NOW)).certificate_expires_at
    assert expiry is not None
    late = await probe(connection, expiry + timedelta(days=1))
    assert f"has expired on {expiry:%Y-%m-%d}" in late.warnings[0]


@pytest.mark.parametrize(("qos", "warned"), [(0, True), (1, False)])
async def test_the_probe_warns_of_a_publisher_with_qos_0(
    open_broker: Mosquitto, qos: int, *, warned: bool
) -> None:
    topic = f"application/with-qos-{qos}/device/0123456789abcdef/event/up"

    enough = asyncio.Event()

    async def go_on_publishing() -> None:
        while not enough.is_set():
            await publish(open_broker.port, topic, [b"{}"], qos)
            await asyncio.sleep(0.02)

    publishing = asyncio.create_task(go_on_publishing())
    result = await probe(connection_to(open_broker.port, topics=(topic,)), NOW)
    enough.set()
    await publishing
    assert result.ok
    expected = (
        f"{topic} is published with QoS 0, such messages get lost whenever something breaks;"
        " set qos = 1 in ChirpStack's MQTT integration"
    )
    assert result.warnings == ((expected,) if warned else ())


async def test_the_probe_of_a_shared_subscription_takes_no_message_and_advises_against_it(
    open_broker: Mosquitto,
) -> None:
    result = await probe(connection_to(open_broker.port, topics=("$share/group/application/+/#",)), NOW)
    assert result.ok
    assert "use the plain topic" in result.warnings[0]
