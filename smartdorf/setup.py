"""What a new installation needs: settings, secrets, and for containers the broker's passwords. Never overwrites.

Pure but for ``write``. Secrets are random, one a file, readable by their owner only.
"""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SETTINGS = """\
# Written by `smartdorf init`. deploy/smartdorf.example.toml explains every setting, `smartdorf check` what is wrong.

[database]
dsn = "postgresql://smartdorf@{database_host}:5432/smartdorf"
password_file = "{secrets}/database"

[[mqtt]]
name = "chirpstack"
host = "{mqtt_host}"
port = {mqtt_port}
tls = {tls}
client_id = "smartdorf"
username = "smartdorf"
password_file = "{secrets}/mqtt"
topics = ["application/+/device/+/event/+", "+/gateway/+/event/stats"]

# Who is told. Until each of them has a channel of its own, it stands in the service's log: see docs/receivers.md.
[receivers.bauhof]
type = "log"
[receivers.wasserwerk]
type = "log"
[receivers.ordnungsamt]
type = "log"
[receivers.it]
type = "log"

[web]
host = "{web_host}"
port = 8086

[backup]
folder = "{backups}"
"""

# Users of the broker in deploy/compose.yaml, beside smartdorf itself.
BROKER_USERS = ("smartdorf", "chirpstack", "gateway")
CONTAINER_SECRETS = (
    "postgres", "database", "mqtt", "mqtt_chirpstack", "mqtt_gateway", "chirpstack_database", "chirpstack_api",
    "grafana_admin", "grafana_database",
)  # fmt: skip
_SECRET_OF = {"smartdorf": "mqtt", "chirpstack": "mqtt_chirpstack", "gateway": "mqtt_gateway"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What ``init`` cannot know."""

    mqtt_host: str
    mqtt_port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    content: str
    mode: int


def host_files(folder: Path, answers: Answers) -> list[File]:
    """For a box without containers: settings, and two secrets beside them."""
    settings = SETTINGS.format(
        database_host="127.0.0.1",
        mqtt_host=answers.mqtt_host,
        mqtt_port=answers.mqtt_port,
        tls=str(answers.tls).lower(),
        secrets="secrets",
        web_host="127.0.0.1",
        backups="/var/backups/smartdorf",
    )
    made = [
        File(folder / "secrets" / name, secrets.token_urlsafe(32) + "\n", 0o600)
        for name in ("database", "mqtt")
    ]
    return [File(folder / "smartdorf.toml", settings, 0o640), *made]


def container_files(folder: Path, answers: Answers) -> list[File]:
    """For deploy/compose.yaml: settings with the names of its services, all secrets, the broker's password file."""
    settings = SETTINGS.format(
        database_host="timescaledb",
        mqtt_host=answers.mqtt_host,
        mqtt_port=answers.mqtt_port,
        tls=str(answers.tls).lower(),
        secrets="/run/secrets",
        web_host="0.0.0.0",  # noqa: S104 - inside its container; compose publishes no port of it
        backups="/var/backups/smartdorf",
    )
    made = {name: _kept(folder / "secrets" / name) or secrets.token_urlsafe(32) for name in CONTAINER_SECRETS}
    # a container's user is nobody here: the folder keeps them from others, and each is mounted by itself
    files = [File(folder / "secrets" / name, f"{secret}\n", 0o644) for name, secret in made.items()]
    return [
        File(folder / "smartdorf.toml", settings, 0o644),
        *files,
        File(folder / "secrets" / "mosquitto_passwd", password_file(made), 0o644),
    ]


def password_file(made: Mapping[str, str]) -> str:
    """The broker's users, with the secrets that they have."""
    return "".join(f"{user}:{hashed_password(made[_SECRET_OF[user]])}\n" for user in BROKER_USERS)


def hashed_password(password: str) -> str:
    """As mosquitto_passwd writes it: PBKDF2 with SHA-512 (mosquitto 2.0, src/password_mosq.c: type 7)."""
    salt, rounds = secrets.token_bytes(12), 101
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, 64)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def _kept(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def write(files: list[File], owner: str | None) -> tuple[list[Path], list[Path]]:
    """Write what is not there yet; returns what was made and what was kept. ``owner``: whose the files become."""
    made, kept = [], []
    for file in files:
        if file.path.exists():
            kept.append(file.path)
            continue
        file.path.parent.mkdir(parents=True, exist_ok=True)
        if file.path.parent.name == "secrets":
            file.path.parent.chmod(0o700)
        with os.fdopen(os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode), "w") as opened:
            opened.write(file.content)
        for path in (file.path, file.path.parent):
            _give(path, owner)
        made.append(file.path)
    return made, kept


def _give(path: Path, owner: str | None) -> None:
    if owner is None or os.geteuid() != 0:
        return
    account = pwd.getpwnam(owner)
    os.chown(path, account.pw_uid, account.pw_gid)


def account(name: str) -> str | None:
    """The system's user of that name, if there is one."""
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        return None
