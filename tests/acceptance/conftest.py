"""What the acceptance tests share: a broker of their own, databases that may be mistreated, and a seed.

- ``broker``     Debian's mosquitto, in a folder of the test
- ``database``   native, with as many connections as one likes: the embedded PostgreSQL, and again the TimescaleDB
                 that SMARTDORF_TEST_TIMESCALE names
- ``mortal``     an embedded PostgreSQL that the test may stop and kill
- ``seed``       another one in each run, shown where a test fails; ACCEPTANCE_SEED repeats a run
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from smartdorf.db.migrate import migrate
from smartdorf.embedded.postgres import EmbeddedPostgres
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database, open_server


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as running:
        yield running


@pytest.fixture(params=["plain", pytest.param("native", marks=pytest.mark.native_timescale)])
def database(request: pytest.FixtureRequest) -> Database:
    dsn = request.getfixturevalue(f"{request.param}_db")
    return Database(dsn, "plain" if request.param == "plain" else "timescale")


@dataclass(frozen=True)
class Mortal:
    server: EmbeddedPostgres
    database: Database


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    with open_server() as server:
        migrate(server.dsn, "plain")
        yield Mortal(server, Database(server.dsn, "plain"))


@pytest.fixture
def seed() -> int:
    chosen = int(os.environ.get("ACCEPTANCE_SEED") or random.randrange(1_000_000))
    print(f"ACCEPTANCE_SEED={chosen}")  # pytest shows it where the test fails
    return chosen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the service has its settings and its log."""
    return tmp_path / "service"
