"""The dictionary of quantities: complete, consistent, and strict about what is written into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smartdorf.errors import ContentError, NotFoundError
from smartdorf.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()

HEAD = "classes:\n  privacy: {public: x}\n  retention: {short: x}\n"
GOOD = "{unit: m, kind: gauge, range: [0, 1], de: D, en: E, privacy: public, retention: short}"


@pytest.mark.parametrize("name", sorted(VOCABULARY.quantities))
def test_every_quantity_is_complete(name: str):
    quantity = VOCABULARY[name]
    assert quantity.label["de"]
    assert quantity.label["en"]
    assert quantity.low < quantity.high
    if quantity.kind == "state":
        assert set(quantity.codes) == set(range(int(quantity.low), int(quantity.high) + 1))
        assert all(names["de"] and names["en"] for names in quantity.codes.values())
    else:
        assert quantity.unit_label or quantity.unit == "1"


@pytest.mark.parametrize(
    ("ending", "unit"),
    [("_pct", "%"), ("_m", "m"), ("_m3", "m3"), ("_c", "Cel"), ("_v", "V"), ("_bar", "bar"), ("_lx", "lx")],
)
def test_a_name_ends_in_its_unit(ending: str, unit: str):
    for name, quantity in VOCABULARY.quantities.items():
        if name.endswith(ending) or quantity.unit == unit:
            assert (name.endswith(ending), quantity.unit) == (True, unit)


def test_an_unknown_quantity_gets_a_suggestion():
    with pytest.raises(NotFoundError, match=r'unknown quantity "battry_v"; did you mean "battery_v"\?'):
        VOCABULARY["battry_v"]
    assert "battry_v" not in VOCABULARY


def test_values_outside_the_range_are_implausible():
    quantity = VOCABULARY["air_humidity_pct"]
    assert quantity.plausible(0)
    assert quantity.plausible(100)
    assert not quantity.plausible(100.1)


@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        (GOOD.replace("unit: m, ", ""), ':5:6: "unit" is missing'),
        (GOOD.replace("gauge", "guage"), ':5:22: unknown "guage"; did you mean "gauge"?'),
        (GOOD.replace("[0, 1]", "[1, 0]"), ":5:36: expected a range: [lowest, highest]"),
        (GOOD.replace("public", "secret"), ':5:67: unknown "secret"; expected one of public'),
        (
            GOOD.replace("}", ", codes: {a: {de: x, en: x}}}"),
            ":5:101: an enumeration's code is a whole number",
        ),
        (GOOD.replace("}", ", colour: red}"), ':5:93: unknown key "colour"'),
    ],
)
def test_a_mistake_in_the_vocabulary_says_where(quantity: str, message: str, tmp_path: Path):
    file = tmp_path / "vocabulary.yaml"
    file.write_text(f"{HEAD}quantities:\n  q: {quantity}\n", encoding="utf-8")
    with pytest.raises(ContentError) as caught:
        load_vocabulary(file)
    assert message in str(caught.value)


PARAMETERS = (
    "parameters:\n  p: {unit: m, range: [0, 9], de: P, en: P}\n  c: {unit: cm, range: [0, 9], de: C, en: C}\n"
)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ("[q]", ":9:98: expected a quantity and a parameter"),
        ("[r, p]", ':9:98: unknown name "r"'),
        ("[q, pp]", ':9:98: unknown name "pp"; did you mean "p"?'),
        ("[q, c]", ":9:98: c is in cm, expected m"),
    ],
)
def test_a_sum_is_one_of_a_quantity_and_a_parameter_of_the_same_unit(
    terms: str, message: str, tmp_path: Path
):
    file = tmp_path / "vocabulary.yaml"
    further = GOOD.replace("}", f", sum: {terms}}}")
    file.write_text(f"{HEAD}{PARAMETERS}quantities:\n  q: {GOOD}\n  s: {further}\n", encoding="utf-8")
    with pytest.raises(ContentError) as caught:
        load_vocabulary(file)
    assert message in str(caught.value)


def test_the_level_above_the_sea_is_the_water_level_plus_the_gauges_datum():
    quantity = VOCABULARY["water_level_nhn_m"]
    assert quantity.sum == ("water_level_m", "gauge_datum_m")
    level = VOCABULARY["water_level_m"]
    assert (quantity.privacy, quantity.retention) == (level.privacy, level.retention)
    assert not VOCABULARY.parameters["gauge_datum_m"].required
