"""The service's pages over a real socket."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from smartdorf.errors import UsageError
from smartdorf.metrics import Metrics
from smartdorf.web.server import Readiness, open_web


class Service:
    def __init__(self) -> None:
        self.state = Readiness(database=True, writer=True, rules=True)
        self.broken = False

    def readiness(self) -> Readiness:
        if self.broken:
            raise RuntimeError("secret detail")
        return self.state


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        open_web(service, Metrics("0.1.0"), "127.0.0.1", 0) as server,
        aiohttp.ClientSession(server.url) as session,
    ):
        yield session


async def test_a_living_process_says_so_whatever_is_broken(
    client: aiohttp.ClientSession, service: Service
) -> None:
    service.state = Readiness(database=False, writer=False, rules=False)
    async with client.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "alive"})


async def test_a_service_that_can_work_is_ready(client: aiohttp.ClientSession) -> None:
    async with client.get("/readyz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ready", "reasons": []})


async def test_a_service_that_cannot_work_says_why(client: aiohttp.ClientSession, service: Service) -> None:
    service.state = Readiness(database=True, writer=True, rules=True, disconnected={"own": "timed out"})
    async with client.get("/readyz") as response:
        assert response.status == 503
        assert (await response.json())["reasons"] == ["source own is not connected: timed out"]


async def test_metrics_are_served_as_prometheus_reads_them(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'smartdorf_build_info{version="0.1.0"} 1.0' in await response.text()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/healthz", 405)])
async def test_every_error_has_one_shape(
    client: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with client.request(method, path) as response:
        body = await response.json()
    assert response.status == status
    assert set(body) == {"error"}
    assert set(body["error"]) == {"status", "message"}
    assert body["error"]["status"] == status


async def test_a_failure_of_ours_has_that_shape_too_and_tells_no_details(
    client: aiohttp.ClientSession, service: Service
) -> None:
    service.broken = True
    async with client.get("/readyz") as response:
        text = await response.text()
    assert response.status == 500
    assert json.loads(text) == {"error": {"status": 500, "message": "Internal Server Error"}}


async def test_answers_are_not_cached_nor_guessed_and_do_not_name_the_software(
    client: aiohttp.ClientSession,
) -> None:
    for path in ("/healthz", "/nothing"):
        async with client.get(path) as response:
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Server"] == "smartdorf"


async def test_a_port_that_is_taken_is_said_with_advice(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127.0.0.1:{port}.*in use.*\[web\]"):
            async with open_web(service, Metrics("0.1.0"), "127.0.0.1", port):
                pass
