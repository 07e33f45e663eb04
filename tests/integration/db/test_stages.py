"""Both ways of rows to the server bring the same: arrays, and COPY of rows packed by us."""

import math
from datetime import UTC, datetime
from uuid import UUID

import pytest

from smartdorf.db import stages
from smartdorf.db.pool import connected
from smartdorf.db.stages import (
    COPY_FROM,
    DeviceEventRow,
    MeasurementRow,
    QuarantineRow,
    SessionRow,
    Stage,
    UplinkRow,
    create_stages,
)
from tests.support.postgres import Database

EARLY = datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
LATE = datetime(2036, 10, 26, 0, 30, 0, 1, tzinfo=UTC)
ID = UUID("6a1d1c0e-0c59-4f0c-9a51-2f4a0d7a1b7e")

ROWS = {
    stages.UPLINKS: [
        UplinkRow(
            LATE, ID, 1, 2**32 - 1, 223, 0, True, False, False, 3, EARLY, 868_100_000, -137, -23.5, LATE,
            "01a3f27c", b"\x00\xff", "fault", "vendor/model", '{"a": "ä"}', EARLY, "length", "zu kurz",
        ),
        UplinkRow(
            EARLY, ID, 2**63 - 1, 0, 0, 15, False, True, True, 0, LATE, None, None, None, None,
            "00000000", b"", "unknown_device", None, None, None, None, None,
        ),
    ],
    stages.MEASUREMENTS: [
        MeasurementRow(LATE, 1, 0, 32767, -0.0, 5, None),
        MeasurementRow(EARLY, 2, 9, 1, 1.7976931348623157e308, 0, 2**63 - 1),
    ],
    stages.SESSIONS: [SessionRow(1, EARLY, 0, 2**32 - 1, 7, 0, LATE, "01a3f27c")],
    stages.EVENTS: [DeviceEventRow(LATE, 1, "join", "ключ", '{"devAddr": "01a3f27c"}', EARLY)],
    stages.QUARANTINED: [QuarantineRow(b"\x01" * 16, "a/ü", b"\x00", "not_json", "", "village", LATE)],
}  # fmt: skip


@pytest.mark.parametrize("stage", ROWS, ids=lambda stage: stage.name)
async def test_both_ways_bring_every_value_as_it_is(any_db: Database, stage: Stage):
    few, many = ROWS[stage], ROWS[stage] * COPY_FROM
    packed = [stage.format.pack(row) for row in few]
    async with connected(any_db.dsn) as connection, connection.transaction():
        await create_stages(connection)
        for rows, expected in ((few, few), (many, many)):
            brought = await stage.bring(connection, rows)
            assert [tuple(row) for row in await brought.fetch("SELECT * FROM {rows}")] == expected
            await connection.execute(f"DELETE FROM {stage.name}")
        brought = await stage.bring(connection, [*packed, *few])  # one packed row, and it is COPY
        found = [tuple(row) for row in await brought.fetch("SELECT * FROM {rows}")]
    assert found == [*few, *few]


async def test_the_sign_of_zero_is_kept(any_db: Database):
    row = ROWS[stages.MEASUREMENTS][0]
    async with connected(any_db.dsn) as connection, connection.transaction():
        await create_stages(connection)
        brought = await stages.MEASUREMENTS.bring(connection, [stages.MEASUREMENTS.format.pack(row)])
        [found] = await brought.fetch("SELECT value FROM {rows}")
    assert math.copysign(1, found["value"]) == -1


@pytest.mark.parametrize(
    ("stage", "row"), [(stage, rows[0]) for stage, rows in ROWS.items()], ids=lambda x: ""
)
def test_the_columns_are_those_of_the_row(stage: Stage, row):
    assert tuple(stage.format.columns) == row._fields
