"""Receivers against real servers on this machine: an HTTP server and a mail server."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from smartdorf.errors import UsageError
from smartdorf.notify import mail, webhook
from smartdorf.notify.log import LogReceiver, MissingReceiver
from smartdorf.notify.mail import MailReceiver
from smartdorf.notify.receiver import DeliveryError, Notification, PartlyToldError, RefusedError
from smartdorf.notify.webhook import WebhookReceiver, sign, signing_key
from tests.support.alerts import NOON, ManualClock, until
from tests.unit.notify.test_message import make_notification

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class HttpServer:
    """Keeps what it was sent and answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer = web.Response(status=204)
        self.delay = 0.0
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(({**request.headers}, await request.read()))
        await asyncio.sleep(self.delay)
        return self.answer


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    found = HttpServer()
    app = web.Application()
    app.router.add_route("*", "/hook", found.handle)
    async with TestServer(app) as running:
        found.url = str(running.make_url("/hook"))
        yield found


async def test_a_webhook_gets_the_signed_notification(server: HttpServer) -> None:
    receiver = WebhookReceiver("it", server.url, SECRET, wall=ManualClock())
    assert await receiver.send(make_notification()) == "HTTP 204"
    [(headers, content)] = server.requests
    timestamp = 1795431600  # 2026-11-23T11:00:00Z
    assert headers["webhook-id"] == "42"
    assert headers["webhook-timestamp"] == str(timestamp)
    assert headers["webhook-signature"] == sign(signing_key(SECRET), "42", timestamp, content)
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
async def test_a_webhook_that_refuses_is_not_asked_again(server: HttpServer, status: int) -> None:
    server.answer = web.Response(status=status, text="unknown rule")
    with pytest.raises(RefusedError, match=f"HTTP {status} unknown rule"):
        await WebhookReceiver("it", server.url, SECRET).send(make_notification())


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_a_webhook_in_trouble_is_tried_again(server: HttpServer, status: int) -> None:
    server.answer = web.Response(status=status)
    with pytest.raises(DeliveryError, match=f"HTTP {status}") as caught:
        await WebhookReceiver("it", server.url, SECRET).send(make_notification())
    assert caught.value.retry_after == 0


async def test_a_moved_webhook_says_where_it_went(server: HttpServer) -> None:
    server.answer = web.Response(status=301, headers={"Location": "https://new.example/hook"})
    with pytest.raises(
        RefusedError, match=r"moved to https://new\.example/hook; write that URL into smartdorf\.toml"
    ):
        await WebhookReceiver("it", server.url, SECRET).send(make_notification())
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), (format_datetime(NOON + timedelta(minutes=3), usegmt=True), 180), ("soon", 0), ("-5", 0)],
)
async def test_a_webhook_that_asks_for_time_gets_it(server: HttpServer, header: str, seconds: float) -> None:
    server.answer = web.Response(status=503, headers={"Retry-After": header})
    with pytest.raises(DeliveryError) as caught:
        await WebhookReceiver("it", server.url, SECRET, wall=ManualClock()).send(make_notification())
    assert caught.value.retry_after == seconds


async def test_a_slow_webhook_is_given_up_for_now(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", 0.05)
    server.delay = 1
    with pytest.raises(DeliveryError, match="no answer within"):
        await WebhookReceiver("it", server.url, SECRET).send(make_notification())


async def test_an_unreachable_webhook_is_tried_again() -> None:
    with pytest.raises(DeliveryError, match="Cannot connect"):
        await WebhookReceiver("it", f"http://127.0.0.1:{closed_port()}/", SECRET).send(make_notification())


@pytest.mark.parametrize(
    "url", ["http://", "https://:8080/geheim", "https://a b/geheim", "https://h:99999/geheim"]
)
def test_a_webhook_url_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(
        UsageError, match=r'Receiver "it": its url is none; expected https://host/path'
    ) as caught:
        WebhookReceiver("it", url, SECRET)
    assert "geheim" not in str(caught.value)


async def test_a_webhook_that_took_it_and_never_ends_its_answer_is_not_asked_again() -> None:
    gone = asyncio.Event()

    async def dawdle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    async with await asyncio.start_server(dawdle, "127.0.0.1", 0) as dawdler:
        port = dawdler.sockets[0].getsockname()[1]
        receiver = WebhookReceiver("it", f"http://127.0.0.1:{port}/", SECRET)
        async with asyncio.timeout(5):
            assert await receiver.send(make_notification()) == "HTTP 200"
            await gone.wait()


async def test_a_webhook_that_speaks_no_http_is_tried_again() -> None:
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\xfe not http\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as babbler:
        port = babbler.sockets[0].getsockname()[1]
        with pytest.raises(DeliveryError):
            await WebhookReceiver("it", f"http://127.0.0.1:{port}/", SECRET).send(make_notification())


class MailServer:
    """Just enough SMTP to take a mail, or to refuse a recipient as real servers do."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, EmailMessage]] = []
        self.refused: set[str] = set()
        self.port = 0

    def url(self, recipient: str) -> str:
        return f"mailto://127.0.0.1:{self.port}?mode=insecure&from=smartdorf@village.example&to={recipient}"

    @property
    def recipients(self) -> list[str]:
        return sorted(recipient for recipient, _ in self.mails)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.village.example\r\n")
        recipient = ""
        while line := (await reader.readline()).decode().strip():
            answer = "250 ok"
            if line.upper().startswith("RCPT"):
                recipient = line.partition("<")[2].partition(">")[0]
                if recipient in self.refused:
                    answer = f"550 5.1.1 {recipient}: no such user"
            elif line.upper() == "DATA":
                writer.write(b"354 go on\r\n")
                content = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
                message = email.message_from_bytes(content, policy=email.policy.default)
                assert isinstance(message, EmailMessage)
                self.mails.append((recipient, message))
            writer.write(answer.encode() + b"\r\n")
            if line.upper() == "QUIT":
                break
        writer.close()


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    found = MailServer()
    async with await asyncio.start_server(found.talk, "127.0.0.1", 0) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


async def test_a_mail_arrives_with_subject_text_and_footer(mail_server: MailServer) -> None:
    receiver = MailReceiver("bauhof", (mail_server.url("bauhof@village.example"),), "de")
    message = make_notification(language="de", title="Container voll", summary="Glas Müllerstraße: 83 % voll")
    assert await receiver.send(message) == "told 1 address(es)"
    [(recipient, mail)] = mail_server.mails
    assert recipient == "bauhof@village.example"
    assert mail["Subject"] == "Container voll: Glass Kirchplatz"
    text = mail.get_content()
    assert "Glas Müllerstraße: 83 % voll\n" in text.replace("\r\n", "\n")
    assert "\n-- \n" in text.replace("\r\n", "\n")


async def test_a_mail_server_that_is_away_is_tried_again_with_its_reason() -> None:
    receiver = MailReceiver(
        "bauhof", (f"mailto://127.0.0.1:{closed_port()}?from=a@b.example&to=c@d.example",)
    )
    with pytest.raises(DeliveryError, match="Connection refused"):
        await receiver.send(make_notification())


async def test_who_was_told_is_not_told_again_when_another_address_fails(mail_server: MailServer) -> None:
    mail_server.refused = {"gone@village.example"}
    addresses = ("bauhof@village.example", "gone@village.example")
    receiver = MailReceiver("bauhof", tuple(mail_server.url(address) for address in addresses))
    with pytest.raises(PartlyToldError, match=r"1 of 2 addresses told; .*no such user"):
        await receiver.send(make_notification())
    assert mail_server.recipients == ["bauhof@village.example"]
    mail_server.refused = set()
    assert await receiver.send(make_notification()) == "told 2 address(es)"
    assert mail_server.recipients == ["bauhof@village.example", "gone@village.example"]
    # the next alert goes to both again
    await receiver.send(make_notification(id=43))
    assert len(mail_server.mails) == 4


async def test_a_mail_server_that_hangs_holds_up_no_other_receiver(mail_server: MailServer) -> None:
    visitors: list[asyncio.StreamWriter] = []

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitors.append(writer)

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as hanging:
        port = hanging.sockets[0].getsockname()[1]
        dead = MailReceiver(
            "dead", (f"mailto://127.0.0.1:{port}?mode=insecure&from=a@b.example&to=c@d.example",)
        )
        waiting = [asyncio.create_task(dead.send(make_notification(id=number))) for number in range(12)]
        await until(lambda: len(visitors) == 4, "all threads of the dead receiver hang")
        alive = MailReceiver("alive", (mail_server.url("bauhof@village.example"),))
        async with asyncio.timeout(5):
            assert await alive.send(make_notification()) == "told 1 address(es)"
        hanging.close()
        while not all(task.done() for task in waiting):
            for writer in visitors:
                writer.transport.abort()
            await asyncio.sleep(0.01)
    assert {type(task.exception()) for task in waiting} == {DeliveryError}


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("telepathy://mayor", 'Receiver "bauhof": Apprise does not understand the URL telepathy://…'),
        (
            "mailto:user:geheim@mail.example",
            'Receiver "bauhof": a line of its file is no Apprise URL; expected e.g. mailtos://',
        ),
        ("geheim", 'Receiver "bauhof": a line of its file is no Apprise URL; expected e.g. mailtos://'),
        (
            "mailto://user:geheim@mail.example?to=a@b.example,c@d.example",
            "names 2 recipients; write one URL for each",
        ),
    ],
)
def test_a_url_that_cannot_work_is_refused_without_showing_the_password(url: str, advice: str) -> None:
    with pytest.raises(UsageError, match=advice) as caught:
        MailReceiver("bauhof", (url,))
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("when", ["before the next attempt", "during it"])
async def test_a_mail_that_leaves_after_we_stopped_waiting_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    calls: list[str] = []
    begun, go, left = threading.Event(), threading.Event(), threading.Event()

    def send_slowly(url: str, _message: Notification) -> str:
        calls.append(url)
        begun.set()
        assert go.wait(10)
        left.set()
        return ""

    monkeypatch.setattr(mail, "_notify", send_slowly)
    receiver = MailReceiver("bauhof", ("mailto://127.0.0.1?from=a@b.example&to=c@d.example",))
    sending = asyncio.create_task(receiver.send(make_notification()))
    await asyncio.to_thread(begun.wait, 10)
    sending.cancel()  # as the notifier does after a minute
    with pytest.raises(asyncio.CancelledError):
        await sending
    if when == "before the next attempt":
        go.set()
        await asyncio.to_thread(left.wait, 10)
        await asyncio.sleep(0.1)
    again = asyncio.create_task(receiver.send(make_notification()))
    await asyncio.sleep(0)
    go.set()
    assert await again == "told 1 address(es)"
    assert len(calls) == 1


def test_a_mail_receiver_without_an_address_is_refused() -> None:
    with pytest.raises(UsageError, match='"bauhof" has no address'):
        MailReceiver("bauhof", ())


async def test_the_log_receiver_logs_subject_and_text() -> None:
    with capture_logs() as logs:
        assert await LogReceiver("log", "en").send(make_notification()) == "written to the log"
    [entry] = logs
    assert entry["subject"] == "Container full: Glass Kirchplatz"
    assert entry["text"].startswith("Glass Kirchplatz: 83 % full\n")


async def test_a_missing_receiver_is_an_error_in_the_log_with_the_alert() -> None:
    with capture_logs() as logs, pytest.raises(DeliveryError, match=r"has no \[receivers.feuerwehr\]"):
        await MissingReceiver("feuerwehr", ["bauhof"], "en").send(make_notification())
    [entry] = logs
    assert (entry["log_level"], entry["subject"]) == ("error", "Container full: Glass Kirchplatz")


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
