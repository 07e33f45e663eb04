"""Moments in the village's own time, on ordinary days and on both nights that change it."""

from datetime import UTC, datetime

import pytest

from smartdorf.local_time import from_local, moment_text


@pytest.mark.parametrize(
    ("time", "german", "english"),
    [
        (datetime(2026, 1, 5, 23, 30, tzinfo=UTC), "06.01.2026 00:30", "2026-01-06 00:30"),
        (
            datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
            "29.03.2026 03:00",
            "2026-03-29 03:00",
        ),  # no 02:00 that night
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "25.10.2026 02:30", "2026-10-25 02:30"),  # the second one
    ],
)
def test_a_moment_is_shown_in_local_time(time, german, english):
    assert (moment_text(time, "de"), moment_text(time, "en")) == (german, english)


def test_seconds_where_they_matter():
    assert (
        moment_text(datetime(2026, 7, 1, 10, 0, 7, tzinfo=UTC), "de", seconds=True) == "01.07.2026 12:00:07"
    )


def test_what_is_typed_without_a_zone_is_local():
    assert from_local(datetime(2026, 7, 1, 12, 0)) == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
    assert from_local(datetime(2026, 10, 25, 2, 30)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert from_local(datetime(2026, 7, 1, 12, 0, tzinfo=UTC)) == datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
