"""The one clock: the machine's own, or one that runs faster from a start."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from smartdorf import clock
from smartdorf.clock import Clock

START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


class FakeTime:
    """Stands for the machine's monotonic clock; tests move it by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(clock, "time", fake)
    return fake


def test_without_settings_it_is_the_time_of_the_machine_in_utc() -> None:
    before = datetime.now(UTC)
    now = Clock().now()
    after = datetime.now(UTC)

    assert before <= now <= after
    assert now.tzinfo is UTC


def test_a_clock_with_a_start_begins_there(machine: FakeTime) -> None:
    started = Clock(start=START)

    assert started.now() == START
    machine.seconds += 90.25
    assert started.now() == START + timedelta(seconds=90.25)


def test_a_fast_clock_passes_an_hour_in_a_minute(machine: FakeTime) -> None:
    fast = Clock(start=START, speed=60.0)
    machine.seconds += 60

    assert fast.now() == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_clock_may_run_slowly(machine: FakeTime) -> None:
    slow = Clock(start=START, speed=0.5)
    machine.seconds += 10

    assert slow.now() == START + timedelta(seconds=5)


def test_a_fast_clock_without_a_start_begins_now(machine: FakeTime) -> None:
    before = datetime.now(UTC)
    fast = Clock(speed=3600.0)
    after = datetime.now(UTC)

    assert before <= fast.now() <= after
    machine.seconds += 1
    assert before + timedelta(hours=1) <= fast.now() <= after + timedelta(hours=1)


@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_a_clock_cannot_stand_still_or_run_backwards(speed: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Clock(speed=speed)


@pytest.mark.parametrize(("speed", "real_seconds"), [(1.0, 30.0), (60.0, 0.5)])
async def test_sleeping_takes_the_time_of_this_clock(
    monkeypatch: pytest.MonkeyPatch, speed: float, real_seconds: float
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(clock, "asyncio", SimpleNamespace(sleep=sleep))
    await Clock(start=START, speed=speed).sleep(30.0)

    assert slept == [real_seconds]
