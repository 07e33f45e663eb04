"""What all tests share: a clean environment, databases, and the rule that CI skips nothing.

Databases (each test gets a fresh, migrated one):

- ``plain_db``      DSN on the embedded PostgreSQL; about 50 ms
- ``timescale_db``  DSN on the TimescaleDB of tests/support/timescale; one backend, see server.mjs for its limits
- ``any_db``        ``.dsn`` and ``.profile``; the test runs once for each of both, and a third time on the native
                    server where ``SMARTDORF_TEST_TIMESCALE`` (a superuser's DSN) names one
- ``native_db``     DSN on that native server only; mark such tests ``native_timescale``

Tests marked ``native_timescale`` are deselected, not skipped, where no native server is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from smartdorf.embedded.postgres import EmbeddedPostgres
from tests.support import postgres
from tests.support.postgres import Database
from tests.support.timescale import TimescaleServer

_NATIVE_DSN = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_NATIVE_DSN] = os.environ.get("SMARTDORF_TEST_TIMESCALE", "")
    # neither the settings nor the language of whoever runs the tests may change what they show
    for name in list(os.environ):
        if name.startswith(("SMARTDORF_", "LC_", "LANG")):
            del os.environ[name]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "timescale_db" in getattr(item, "fixturenames", ()):
            item.add_marker("timescale")
    if config.stash[_NATIVE_DSN]:
        return
    deselected = [item for item in items if item.get_closest_marker("native_timescale")]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in set(deselected)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped_in_ci(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := _skipped_in_ci(config):
        terminalreporter.write_line(
            f"FAILED: CI is set, so nothing may be skipped, but {count} was", red=True
        )


def _skipped_in_ci(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return 0
    return len(reporter.stats.get("skipped", []))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """The embedded PostgreSQL of the whole run. Tests that kill a server start their own."""
    with postgres.open_server() as server:
        yield server


@pytest.fixture(scope="session")
def plain_template(postgres_server: EmbeddedPostgres) -> EmbeddedPostgres:
    postgres.create_template(postgres_server)
    return postgres_server


@pytest.fixture
def plain_db(plain_template: EmbeddedPostgres) -> Iterator[str]:
    with postgres.cloned_database(plain_template) as database:
        yield database.dsn


@pytest.fixture(scope="session")
def timescale_server() -> Iterator[TimescaleServer]:
    with TimescaleServer() as server:
        yield server


@pytest.fixture
def timescale_db(timescale_server: TimescaleServer) -> str:
    from smartdorf.db.migrate import migrate  # noqa: PLC0415 - tests of the server alone need no schema

    timescale_server.reset()
    migrate(timescale_server.dsn, "timescale")
    return timescale_server.dsn


@pytest.fixture
def native_db(pytestconfig: pytest.Config) -> Iterator[str]:
    with postgres.native_database(pytestconfig.stash[_NATIVE_DSN]) as database:
        yield database.dsn


@pytest.fixture(
    params=[
        "plain",
        pytest.param("timescale", marks=pytest.mark.timescale),
        pytest.param("native", marks=pytest.mark.native_timescale),
    ]
)
def any_db(request: pytest.FixtureRequest) -> Database:
    dsn = request.getfixturevalue(f"{request.param}_db")
    return Database(dsn, "plain" if request.param == "plain" else "timescale")
