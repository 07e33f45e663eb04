"""Backup, drill and restore with real servers and processes: there and back, damage, kills, rights, other versions."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pyrage
import pytest

from smartdorf.db import migrate as migrations
from smartdorf.db import pg_tools
from smartdorf.db.backup import take_backup
from smartdorf.db.manifest import read_manifest
from smartdorf.db.migrate import migrate
from smartdorf.db.pool import connect_writer
from tests.integration.test_cli import Shell
from tests.support.postgres import Database
from tests.support.series import insert, metric_ids, refresh

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Village(Shell):
    """A database with some measurements, and a folder for backups."""

    def __init__(self, folder: Path, database: Database) -> None:
        super().__init__(folder, database.dsn)
        self.profile = database.profile
        self.backups = folder / "backups"
        self.backups.mkdir()
        text = (folder / "smartdorf.toml").read_text().replace('"plain"', f'"{database.profile}"')
        (folder / "smartdorf.toml").write_text(f'{text}[backup]\nfolder = "backups"\nkeep = 2\n')
        with self.connect() as connection:
            connection.execute(
                "INSERT INTO place (tenant_id, slug, name, place_type) VALUES (1, 'flat', 'Flat', 'meter_point')"
            )
            metric = metric_ids(connection)["air_temperature_c"]
            insert(
                connection, [(NOW - number * DAY, 20.0 + number) for number in range(1, 31)], metric=metric
            )
        refresh(database)

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.dsn, autocommit=True)

    def values(self, database: str | None = None) -> int:
        dsn = self.dsn if database is None else self.dsn.rpartition("/")[0] + "/" + database
        with psycopg.connect(dsn) as connection:
            return connection.execute("SELECT count(*) FROM measurement").fetchone()[0]

    def add(self, key: str, value: str) -> None:
        with (self.folder / "smartdorf.toml").open("a") as file:
            file.write(f'{key} = "{value}"\n')

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "smartdorf", *words]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )

    def databases(self) -> set[str]:
        with self.connect() as connection:
            return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}

    @property
    def name(self) -> str:
        return urlsplit(self.dsn).path[1:]


@pytest.fixture(params=["plain", pytest.param("native", marks=pytest.mark.native_timescale)])
def village(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Village]:
    dsn = request.getfixturevalue(f"{request.param}_db")
    village = Village(tmp_path, Database(dsn, "plain" if request.param == "plain" else "timescale"))
    yield village
    with psycopg.connect(dsn.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
        for name in village.databases():
            if name.startswith(f"{village.name}_"):
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def plain(plain_db: str, tmp_path: Path) -> Village:
    return Village(tmp_path, Database(plain_db, "plain"))


# -- the way there and back ---------------------------------------------------------------------------------


def test_what_was_lost_comes_back_and_what_was_there_is_kept(village: Village):
    assert village("db", "backup") == ""
    with village.connect() as connection:
        connection.execute("DELETE FROM measurement")
        connection.execute("UPDATE place SET name = 'renamed'")
    report = village.json("db", "restore", "--yes")
    assert village.values() == 30
    with village.connect() as connection:
        assert connection.execute("SELECT name FROM place").fetchone() == ("Flat",)
        assert connection.execute("SELECT sum(samples) FROM measurement_daily").fetchone() == (30,)
        # and it goes on: identities and unique indexes are in place
        connection.execute(
            "INSERT INTO place (tenant_id, slug, name, place_type) VALUES (1, 'next', 'Next', 'room')"
        )
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(
                "INSERT INTO place (tenant_id, slug, name, place_type) VALUES (1, 'flat', '', 'x')"
            )
    assert village.values(report["kept"]) == 0
    assert village("db", "migrate") == ""


def test_the_drill_compares_and_leaves_nothing(village: Village):
    before = village.databases()
    village("db", "backup")
    report = village.json("db", "verify")
    assert report["differences"] == []
    assert report["rows"] >= 30
    assert village.databases() == before
    assert "restored and compared in" in village("db", "verify")


def test_a_backup_that_does_not_hold_what_it_should_is_noticed(village: Village):
    village("db", "backup")
    [manifest] = village.backups.glob("*.json")
    content = json.loads(manifest.read_text())
    content["tables"]["measurement"]["rows"] += 1
    content["tables"]["place"]["checksum"] = "1"
    manifest.write_text(json.dumps(content))
    said = village("db", "verify", code=1)
    assert "measurement: 30 rows instead of 31" in said
    assert "place: as many rows, but not the same" in said
    said = village("db", "restore", "--yes", code=2)
    assert "nothing was changed" in said
    assert village.values() == 30
    assert not [name for name in village.databases() if name.startswith(f"{village.name}_")]


def test_what_was_erased_since_is_erased_again(village: Village):
    with village.connect() as connection:
        connection.execute("UPDATE measurement SET place_id = 1")
    village("db", "backup")
    village("db", "erase", "--place", "flat", "--reason", "moved out", "--yes")
    village("db", "restore", "--yes")
    assert village.values() == 0
    # the log beside the backups is enough, should the whole database be gone
    with village.connect() as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    village("db", "restore", "--yes")
    assert village.values() == 0
    with village.connect() as connection:
        assert connection.execute("SELECT reason FROM erasure").fetchall() == [("moved out",)]


def test_what_is_too_old_by_now_does_not_come_back(plain: Village):
    with plain.connect() as connection:
        metric = metric_ids(connection)["parking_occupied"]  # of class short: 60 days
        insert(connection, [(NOW - 61 * DAY, 1.0), (NOW - 59 * DAY, 1.0)], metric=metric)
    plain("db", "backup")
    plain("db", "restore", "--yes")
    assert plain.values() == 31


def test_a_database_that_is_gone_is_restored_without_a_question(village: Village):
    village("db", "backup")
    with psycopg.connect(village.dsn.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{village.name}" WITH (FORCE)')
    assert village.json("db", "restore")["kept"] is None
    assert village.values() == 30


def test_a_backup_of_an_earlier_version_is_brought_to_this_one(plain: Village, tmp_path: Path, monkeypatch):
    old = tmp_path / "migrations"
    for folder in ("common", "plain"):
        (old / folder).mkdir(parents=True)
        for file in (migrations.FOLDER / folder).glob("*.sql"):
            if int(file.name[:4]) <= 4:
                (old / folder / file.name).write_bytes(file.read_bytes())
    with plain.connect() as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "FOLDER", old)
        assert len(migrate(plain.dsn, "plain")) == 4
        with plain.connect() as connection:
            insert(connection, [(NOW, 1.0)], metric=metric_ids(connection)["air_temperature_c"])
        take_backup(plain.dsn, "plain", plain.backups, (), 2, NOW)
    plain("db", "restore", "--yes")
    assert plain.values() == 1
    assert all(migration["applied"] for migration in plain.json("db", "status")["migrations"])


def test_a_backup_of_a_later_version_is_refused(plain: Village):
    plain("db", "backup")
    [manifest] = plain.backups.glob("*.json")
    content = json.loads(manifest.read_text())
    content["migrations"]["9999_future"] = "x"
    manifest.write_text(json.dumps(content))
    assert "of a newer smartdorf" in plain("db", "restore", "--yes", code=2)


@pytest.mark.native_timescale
def test_what_timescaledb_would_compress_meanwhile_is_not_lost(
    native_db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It empties the chunk, which even an older snapshot sees."""
    village, real, refused = Village(tmp_path, Database(native_db, "timescale")), pg_tools.start, []

    def compress_first(*arguments: object, **options: object) -> object:
        with village.connect() as connection:
            connection.execute("SET lock_timeout = '300ms'")
            try:
                connection.execute("SELECT compress_chunk(c) FROM show_chunks('measurement') c")
            except psycopg.errors.LockNotAvailable:
                refused.append(True)
        return real(*arguments, **options)

    monkeypatch.setattr(pg_tools, "start", compress_first)
    manifest = read_manifest(take_backup(native_db, "timescale", village.backups, (), 2, NOW))
    assert manifest.tables["measurement"].rows == 30
    monkeypatch.undo()
    assert village.json("db", "verify")["differences"] == []
    assert refused


def test_a_server_with_another_timescaledb_or_none_is_told_what_it_needs(plain: Village):
    plain("db", "backup")
    [manifest] = plain.backups.glob("*.json")
    content = json.loads(manifest.read_text())
    content["timescaledb"] = "2.22.1"
    manifest.write_text(json.dumps(content))
    for command in (("verify",), ("restore", "--yes")):
        assert "the backup needs TimescaleDB 2.22.1, this server has none" in plain("db", *command, code=2)
    assert plain.values() == 30


# -- files --------------------------------------------------------------------------------------------------


def test_only_the_newest_are_kept_and_nobody_else_may_read_them(plain: Village):
    for day in range(3):
        take_backup(plain.dsn, "plain", plain.backups, (), 2, NOW + day * DAY)
    names = sorted(path.name for path in plain.backups.iterdir() if path.name != "smartdorf-lock")
    kept = [f"smartdorf-{NOW + day * DAY:%Y%m%dT%H%M%SZ}" for day in (1, 2)]
    assert names == [f"{stem}.{ending}" for stem in kept for ending in ("dump", "json")]
    assert {path.stat().st_mode & 0o777 for path in plain.backups.iterdir()} == {0o600}


def test_an_encrypted_backup_opens_with_its_key_only(plain: Village):
    identity, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    (plain.folder / "recipients").write_text(f"# the mayor's safe\n{identity.to_public()}\n")
    (plain.folder / "key.txt").write_text(f"# created: today\n{identity}\n")
    (plain.folder / "other.txt").write_text(f"{other}\n")
    plain.add("recipients_file", "recipients")
    plain("db", "backup")
    [dump] = plain.backups.glob("*.dump.age")
    assert dump.read_bytes().startswith(b"age-encryption.org/v1")
    assert pyrage.decrypt(dump.read_bytes(), [identity]).startswith(b"PGDMP")  # also without smartdorf
    assert "give the private key's file with --identity" in plain("db", "verify", code=2)
    assert "does not open the backup" in plain("db", "verify", "--identity", "other.txt", code=2)
    assert "no age private key" in plain("db", "verify", "--identity", "recipients", code=2)
    assert plain.json("db", "verify", "--identity", "key.txt")["differences"] == []
    (plain.folder / "recipients").write_text("age1nonsense\n")
    assert "is no age public key" in plain("db", "backup", code=2)


@pytest.mark.parametrize(
    ("damage", "advice"),
    [("flip", "it was damaged"), ("cut", "it was cut off"), ("no manifest", "is missing")],
)
def test_a_damaged_backup_is_refused_before_anything_happens(plain: Village, damage: str, advice: str):
    plain("db", "backup")
    [dump] = plain.backups.glob("*.dump")
    content = bytearray(dump.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        dump.write_bytes(content)
    elif damage == "cut":
        dump.write_bytes(content[:-100])
    else:
        dump.with_suffix(".json").unlink()
    for command in (("verify", str(dump)), ("restore", str(dump), "--yes")):
        assert advice in plain("db", *command, code=2)
    assert plain.values() == 30


def test_where_it_cannot_write_it_says_so(plain: Village):
    (plain.backups / "smartdorf-20200101T000000Z.json").write_text("{}")
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -f 8; exec {sys.executable} -m smartdorf db backup"],  # a disk of 4 KB
        cwd=plain.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "the backup cannot be written into" in done.stderr
    assert "Traceback" not in done.stderr
    # no half of one is left, and the older one was not given up for it
    assert {path.name for path in plain.backups.iterdir()} == {
        "smartdorf-20200101T000000Z.json",
        "smartdorf-lock",
    }
    plain.backups.rename(plain.folder / "elsewhere")
    assert "there is no folder" in plain("db", "backup", code=2)


def test_without_a_folder_or_a_backup_it_says_what_to_do(plain: Village):
    assert "there is no backup in" in plain("db", "verify", code=2)
    text = (plain.folder / "smartdorf.toml").read_text()
    (plain.folder / "smartdorf.toml").write_text(text.partition("[backup]")[0])
    for command in ("backup", "verify", "restore"):
        assert "no folder for backups is set" in plain("db", command, code=2)


# -- others ---------------------------------------------------------------------------------------------------


async def test_a_running_service_is_not_pulled_from_under(plain: Village):
    plain("db", "backup")
    writer = await connect_writer(plain.dsn)
    try:
        assert "the service runs" in plain("db", "restore", "--yes", code=2)
        assert plain.json("db", "verify")["differences"] == []
    finally:
        writer.terminate()


def test_whoever_uses_the_database_is_named(plain: Village):
    plain("db", "backup")
    with psycopg.connect(plain.dsn, application_name="grafana"):
        assert "still in use by grafana" in plain("db", "restore", "--yes", code=2)
    assert plain.values() == 30


def test_a_user_who_may_not_create_databases_is_told(plain: Village):
    plain("db", "backup")
    with plain.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS nobody")
        connection.execute("CREATE ROLE nobody LOGIN PASSWORD 'x'")
    parts = urlsplit(plain.dsn)
    dsn = parts._replace(netloc=f"nobody:x@{parts.hostname}:{parts.port}").geturl()
    assert "may not create databases" in plain("db", "verify", "--dsn", dsn, code=2)


def test_two_at_once(plain: Village):
    with (plain.backups / "smartdorf-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another backup into" in plain("db", "backup", code=2)
    assert plain("db", "backup") == ""


def test_nobody_is_asked_where_nobody_is(plain: Village):
    plain("db", "backup")
    assert "add --yes" in plain("db", "restore", code=2)


# -- kill -9 --------------------------------------------------------------------------------------------------


def until(true: object, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_backup_that_is_killed_is_none_and_the_next_one_clears_it_away(plain: Village):
    with plain.connect() as connection:
        # of somebody else, in the same database: pg_dump waits for it
        connection.execute("CREATE SCHEMA theirs; CREATE TABLE theirs.things (id int)")
        with connection.transaction():
            connection.execute("LOCK TABLE theirs.things IN ACCESS EXCLUSIVE MODE")
            process = plain.start("db", "backup")
            until(lambda: list(plain.backups.glob("*.partial")))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    assert list(plain.backups.glob("*.json")) == []
    assert "there is no backup" in plain("db", "verify", code=2)
    assert plain("db", "backup") == ""
    assert list(plain.backups.glob("*.partial")) == []
    assert plain.json("db", "verify")["differences"] == []


def test_a_restore_that_is_killed_has_changed_nothing_and_can_be_repeated(village: Village):
    with village.connect() as connection:
        metric = metric_ids(connection)["water_level_m"]
        connection.execute(
            "INSERT INTO measurement SELECT %s::timestamptz - number * INTERVAL '1 min', 7, 0, %s, number, 0, 1 "
            "FROM generate_series(1, 60000) number",
            (NOW, metric),
        )
    village("db", "backup")
    with village.connect() as connection:
        connection.execute("DELETE FROM measurement WHERE device_id = 7")
    process = village.start("db", "restore", "--yes")
    until(lambda: f"{village.name}_restore" in village.databases())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert village.values() == 30
    assert village.json("db", "restore", "--yes")["kept"]
    assert village.values() == 60030
    assert f"{village.name}_restore" not in village.databases()
