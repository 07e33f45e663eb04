"""What happens in the village within two days is plausible, and some of it is worth an alert."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from random import Random

import pytest

from smartdorf.simulate import Village
from smartdorf.simulate.behaviour import BERLIN, Circumstances, Transmission, transmissions
from smartdorf.simulate.village import MODELS

START = datetime(2026, 5, 4, 4, 0, tzinfo=UTC)  # Monday, six in the morning in the village
TWO_DAYS = timedelta(days=2)


def _sent(
    model: str, what: str | None, *, index: int = 0, span: timedelta = TWO_DAYS, start: datetime = START
):
    """What the device of a story, or the ``index``-th one without a story, sends."""
    village = Village.build(3, start=start)
    stories = {story.dev_eui: story for story in village.stories}
    told = {eui: story for eui, story in stories.items() if story.what == what}
    candidates = [
        device
        for device in village.devices
        if device.model == model and (device.dev_eui in told if what else device.dev_eui not in stories)
    ]
    device = candidates[index]
    given = Circumstances(Random(index), start, False, stories.get(device.dev_eui))
    sent = list(takewhile(lambda item: item.at < start + span, transmissions(device, given)))
    return stories.get(device.dev_eui), sent


def _values(sent: list[Transmission], quantity: str) -> list[tuple[datetime, float]]:
    return [(item.at, item.truth[quantity]) for item in sent if quantity in item.truth]


def test_bay_is_occupied_for_more_than_a_day():
    story, sent = _sent("bosch/tps110", "long_stay")
    during = [value for at, value in _values(sent, "parking_occupied") if story.is_on(at)]
    assert during[-1] == 1
    first = next(at for at, value in _values(sent, "parking_occupied") if story.is_on(at) and value == 1)
    assert story.ends - first > timedelta(hours=24)
    assert (story.ends, 0) in _values(sent, "parking_occupied")


def test_container_fills_above_80_per_cent_and_is_emptied():
    story, sent = _sent("milesight/em400-mud", "container_full")
    levels = _values(sent, "fill_level_pct")
    assert levels[0][1] < 70
    assert max(level for at, level in levels if at < story.ends) > 80
    after = [level for at, level in levels if at > story.ends + timedelta(minutes=1)]
    assert max(after[:3]) < 15
    assert [value for at, value in _values(sent, "container_tilted") if at == story.ends] == [1.0]


def test_container_raises_an_alarm_once_when_it_is_nearly_full():
    _, sent = _sent("milesight/em400-mud", "container_full")
    assert sum(item.payload.data.startswith(b"\x84\x82") for item in sent) == 1


def test_stream_rises_above_its_warning_level_and_falls_again():
    story, sent = _sent("decentlab/dl-pr26", "high_water")
    levels = [(at, bar * 10.1972) for at, bar in _values(sent, "water_pressure_bar")]
    assert max(level for at, level in levels if at < story.begins) < 1.0
    assert max(level for _, level in levels) > 1.6
    assert levels[-1][1] < 0.9


def test_burst_pipe_is_reported_at_once_and_costs_water():
    story, sent = _sent("axioma/qalcosonic-w1", "burst")
    alarm = next(item for item in sent if item.payload.f_port == 103)
    assert alarm.at == story.begins
    assert alarm.payload.data[4] == 0xB0
    readings = _values(sent, "water_volume_m3")
    assert readings[-1][1] - readings[0][1] > 10  # 900 l/h for 14 h
    assert _values(sent, "water_burst")[-1][1] == 0


def test_seeping_pipe_sets_the_leak_bit():
    _, sent = _sent("axioma/qalcosonic-w1", "seepage")
    assert 1.0 in [value for _, value in _values(sent, "water_leak")]


def test_water_meter_only_counts_up_and_its_history_ends_in_the_past():
    _, sent = _sent("axioma/qalcosonic-w1", None, span=timedelta(days=10))
    readings = [value for _, value in _values(sent, "water_volume_m3")]
    assert len(readings) == 20
    assert all(after >= before for before, after in pairwise(readings))
    for item in sent:
        now, log = (int.from_bytes(item.payload.data[first : first + 4], "little") for first in (0, 9))
        assert log % 3600 == 0
        assert 0 <= now - (log + 15 * 3600) < 3600


def test_cellar_is_wet_for_five_hours_and_both_changes_are_sent_at_once():
    story, sent = _sent("milesight/em300-zld", "leak")
    wet = dict(_values(sent, "water_leak"))
    assert wet[story.begins] == 1
    assert wet[story.ends] == 0


def test_device_falls_silent_and_comes_back():
    story, sent = _sent("dragino/lht65n", "silence")
    longest = max(after.at - before.at for before, after in pairwise(sent))
    assert timedelta(hours=18) <= longest <= timedelta(hours=19)
    assert not any(story.is_on(item.at) for item in sent)


def test_batteries_run_low():
    _, climate = _sent("dragino/lht65n", "low_battery")
    assert max(value for _, value in _values(climate, "battery_v")) < 2.5
    _, leak = _sent("milesight/em300-zld", "low_battery")
    assert max(value for _, value in _values(leak, "battery_pct")) < 10


def test_people_park_by_day():
    changes: Counter[bool] = Counter()
    for index in range(10):
        _, sent = _sent("bosch/tps110", None, index=index, span=timedelta(days=7))
        changes.update(8 <= item.at.astimezone(BERLIN).hour < 20 for item in sent if item.payload.f_port == 1)
    assert changes[True] > 3 * changes[False]


@pytest.mark.parametrize(
    ("model", "a_day"),
    [
        ("milesight/em400-mud", 24),
        ("decentlab/dl-pr26", 144),
        ("axioma/qalcosonic-w1", 2),
        ("dragino/lht65n", 72),
        ("milesight/em300-zld", 4),
    ],
)
def test_devices_report_at_their_usual_interval(model, a_day):
    _, sent = _sent(model, None, span=timedelta(days=4), index=1)
    assert 4 * a_day - 2 <= len(sent) <= 4 * a_day + 6


def test_freshly_started_parking_sensor_says_so_first():
    device = Village.build(3, start=START).devices[5]
    first = next(transmissions(device, Circumstances(Random(1), START, True, None)))
    assert first.payload.f_port == 3


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("month", [3, 10])
def test_nothing_goes_backwards_in_a_night_that_changes_the_clocks(model, month):
    start = datetime(2026, month, 28 if month == 3 else 24, tzinfo=UTC)
    _, sent = _sent(model, None, span=timedelta(days=3), start=start)
    assert all(after.at - before.at >= timedelta(seconds=30) for before, after in pairwise(sent))
    assert all(item.at >= start for item in sent)
