"""The village: who is where, the same for the same seed, and large if asked."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from smartdorf.simulate import Village
from smartdorf.simulate.village import LHT65N, MODELS

START = datetime(2026, 5, 4, tzinfo=UTC)


def test_default_village_has_sixty_devices_of_six_models():
    village = Village.build(1, start=START)
    assert Counter(device.model for device in village.devices) == {
        "bosch/tps110": 20,
        "milesight/em400-mud": 12,
        "decentlab/dl-pr26": 4,
        "axioma/qalcosonic-w1": 8,
        "dragino/lht65n": 10,
        "milesight/em300-zld": 6,
    }


def test_same_seed_gives_the_same_village_and_another_seed_another():
    assert Village.build(7, start=START) == Village.build(7, start=START)
    assert Village.build(7, start=START).devices != Village.build(8, start=START).devices


@pytest.mark.parametrize("devices", [1, 6, 61, 3000])
def test_village_has_as_many_devices_as_asked_for_and_no_two_alike(devices):
    village = Village.build(1, devices=devices, start=START)
    assert len({device.dev_eui for device in village.devices}) == devices
    assert len({place.slug for place in village.places}) == devices
    assert all(len(device.dev_eui) == 16 for device in village.devices)


def test_six_devices_are_one_of_each_model():
    assert {device.model for device in Village.build(1, devices=6, start=START).devices} == set(MODELS)


def test_village_of_one_model_has_no_other():
    village = Village.build(1, devices=50, start=START, models=[LHT65N])
    assert {device.model for device in village.devices} == {LHT65N}


def test_each_domain_is_an_application_of_its_own():
    village = Village.build(1, start=START)
    applications = {device.application for device in village.devices}
    assert {name for _, name in applications} == {"parken", "abfall", "wasser", "umwelt", "gebaeude"}
    assert len({identifier for identifier, _ in applications}) == 5


def test_gateway_ids_are_sixteen_hex_digits():
    gateways = Village.build(1, start=START).gateways
    assert len({gateway.gateway_id for gateway in gateways}) == 4
    assert all(len(bytes.fromhex(gateway.gateway_id)) == 8 for gateway in gateways)


def test_inventory_says_what_onboarding_needs():
    village = Village.build(1, start=START)
    inventory = village.inventory()
    assert len(inventory["gateways"]) == 4
    container = next(row for row in inventory["devices"] if row["model"] == "milesight/em400-mud")
    assert container["parameters"] == {"mounting_height_m": 1.6}
    assert container["place"]["place_type"] == "container"
    assert container["place"]["tags"] == {"fraction": "glass"}
    assert container["place"]["parameters"] == {"full": 80, "overfull": 95}
