"""Windows of rules on a real database: a restart knows what was before it."""

from datetime import timedelta

import pytest

from smartdorf.ingest.memory import Content
from smartdorf.ingest.requests import work_off_requests
from tests.integration.ingest.test_pipeline import Bench, em400, onboard, opened, uplink
from tests.support.content import content_of
from tests.support.postgres import Database

RULES = """
groups:
  - name: waste
    rules:
      - alert: FillingFast
        for_each: {place_type: container}
        when: rate(fill_level_pct, "3h") > 5
        severity: warning
        notify: [bauhof]
        mode: live
        summary: {de: "{place}: {rate_fill_level_pct}", en: "{place}: {rate_fill_level_pct}"}
"""


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return content_of(RULES, tmp_path_factory.mktemp("rules"))


def level(hour: int, percent: int) -> dict[str, object]:
    """The sensor hangs 1.8 m above the floor of its container."""
    return uplink(hour, data=em400(1800 - 18 * percent))


async def alerts(bench: Bench) -> list[tuple[str, str]]:
    return await bench.rows("SELECT rule, summary->>'en' FROM alert")


async def test_a_window_goes_on_after_a_restart(any_db: Database, content: Content):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(0, 10), level(1, 14), level(2, 19))
        assert await alerts(bench) == []
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(3, 28))
        assert await alerts(bench) == [("FillingFast", "Kirchplatz: 6.0\N{NO-BREAK SPACE}%/h")]


async def test_a_place_that_is_added_later_knows_what_its_sensor_said_there(
    any_db: Database, content: Content
):
    """Onboarding decodes what has come so far; windows take part in it."""
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(0, 10), level(1, 14), level(2, 19))  # of a device that nobody knows yet
        await onboard(any_db.dsn)
        await bench.pipeline.rebind()
        await work_off_requests(bench.pipeline, bench.clock)
        await bench.receive(level(3, 28))
        assert len(await alerts(bench)) == 1


async def test_what_is_older_than_the_window_is_not_read_back(any_db: Database, content: Content):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(*[level(hour, 10 + hour % 2) for hour in range(48)])
    async with opened(any_db.dsn, content) as bench:
        memory = await bench.writer.open()
        readings = [*next(iter(memory.state.history.values()))]
        assert readings[-1][1] - readings[0][1] <= 2 * timedelta(hours=3)
