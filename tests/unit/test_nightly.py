"""When the night comes, on both nights that change the clock, too."""

from datetime import UTC, datetime

import pytest

from smartdorf.nightly import next_night


@pytest.mark.parametrize(
    ("now", "night"),
    [
        (datetime(2026, 7, 1, 20, 0, tzinfo=UTC), datetime(2026, 7, 2, 1, 30, tzinfo=UTC)),
        (datetime(2026, 7, 2, 1, 29, tzinfo=UTC), datetime(2026, 7, 2, 1, 30, tzinfo=UTC)),
        (datetime(2026, 7, 2, 1, 30, tzinfo=UTC), datetime(2026, 7, 3, 1, 30, tzinfo=UTC)),
        (
            datetime(2026, 3, 28, 12, 0, tzinfo=UTC),
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        ),  # summer time by then
        (
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime(2026, 10, 25, 2, 30, tzinfo=UTC),
        ),  # winter time by then
    ],
)
def test_the_next_half_past_three_of_the_church_clock(now, night):
    assert next_night(now) == night
