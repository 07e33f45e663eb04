"""The page that a successor needs: what runs where, what keeps it safe, what is wrong. No passwords, no residents."""

from __future__ import annotations

import platform
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from cryptography import x509

from smartdorf.check import Finding
from smartdorf.config.settings import Settings
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import moment_text


@dataclass(frozen=True, slots=True)
class Counts:
    """What the database knows; ``quarantine`` by reason."""

    postgresql: str
    timescaledb: str | None
    size: int  # bytes
    places: int
    devices: int
    unknown_devices: int
    gateways: int
    open_alerts: int
    quarantine: dict[str, int]
    last_uplink: datetime | None


@dataclass(frozen=True, slots=True)
class Certificate:
    path: str
    expires_at: datetime | None  # None: it cannot be read


_COUNTS = """
    SELECT current_setting('server_version') AS postgresql,
           (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb,
           pg_database_size(current_database()) AS size, (SELECT count(*) FROM place) AS places,
           (SELECT count(*) FROM device WHERE model IS NOT NULL) AS devices,
           (SELECT count(*) FROM device WHERE model IS NULL) AS unknown_devices,
           (SELECT count(*) FROM gateway) AS gateways,
           (SELECT count(*) FROM alert WHERE state = 'firing') AS open_alerts,
           (SELECT max(last_time) FROM frame_gap) AS last_uplink
"""


async def fetch_counts(connection: asyncpg.Connection) -> Counts:
    """Small queries on small tables."""
    [row] = await connection.fetch(_COUNTS)
    waiting = await connection.fetch(
        "SELECT reason, count(*) FROM quarantine WHERE replayed_at IS NULL GROUP BY reason ORDER BY 2 DESC"
    )
    return Counts(**row, quarantine={row[0]: row[1] for row in waiting})


def certificates(settings: Settings) -> Iterator[Certificate]:
    """Those that the settings name, each once."""
    files = {
        file for connection in settings.mqtt for file in (connection.ca_file, connection.cert_file) if file
    }
    for file in sorted(files):
        try:
            found = x509.load_pem_x509_certificates(file.read_bytes())
            yield Certificate(str(file), min(certificate.not_valid_after_utc for certificate in found))
        except (OSError, ValueError):
            yield Certificate(str(file), None)


def secret_files(settings: Settings) -> list[Path]:
    """Where passwords and keys are; what is in them stands nowhere."""
    found = [settings.database.password_file, settings.backup.recipients_file]
    for connection in settings.mqtt:
        found += [connection.password_file, connection.key_file]
    for receiver in settings.receivers.values():
        found += [getattr(receiver, "secret_file", None), getattr(receiver, "url_file", None)]
    return sorted({file for file in found if file is not None})


def page(
    settings: Settings,
    file: Path,
    version: str,
    counts: Counts | None,
    backup: datetime | None,
    findings: list[Finding],
    now: datetime,
) -> str:
    """Markdown. ``counts`` None: the database does not answer; ``backup``: when the newest one was taken."""
    lines = [
        f"# smartdorf: {socket.gethostname()}",
        "",
        _("As of {time}, by `smartdorf handover`.").format(time=_moment(now)),
        "",
        _("## What runs where"),
        "",
        *_where(settings, file, version, counts),
        "",
        _("## What is in it"),
        "",
        *_holds(settings, counts),
        "",
        _("## What keeps it safe"),
        "",
        *_safe(settings, backup, now),
        "",
        _("## What is wrong now"),
        "",
        *_wrong(findings, counts),
        "",
        _("## On a bad day"),
        "",
        *_bad_day(file),
    ]
    return "\n".join(lines) + "\n"


def _where(settings: Settings, file: Path, version: str, counts: Counts | None) -> Iterator[str]:
    server = urlsplit(settings.database.dsn)
    product = _("does not answer")
    if counts is not None:
        timescale = f"TimescaleDB {counts.timescaledb}, " if counts.timescaledb else ""
        product = f"{timescale}PostgreSQL {counts.postgresql}, {counts.size / 1e9:.1f} GB"
    yield _("- smartdorf {version}, Python {python}, on {host}; settings in {file}").format(
        version=version, python=platform.python_version(), host=socket.gethostname(), file=file.absolute()
    )
    yield _(
        "- Service: `systemctl status smartdorf`, `journalctl -u smartdorf`; health at http://{host}:{port}/readyz"
    ).format(host=settings.web.host, port=settings.web.port)
    yield _("- Database {name} at {host}:{port}: {product}").format(
        name=server.path.lstrip("/"), host=server.hostname, port=server.port or 5432, product=product
    )
    for mqtt in settings.mqtt:
        yield _("- Broker {name}: {host}:{port}{tls}, as {user}, client id {client_id}").format(
            name=mqtt.name,
            host=mqtt.host,
            port=mqtt.port,
            tls=" (TLS)" if mqtt.tls else "",
            user=mqtt.username or _("nobody in particular"),
            client_id=mqtt.client_id,
        )


def _holds(settings: Settings, counts: Counts | None) -> Iterator[str]:
    if counts is not None:
        yield _("- {places} places, {devices} devices, {gateways} gateways; newest uplink {heard}").format(
            places=counts.places,
            devices=counts.devices,
            gateways=counts.gateways,
            heard=_moment(counts.last_uplink) if counts.last_uplink else "–",
        )
    for name, receiver in sorted(settings.receivers.items()):
        yield _("- Receiver {name}: {type}").format(name=name, type=receiver.type)
    own = [*settings.content.decoders, *settings.content.rules]
    yield _("- Own decoders and rules: {folders}").format(folders=", ".join(map(str, own)) or "–")


def _safe(settings: Settings, backup: datetime | None, now: datetime) -> Iterator[str]:
    if settings.backup.folder is None:
        yield _("- No backups are made.")
    else:
        age = _("none yet") if backup is None else _moment(backup)
        yield _("- Backups in {folder}, newest: {age}").format(folder=settings.backup.folder, age=age)
    for certificate in certificates(settings):
        days = "?" if certificate.expires_at is None else str((certificate.expires_at - now).days)
        yield _("- Certificate {path} ends in {days} days").format(path=certificate.path, days=days)
    for secret in secret_files(settings):
        yield _("- Secret {path}: {rights}").format(path=secret, rights=_rights(secret))


def _rights(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        return error.strerror or str(error)
    try:
        owner = path.owner()
    except KeyError:
        owner = str(status.st_uid)
    return f"{owner}, {status.st_mode & 0o777:o}"


def _wrong(findings: list[Finding], counts: Counts | None) -> Iterator[str]:
    bad = [finding for finding in findings if finding.level in ("error", "warning")]
    yield from (f"- {finding.subject}: {finding.message}" for finding in bad)
    if counts is not None and counts.open_alerts:
        yield _("- {count} open alerts: `smartdorf alerts list`").format(count=counts.open_alerts)
    if counts is not None and counts.quarantine:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in counts.quarantine.items())
        yield _("- In quarantine: {reasons}; `smartdorf quarantine list`").format(reasons=reasons)
    if not bad and (counts is None or not (counts.open_alerts or counts.quarantine)):
        yield _("Nothing.")


def _bad_day(file: Path) -> Iterator[str]:
    yield _("1. `smartdorf check --config {file}` says what does not work, and what to do about it.").format(
        file=file
    )
    yield _(
        "2. Messages wait in the broker while the service or the database is down: nothing is lost meanwhile."
    )
    yield _("3. `smartdorf db status` shows full disks coming, and jobs of TimescaleDB that have failed.")
    yield _(
        "4. `smartdorf db verify` proves the newest backup, `smartdorf db restore` brings it back: docs/backup.md."
    )
    yield _("5. docs/operations.md has what each alarm of smartdorf itself means.")


def _moment(time: datetime) -> str:
    return moment_text(time, current_language())


def as_dict(
    settings: Settings, version: str, counts: Counts | None, backup: datetime | None, findings: list[Finding]
) -> dict[str, Any]:
    """The same for programs."""
    return {
        "version": version,
        "database": counts,
        "brokers": [{"name": m.name, "host": m.host, "port": m.port, "tls": m.tls} for m in settings.mqtt],
        "receivers": {name: receiver.type for name, receiver in settings.receivers.items()},
        "newest_backup": backup,
        "certificates": list(certificates(settings)),
        "problems": [finding for finding in findings if finding.level in ("error", "warning")],
    }
