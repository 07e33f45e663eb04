"""Which models a device might be: the better the evidence, the further in front."""

import pytest

from smartdorf.content import shipped
from smartdorf.decoding.recognise import Recognition
from smartdorf.decoding.registry import load_catalogue
from smartdorf.model import DeviceInfo
from smartdorf.vocabulary import load_vocabulary

CATALOGUE = load_catalogue([shipped("decoders")], load_vocabulary())
MILESIGHT_EUI = "24e124136c012345"


def device(profile: str = "", dev_eui: str = "0000000000000001", **tags: str) -> DeviceInfo:
    return DeviceInfo(dev_eui, device_profile_name=profile, tags=tags)


@pytest.mark.parametrize(
    ("profile", "model"),
    [
        ("Bosch TPS110", "bosch/tps110"),
        ("milesight em400-mud", "milesight/em400-mud"),
        ("EM400 MUD (EU868)", "milesight/em400-mud"),
        ("Axioma Qalcosonic W1", "axioma/qalcosonic-w1"),
        ("DL-PR26", "decentlab/dl-pr26"),
        ("village / LHT65N / 20 min", "dragino/lht65n"),
    ],
)
def test_a_device_is_known_by_its_profiles_name(profile: str, model: str):
    assert CATALOGUE.recognise(device(profile)) == [model]


def test_the_longer_name_is_the_better_one():
    assert CATALOGUE.recognise(device("Elsys ERS CO2 (EU868)"))[:2] == ["elsys/ers-co2", "elsys/ers"]


def test_a_short_name_is_not_found_inside_a_word():
    assert "elsys/ers" not in CATALOGUE.recognise(device("Our sensors"))


def test_a_name_that_another_one_begins_with_is_not_found_in_it():
    assert CATALOGUE.recognise(device("LHT65N in the school")) == ["dragino/lht65n"]
    assert CATALOGUE.recognise(device("LHT65 in the school")) == ["dragino/lht65"]


def test_the_vendors_prefix_alone_leaves_a_choice():
    of_the_vendor = sorted(name for name in CATALOGUE.models if name.startswith("milesight/"))
    assert CATALOGUE.recognise(device(dev_eui=MILESIGHT_EUI)) == of_the_vendor


def test_profile_and_prefix_together_put_one_in_front():
    found = CATALOGUE.recognise(device("EM400-MUD", MILESIGHT_EUI))
    assert found[0] == "milesight/em400-mud"
    assert "milesight/em300-zld" in found[1:]


def test_a_tag_that_names_the_model_decides():
    found = CATALOGUE.recognise(device("EM400-MUD", MILESIGHT_EUI, model="milesight/em300-zld"))
    assert found[0] == "milesight/em300-zld"


def test_nothing_known_is_nothing_suggested():
    assert CATALOGUE.recognise(device("Other sensor")) == []
    assert CATALOGUE.recognise(device()) == []


def test_a_label_with_tr005_names_the_profile():
    recognition = Recognition(profile_ids=("00d10001",))
    assert recognition.score("acme/one", device(profile_id="00D10001")) > 0
    assert recognition.score("acme/one", device(profile_id="00D10002")) == 0


def test_a_tag_of_the_village_can_give_a_model_away():
    recognition = Recognition(tags={"type": ("Füllstand", "level")})
    assert recognition.score("acme/one", device(type="füllstand")) > 0
    assert recognition.score("acme/one", device(type="other")) == 0
