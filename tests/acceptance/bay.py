"""A parking bay whose rule can be watched through all the tables: what several acceptance tests are about."""

from __future__ import annotations

from datetime import datetime

from tests.support.postgres import Database
from tests.support.service import until
from tests.support.traffic import fetch, value

BAY_TAKEN = """
groups:
  - name: acceptance
    rules:
      - alert: BayTaken
        title: {de: "Platz belegt", en: "Bay taken"}
        for_each: {place_type: parking_bay}
        when: parking_occupied == 1
        for: 5s
        severity: warning
        notify: [warden]
        mode: live
        summary: {de: "{place} ist belegt", en: "{place} is taken"}
"""
AT_ONCE = BAY_TAKEN.replace("        for: 5s\n", "")


async def until_state(database: Database, phase: str) -> list[tuple[str, datetime, datetime | None]]:
    async def found() -> list[tuple[str, datetime, datetime | None]]:
        rows = await fetch(
            database,
            "SELECT phase, since, fired_at FROM rule_state WHERE rule = 'BayTaken' AND phase = $1",
            phase,
        )
        return [tuple(row) for row in rows]

    states: list[tuple[str, datetime, datetime | None]] = await until(found, f"the rule is {phase}")
    return states


async def until_told(database: Database, count: int) -> None:
    async def told() -> bool:
        query = "SELECT count(*) FROM outbox WHERE receiver = 'warden' AND state = 'sent'"
        return bool(await value(database, query) == count)

    await until(told, f"{count} notifications are told")
