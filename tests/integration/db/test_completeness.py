"""How many of the frames that a place's devices sent arrived, by local day."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count

import psycopg
import pytest

from tests.support.postgres import Database
from tests.support.series import refresh

MIDNIGHT = datetime(2026, 5, 3, 22, tzinfo=UTC)  # of 4 May in Berlin
DAY = timedelta(days=1)


class Radio:
    """Uplinks that are written, and what the view says of each day."""

    def __init__(self, database: Database, connection: psycopg.Connection) -> None:
        self.database = database
        self.connection = connection
        self._ids = count(1)
        for number in (1, 2):
            connection.execute(
                "INSERT INTO place (tenant_id, slug, name, place_type) VALUES (1, %s, 'x', 'gauge')",
                (f"p{number}",),
            )
            connection.execute("INSERT INTO device (dev_eui) VALUES (%s)", (f"{number:016x}",))

    def install(
        self,
        device: int,
        place: int,
        since: float = -30,
        until: float | None = None,
        channel: int | None = None,
    ) -> None:
        end = None if until is None else MIDNIGHT + until * DAY
        self.connection.execute(
            "INSERT INTO installation (device_id, place_id, channel, valid_from, valid_to) VALUES (%s, %s, %s, %s, %s)",
            (device, place, channel, MIDNIGHT + since * DAY, end),
        )

    def hear(
        self, *frames: tuple[float, int], device: int = 1, dev_addr: str = "01", status: str = "decoded"
    ) -> None:
        """Frame counters by the days since midnight."""
        for days, f_cnt in frames:
            time = MIDNIGHT + days * DAY
            self.connection.execute(
                "INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, "
                "encrypted, data, gateway_count, received_at, status) VALUES "
                "(%s, %s, %s, %s, %s, 1, 0, true, false, false, '', 1, %s, %s)",
                (time, f"{next(self._ids):032x}", device, dev_addr, f_cnt, time, status),
            )

    def days(self, place: int = 1) -> dict[float, tuple[int, int, int]]:
        """Days since midnight → expected, received, retransmissions."""
        refresh(self.database)
        rows = self.connection.execute(
            "SELECT bucket, expected, received, retransmissions FROM completeness_daily "
            "WHERE place_id = %s ORDER BY bucket, device_id",
            (place,),
        )
        return {(row[0] - MIDNIGHT) / DAY: row[1:] for row in rows.fetchall()}


@pytest.fixture
def radio(any_db: Database) -> Iterable[Radio]:
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        yield Radio(any_db, connection)


def test_frames_that_are_missing_between_two_others_were_expected(radio: Radio):
    radio.install(1, 1)
    radio.hear((0.1, 10), (0.2, 11), (0.3, 15), (0.4, 16))
    assert radio.days() == {0: (7, 4, 0)}
    [share] = radio.connection.execute("SELECT round(share, 4) FROM completeness_daily").fetchone()
    assert float(share) == 0.5714


def test_what_was_lost_over_night_counts_on_the_day_on_which_it_was_noticed(radio: Radio):
    radio.install(1, 1)
    radio.hear((0.1, 10), (0.9, 12), (1.1, 15), (1.2, 16), (4.5, 20))
    assert radio.days() == {0: (3, 2, 0), 1: (4, 2, 0), 4: (4, 1, 0)}


def test_a_join_begins_anew_and_misses_nothing(radio: Radio):
    radio.install(1, 1)
    radio.hear((0.1, 500), (0.2, 502))
    radio.hear((0.5, 0), (0.6, 1), dev_addr="02")
    assert radio.days() == {0: (5, 4, 0)}


def test_a_counter_that_starts_anew_without_a_join(radio: Radio):
    radio.install(1, 1)
    radio.hear((0.1, 500), (1.1, 502), (1.2, 503), (1.3, 0), (1.4, 2), (2.1, 3), (2.2, 5))
    # the second day: 501, 502, 503 and 0, 1, 2; the third: 3, 4, 5
    assert radio.days() == {0: (1, 1, 0), 1: (6, 4, 0), 2: (3, 2, 0)}


def test_a_retransmission_is_no_further_frame(radio: Radio):
    radio.install(1, 1)
    radio.hear((0.1, 10), (0.2, 11))
    radio.hear((0.11, 10), (0.12, 10), status="retransmission")
    assert radio.days() == {0: (2, 2, 2)}


def test_the_places_that_the_device_watched_that_day(radio: Radio):
    radio.install(1, 1, until=1.5)
    radio.install(1, 2, since=1.5)
    radio.hear((0.1, 1), (0.2, 2), (1.1, 3), (1.9, 4), (2.5, 6))
    assert radio.days(place=1) == {0: (2, 2, 0), 1: (2, 2, 0)}
    assert radio.days(place=2) == {1: (2, 2, 0), 2: (2, 1, 0)}


def test_two_channels_at_one_place_are_one_device(radio: Radio):
    radio.install(1, 1, channel=1)
    radio.install(1, 1, channel=2)
    radio.hear((0.1, 1), (0.2, 2))
    assert radio.days() == {0: (2, 2, 0)}


@pytest.mark.parametrize(
    ("midnight", "hours"),
    [(datetime(2026, 3, 28, 23, tzinfo=UTC), 23), (datetime(2026, 10, 24, 22, tzinfo=UTC), 25)],
)
def test_a_day_that_changes_the_clock(radio: Radio, midnight: datetime, hours: int):
    radio.install(1, 1, since=-200)
    first = round((midnight - MIDNIGHT) / timedelta(hours=1))
    radio.hear(*(((first + hour) / 24, 1000 + hour) for hour in range(-3, hours + 3)))
    assert radio.days()[first / 24] == (hours, hours, 0)
