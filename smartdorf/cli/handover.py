"""smartdorf handover: the page for whoever comes after."""

from __future__ import annotations

import importlib.metadata
from datetime import datetime

from smartdorf.app import load_content
from smartdorf.check import Finding, check
from smartdorf.cli.context import ConfigOption, JsonOption, print_json, run_async, settings_or_exit
from smartdorf.clock import Clock
from smartdorf.config.settings import Settings, find_settings_file
from smartdorf.db.backup import backups
from smartdorf.db.manifest import read_manifest
from smartdorf.db.pool import connected
from smartdorf.errors import SmartdorfError
from smartdorf.handover import Counts, as_dict, fetch_counts, page
from smartdorf.ingest.memory import Content


def handover(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the page that a successor needs, as Markdown: what runs where, what keeps it safe, what is wrong now.

    It holds no passwords. What cannot be reached is said to be so.

    Example: smartdorf handover > handover.md
    """
    settings = settings_or_exit(config)
    counts, findings = run_async(_look(settings, load_content(settings)))
    version, newest = importlib.metadata.version("smartdorf"), _newest_backup(settings)
    if as_json:
        print_json(as_dict(settings, version, counts, newest, findings))
        return
    file = find_settings_file(config)
    print(page(settings, file, version, counts, newest, findings, Clock().now()), end="")


async def _look(settings: Settings, content: Content) -> tuple[Counts | None, list[Finding]]:
    counts = None
    try:
        async with connected(settings.database.full_dsn) as connection:
            counts = await fetch_counts(connection)
    except SmartdorfError:
        pass  # the check below says why
    return counts, await check(settings, content)


def _newest_backup(settings: Settings) -> datetime | None:
    if settings.backup.folder is None:
        return None
    for manifest in backups(settings.backup.folder):
        try:
            return read_manifest(manifest).taken_at
        except SmartdorfError:
            continue
    return None
