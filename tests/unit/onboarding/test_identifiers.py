"""DevEUIs out of spreadsheets and off labels: what is put right, what is refused, and with which words."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.onboarding.identifiers import WrongIdentifierError, read_dev_eui

OUIS = {"24e124", "0016c0", "70b3d5"}
EUI = "24e124136c012345"


@pytest.mark.parametrize(
    "written",
    [
        EUI,
        "24E124136C012345",
        " 24:E1:24:13:6C:01:23:45 ",
        "24-e1-24-13-6c-01-23-45",
        "0x24E124136C012345",
        '="24E124136C012345"',
        "'24e124136c012345",
        "24E1 2413 6C01 2345",
        "24\N{CYRILLIC CAPITAL LETTER IE}124136\N{CYRILLIC CAPITAL LETTER ES}012345",
        "２４Ｅ１２４１３６Ｃ０１２３４５",
        "24e124136c012345\N{NO-BREAK SPACE}",
    ],
)
def test_what_is_certain_is_put_right(written: str) -> None:
    assert read_dev_eui(written, OUIS) == EUI


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        (
            "1,12233E+15",
            "1,12233E+15 is a number that Excel has made of it, digits are lost: format the column as text and enter "
            "it anew",
        ),
        (
            "24E124136CO12345",
            '"24E124136CO12345" has the letter o, a DevEUI has 0-9 and a-f only: 24e124136c012345? Look at the label',
        ),
        ("24e124136c01234", "15 hex digits; a DevEUI has 16"),
        (
            "16000000012345",
            "14 hex digits; a DevEUI has 16: Excel drops zeros in front, 0016000000012345 is probably meant",
        ),
        (
            "5572404c696e6b4c6f52613230313823",
            "32 hex digits; a DevEUI has 16: this is rather a key, is it in the wrong column?",
        ),
        ("0000000000000000", "0000000000000000 stands for no device"),
        (
            "4523016c1324e124",
            "its bytes stand the wrong way round (no vendor begins so): 24e124136c012345 is probably meant",
        ),
        ("Rathaus", '"Rathaus" is no DevEUI: expected 16 hex digits such as 24e124136c012345'),
    ],
)
def test_what_could_be_one_thing_or_another_is_refused(written: str, advice: str) -> None:
    ouis = {*OUIS, "001600"}
    with pytest.raises(WrongIdentifierError) as refused:
        read_dev_eui(written, ouis)
    assert str(refused.value) == advice


@given(st.text(max_size=40))
def test_nothing_else_is_ever_made_of_it(written: str) -> None:
    with suppress(WrongIdentifierError):
        found = read_dev_eui(written, OUIS)
        assert len(found) == 16
        assert int(found, 16)
