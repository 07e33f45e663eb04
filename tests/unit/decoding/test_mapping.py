"""What a codec or ChirpStack found, said in the vocabulary's words."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.mapping import Mapped, map_object, parse_time
from smartdorf.decoding.registry import load_catalogue
from smartdorf.model import Quality
from smartdorf.vocabulary import load_vocabulary
from tests.unit.decoding.conftest import HEAD

NOW = datetime(2026, 3, 29, 3, 0, tzinfo=UTC)
Model = Callable[..., DeviceModel]


def mapped(model: DeviceModel, found: dict[str, Any], **parameters: float) -> Mapped:
    return map_object(model.plan, found, NOW, parameters)


def values(result: Mapped) -> dict[str, float]:
    return {sample.metric: sample.value for sample in result.samples if sample.channel == 0}


# -- fields ---------------------------------------------------------------------------------------------


def test_fields_are_found_by_path(model: Model):
    one = model(
        "measurements:\n"
        "  battery_v: {field: 'power.cells[1].mv', unit: mV}\n"
        "  water_temperature_c: temps[-1]\n"
        "  battery_pct: bat\n"
    )
    result = mapped(one, {"power": {"cells": [{"mv": 1}, {"mv": 3600}]}, "temps": [1, 2, 7.5], "bat": 80})
    assert values(result) == {"battery_v": 3.6, "water_temperature_c": 7.5, "battery_pct": 80}
    assert result.left_over is None


@pytest.mark.parametrize(
    "found", [{}, {"power": 3}, {"power": {"cells": []}}, {"power": {"cells": "ab"}}, {"power": None}]
)
def test_a_path_that_leads_nowhere_is_no_measurement(found: dict[str, Any], model: Model):
    assert mapped(model("measurements: {battery_v: 'power.cells[1].mv'}\n"), found).samples == ()


def test_what_no_measurement_carries_is_left_over(model: Model):
    one = model("measurements: {battery_v: power.v, battery_low: power.low}\n")
    result = mapped(one, {"power": {"v": 3.6, "low": False, "cells": 2}, "firmware": "1.2"})
    assert values(result) == {"battery_v": 3.6, "battery_low": 0}
    assert result.left_over == {"power": {"cells": 2}, "firmware": "1.2"}


def test_the_first_field_that_is_there_wins(model: Model):
    one = model("measurements: {water_leak: [leak, {field: water, codes: {dry: 0, wet: 1}}]}\n")
    assert values(mapped(one, {"water": "wet"})) == {"water_leak": 1}
    assert values(mapped(one, {"leak": False, "water": "wet"})) == {"water_leak": 0}


def test_channels_keep_two_probes_apart(model: Model):
    one = model("measurements: {water_temperature_c: [t1, {field: t2, channel: 2}]}\n")
    result = mapped(one, {"t1": 5, "t2": 6})
    assert [(sample.channel, sample.value) for sample in result.samples] == [(0, 5), (2, 6)]


def test_words_become_codes_and_unknown_words_are_kept(model: Model):
    one = model("measurements: {water_leak: {field: state, codes: {dry: 0, wet: 1, 7: 1, false: 0}}}\n")
    assert values(mapped(one, {"state": "wet"})) == {"water_leak": 1}
    assert values(mapped(one, {"state": 7})) == {"water_leak": 1}
    assert values(mapped(one, {"state": 7.0})) == {"water_leak": 1}
    assert values(mapped(one, {"state": False})) == {"water_leak": 0}
    unknown = mapped(one, {"state": "moist"})
    assert unknown.samples == ()
    assert unknown.left_over == {"state": "moist"}


def test_fillers_are_dropped_silently(model: Model):
    one = model("measurements: {water_level_m: {field: level, unit: mm, fillers: [65535, 327.67, NaN?]}}\n")
    for filler in (65535, 65535.0, 327.67, "65535", "NaN?"):
        result = mapped(one, {"level": filler})
        assert (result.samples, result.left_over) == ((), None)
    assert values(mapped(one, {"level": 65534})) == {"water_level_m": 65.534}


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "NaN", "inf", "n/a", "", [], {}, 10**400, "9" * 60]
)
def test_what_is_no_finite_number_never_becomes_a_sample(value: Any, model: Model):
    result = mapped(model("measurements: {water_level_m: {field: level, unit: mm}}\n"), {"level": value})
    assert result.samples == ()
    assert result.left_over is not None
    assert list(result.left_over) == ["level"]


def test_numbers_as_text_are_numbers(model: Model):
    assert values(mapped(model("measurements: {battery_v: bat}\n"), {"bat": "3.60"})) == {"battery_v": 3.6}


def test_null_is_nothing(model: Model):
    result = mapped(model("measurements: {battery_v: bat}\n"), {"bat": None})
    assert (result.samples, result.left_over) == ((), None)


def test_an_implausible_value_is_kept_and_flagged(model: Model):
    result = mapped(model("measurements: {water_temperature_c: t, battery_v: b}\n"), {"t": 3000, "b": 3.6})
    assert [(s.value, s.quality) for s in result.samples] == [(3000, Quality.OUT_OF_RANGE), (3.6, Quality.OK)]


# -- derived values -------------------------------------------------------------------------------------

FILL = (
    "parameters:\n"
    "  h: {unit: m, range: [0, 5], de: H, en: H}\n"
    "  f: {unit: m, range: [0, 5], default: 0, de: F, en: F}\n"
    "measurements:\n"
    "  fill_distance_m: {field: d, unit: cm}\n"
    "  fill_level_pct: {derive: fill_level, from: fill_distance_m, empty: h, full: f}\n"
)


@pytest.mark.parametrize(
    ("distance", "level", "flagged"),
    [
        (200, 0, False),
        (50, 100, False),  # full at 0.5 m
        (125, 50, False),
        (45, 100, False),  # a little above the rim
        (205, 0, False),  # the ground slopes
        (300, -66.66666666666667, True),
    ],
)
def test_fill_level_follows_from_the_mounting(distance: int, level: float, flagged: bool, model: Model):
    result = mapped(model(FILL), {"d": distance}, h=2.0, f=0.5)
    found = {sample.metric: sample for sample in result.samples}["fill_level_pct"]
    assert found.value == pytest.approx(level)
    assert bool(found.quality & Quality.OUT_OF_RANGE) is flagged


def test_a_missing_parameter_leaves_out_only_what_needs_it(model: Model):
    result = mapped(model(FILL), {"d": 125})
    assert values(result) == {"fill_distance_m": 1.25}
    assert result.missing == ("h",)


def test_parameters_that_contradict_each_other_give_no_level(model: Model):
    result = mapped(model(FILL), {"d": 125}, h=1.0, f=2.0)
    assert values(result) == {"fill_distance_m": 1.25}
    assert result.missing == ("h", "f")  # and it is said which


def test_nothing_is_missed_where_nothing_was_measured(model: Model):
    assert mapped(model(FILL), {"x": 1}).missing == ()


def test_what_is_derived_from_an_implausible_value_is_flagged_too(model: Model):
    result = mapped(model(FILL), {"d": 65535}, h=2.0)
    assert [sample.quality for sample in result.samples] == [Quality.OUT_OF_RANGE] * 2


def test_water_level_is_pressure_over_the_gauges_zero(model: Model):
    one = model(
        "parameters: {z: {unit: m, range: [-10, 10], default: 0, de: Z, en: Z}}\n"
        "measurements:\n"
        "  water_pressure_bar: {field: p, unit: mbar}\n"
        "  water_level_m: {derive: hydrostatic, from: water_pressure_bar, zero: z}\n"
    )
    # 100 mbar = 1.0197162 m of water
    assert values(mapped(one, {"p": 100}))["water_level_m"] == pytest.approx(1.0197162)
    assert values(mapped(one, {"p": 100}, z=-0.5))["water_level_m"] == pytest.approx(0.5197162)


def test_water_level_is_how_much_lower_than_the_sensor_the_surface_is(model: Model):
    one = model(
        "parameters: {h: {unit: m, range: [-100, 5000], de: H, en: H}}\n"
        "measurements:\n"
        "  distance_m: {field: d, unit: mm}\n"
        "  water_level_m: {derive: gauge_level, from: distance_m, height: h}\n"
    )
    assert values(mapped(one, {"d": 1500}, h=4.0))["water_level_m"] == 2.5
    assert mapped(one, {"d": 1500}).missing == ("h",)


def test_the_level_above_the_sea_follows_from_any_water_level_of_a_gauge_whose_datum_is_known(model: Model):
    one = model(
        "parameters: {h: {unit: m, range: [-100, 5000], de: H, en: H}}\n"
        "measurements:\n"
        "  distance_m: {field: d, unit: mm}\n"
        "  water_level_m:\n"
        "    - {derive: gauge_level, from: distance_m, height: h}\n"
        "    - {field: second, channel: 1}\n"
        "records:\n"
        "  - {each: log, time: t, measurements: {water_level_m: level}}\n"
    )
    log = [{"t": "2026-03-29T02:00:00Z", "level": 0.5}]
    result = mapped(one, {"d": 1500, "second": 7, "log": log}, h=4.0, gauge_datum_m=100.0)
    found = {
        (s.time.hour, s.channel): (s.value, s.quality)
        for s in result.samples
        if s.metric == "water_level_nhn_m"
    }
    assert found == {(3, 0): (102.5, 0), (3, 1): (107.0, 0), (2, 0): (100.5, Quality.HISTORY)}
    assert result.missing == ()


def test_a_gauge_whose_datum_is_not_known_has_no_such_level_and_misses_nothing(model: Model):
    one = model("measurements: {water_level_m: l}\n")
    result = mapped(one, {"l": 2})
    assert values(result) == {"water_level_m": 2}
    assert result.missing == ()
    assert [(p.name, p.required) for p in one.parameters.values()] == [("gauge_datum_m", False)]


def test_a_sensor_that_measures_the_level_above_the_sea_itself_is_believed(model: Model):
    one = model("measurements: {water_level_m: l, water_level_nhn_m: n}\n")
    assert values(mapped(one, {"l": 2, "n": 50}, gauge_datum_m=100.0)) == {
        "water_level_m": 2,
        "water_level_nhn_m": 50,
    }


def test_what_follows_from_an_implausible_level_is_flagged_too(model: Model):
    one = model("measurements: {water_level_m: l}\n")
    result = mapped(one, {"l": 51}, gauge_datum_m=100.0)
    assert [(s.value, s.quality) for s in result.samples] == [
        (51, Quality.OUT_OF_RANGE),
        (151, Quality.OUT_OF_RANGE),
    ]


PULSES = (
    "parameters:\n"
    "  v: {unit: m3, range: [0, 10], default: 0, de: V, en: V}\n"
    "  s: {unit: m3, range: [0, 1000000], default: 0, de: S, en: S}\n"
    "measurements:\n"
    "  pulse_count: p\n"
    "  water_volume_m3: {derive: pulse_volume, from: pulse_count, volume: v, start: s}\n"
)


def test_a_meter_shows_its_pulses_and_what_it_showed_before(model: Model):
    one = model(PULSES)
    assert values(mapped(one, {"p": 2500}, v=0.01, s=1200.0))["water_volume_m3"] == 1225.0


def test_pulses_of_something_else_are_no_volume_and_nothing_is_missing(model: Model):
    result = mapped(model(PULSES), {"p": 2500})
    assert (values(result), result.missing) == ({"pulse_count": 2500}, ())


# -- times ----------------------------------------------------------------------------------------------

METER = (
    "time: [clock, alarm]\n"
    "measurements: {water_volume_m3: {field: litres, unit: L}}\n"
    "records: [{each: hours, time: at, measurements: {water_volume_m3: {field: litres, unit: L}}}]\n"
)


def test_without_a_time_of_its_own_a_frame_is_measured_when_it_is_received(model: Model):
    (sample,) = mapped(model(METER), {"litres": 1000}).samples
    assert (sample.time, sample.quality) == (NOW, Quality.OK)


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(seconds=20), timedelta(hours=1)])
def test_a_plausible_clock_dates_the_measurement(behind: timedelta, model: Model):
    own = NOW - behind
    (sample,) = mapped(model(METER), {"litres": 1000, "clock": own.isoformat()}).samples
    assert (sample.time, sample.quality) == (own, Quality.OK)


def test_a_clock_that_is_a_little_fast_does_not_measure_in_the_future(model: Model):
    own = int(NOW.timestamp()) + 300
    (sample,) = mapped(model(METER), {"litres": 1000, "alarm": own}).samples
    assert (sample.time, sample.quality) == (NOW, Quality.OK)


@pytest.mark.parametrize(
    "own", ["2025-03-29T03:00:00Z", "2026-03-29T05:00:00Z", 1, 4294967295, "0001-01-01T00:00:00Z"]
)
def test_a_wrong_clock_is_replaced_by_the_time_of_reception_and_flagged(own: Any, model: Model):
    (sample,) = mapped(model(METER), {"litres": 1000, "clock": own}).samples
    assert (sample.time, sample.quality) == (NOW, Quality.TIME_REPLACED)


def test_records_are_history_at_their_own_times(model: Model):
    result = mapped(
        model(METER),
        {"litres": 1000, "clock": "2026-03-29T03:00:00Z", "hours": [{"at": 1774742400, "litres": 990}]},
    )
    # 1774742400 = 2026-03-29 00:00 UTC
    assert [(s.time.hour, s.value, s.quality) for s in result.samples] == [
        (3, 1.0, Quality.OK),
        (0, 0.99, Quality.HISTORY),
    ]


def test_a_clock_in_the_wrong_time_zone_moves_the_records_by_whole_hours(model: Model):
    found = {
        "litres": 1000,
        "clock": "2026-03-29T04:59:48Z",  # two hours ahead, and twelve seconds on the way
        "hours": [{"at": "2026-03-29T04:00:00Z", "litres": 990}],
    }
    current, record = mapped(model(METER), found).samples
    assert current.time == NOW
    assert record.time == datetime(2026, 3, 29, 2, 0, tzinfo=UTC)
    assert record.quality == Quality.HISTORY | Quality.TIME_REPLACED


def test_a_record_that_repeats_the_current_value_is_told_once(model: Model):
    for clock in ("2026-03-29T03:00:00Z", "2026-03-29T05:00:00Z"):
        found = {"litres": 1000, "clock": clock, "hours": [{"at": clock, "litres": 1000}]}
        assert len(mapped(model(METER), found).samples) == 1


@pytest.mark.parametrize(
    "record",
    [
        {"at": "2026-03-29T04:00:00Z", "litres": 1},  # an hour ahead
        {"at": "2001-01-01T00:00:00Z", "litres": 1},  # older than any battery
        {"at": 16, "litres": 1},
        {"at": "yesterday", "litres": 1},
        {"litres": 1},
        7,
        None,
    ],
)
def test_a_record_without_a_believable_time_is_kept_but_not_measured(record: Any, model: Model):
    good = {"at": "2026-03-29T02:00:00Z", "litres": 2}
    result = mapped(model(METER), {"hours": [record, good]})
    assert [sample.value for sample in result.samples] == [0.002]
    assert result.left_over == {"hours": [record, good]}


def test_records_that_are_no_list_are_kept(model: Model):
    result = mapped(model(METER), {"hours": "[1,2]"})
    assert (result.samples, result.left_over) == ((), {"hours": "[1,2]"})


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.datetimes().map(datetime.isoformat),
    )
)
def test_a_time_is_a_time_or_nothing(value: Any):
    time = parse_time(value)
    assert time is None or time.tzinfo is UTC


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["clock", "litres", "hours", "at", "x"]), inner, max_size=5),
    ),
    max_leaves=15,
)


def test_no_object_makes_the_mapping_fail(tmp_path):
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "one.yaml").write_text(HEAD + METER, encoding="utf-8")
    plan = load_catalogue([tmp_path], load_vocabulary()).models["acme/one"].plan

    @given(st.dictionaries(st.sampled_from(["clock", "alarm", "litres", "hours", "x"]), json_values))
    def check(found: dict[str, Any]) -> None:
        for sample in map_object(plan, found, NOW, {}).samples:
            assert math.isfinite(sample.value)
            assert NOW - timedelta(days=3653) <= sample.time <= NOW

    check()
