"""Units are converted when a manifest is read; a unit that is wrong gets advice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.decoding.units import Conversion, UnitError, check_unit, conversion
from smartdorf.vocabulary import load_vocabulary


def convert(value: float, how: Conversion) -> float:
    return value * how.factor / how.divisor + how.offset


@pytest.mark.parametrize(
    ("unit", "target", "value", "result"),
    [
        ("mm", "m", 2116, 2.116),
        ("L", "m3", 103415, 103.415),
        ("mV", "V", 3199, 3.199),
        ("kPa", "bar", 100, 1.0),
        ("mbar", "bar", 1013, 1.013),
        ("[degF]", "Cel", 68, 20.0),
        ("K", "Cel", 273.15, 0.0),
        ("%", "%", 55, 55),
        ("1", "%", 0.5, 50),
        ("m3/h", "L/h", 2, 2000),
    ],
)
def test_units_become_each_other(unit: str, target: str, value: float, result: float):
    assert convert(value, conversion(unit, target)) == pytest.approx(result, rel=1e-12, abs=1e-10)


def test_thousandths_are_exact_because_they_are_divided():
    how = conversion("mm", "m")
    assert [convert(value, how) for value in (57, 1601, 2116)] == [0.057, 1.601, 2.116]


def test_scale_and_offset_come_before_the_unit():
    # a raw count of 0.5 mm from 100 mm on
    how = conversion("mm", "m").scaled(0.5, 100)
    assert convert(10, how) == pytest.approx(0.105)


@given(st.integers(-100000, 100000), st.sampled_from([0.1, 0.01, 0.001, 0.5, 2.0, -0.1]))
def test_a_decimal_scale_gives_what_people_would_write(raw: int, scale: float):
    assert convert(raw, Conversion().scaled(scale, 0)) == pytest.approx(raw * scale, rel=1e-15)
    assert float(f"{convert(raw, Conversion().scaled(scale, 0)):.6f}") == convert(
        raw, Conversion().scaled(scale, 0)
    )


def test_a_misspelt_unit_gets_a_suggestion():
    with pytest.raises(UnitError, match=r'unknown unit "mbr"; did you mean "mbar"\?'):
        conversion("mbr", "bar")


def test_only_units_of_the_same_kind_are_suggested():
    with pytest.raises(UnitError, match=r'unknown unit "mn"; did you mean "mm?"\?'):
        conversion("mn", "m")


@pytest.mark.parametrize("unit", ["m**", "m3/", "(", "?", "m m m +", "1e999999"])
def test_nonsense_is_an_unknown_unit(unit: str):
    with pytest.raises(UnitError):
        conversion(unit, "m")


def test_litres_are_no_pressure():
    with pytest.raises(UnitError, match='"L" cannot become "bar": they measure different things'):
        conversion("L", "bar")


def test_every_unit_of_the_vocabulary_is_known():
    for quantity in load_vocabulary().quantities.values():
        check_unit(quantity.unit)
        conversion(quantity.unit, quantity.unit)
