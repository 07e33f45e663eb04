"""deploy/compose.yaml and the files that it mounts: valid, and every name in one is that of the other."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import compose_spec
import pytest
from ruamel.yaml import YAML

from smartdorf import setup
from smartdorf.config.settings import load_settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
ANSWERS = setup.Answers("mosquitto", 1883, False)


def config(name: str) -> str:
    return (DEPLOY / name).read_text()


# -- compose --------------------------------------------------------------------------------------------------


def test_the_compose_file_is_valid():
    # as docker compose reads it without an .env: variables are replaced, then merge keys
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", TEXT)
    parsed = compose_spec.PyCompose.from_json(json.dumps(YAML(typ="safe").load(text)))
    assert set(parsed.services) == set(SERVICES)
    with pytest.raises(ValueError, match="imge"):  # the check can fail
        compose_spec.PyCompose.from_yaml("services: {a: {imge: x}}")


def test_every_name_in_it_is_defined_and_used():
    def named(key: str) -> set[str]:
        return {name for service in SERVICES.values() for name in service.get(key, [])}

    assert named("secrets") == set(COMPOSE["secrets"])
    assert named("networks") == set(COMPOSE["networks"])
    assert {name for service in SERVICES.values() for name in service.get("depends_on", {})} <= set(SERVICES)
    volumes = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert {v.partition(":")[0] for v in volumes if v[0] not in "./$"} == set(COMPOSE["volumes"])
    for volume in volumes:
        if volume.startswith("./") and not volume.startswith("./smartdorf.toml"):
            assert (DEPLOY / volume.partition(":")[0]).exists(), volume


def test_the_secrets_that_are_mounted_are_the_ones_that_init_makes(tmp_path: Path):
    setup.write(setup.container_files(tmp_path, ANSWERS), None)
    made = {path.name for path in (tmp_path / "secrets").iterdir()}
    assert made == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    for name, service in SERVICES.items():
        for secret in set(re.findall(r"/run/secrets/(\w+)", str(service))):
            assert secret in service["secrets"], name


def test_nothing_but_the_proxy_and_the_gateways_door_is_open_to_the_world():
    open_ports = {
        (name, port) for name, service in SERVICES.items() for port in service.get("ports", [])
        if not port.startswith("127.0.0.1:")
    }  # fmt: skip
    assert open_ports == {("proxy", "443:8443"), ("gateway-bridge", "1700:1700/udp")}
    # whoever breaks into the proxy meets Grafana and nobody else
    assert [name for name, service in SERVICES.items() if "public" in service["networks"]] == [
        "grafana",
        "proxy",
    ]
    assert SERVICES["proxy"]["networks"] == ["public"]


def test_a_published_port_needs_a_network_that_is_not_internal():
    for name, service in SERVICES.items():
        if service.get("ports"):
            assert any(not COMPOSE["networks"][network].get("internal") for network in service["networks"]), (
                name
            )


def test_every_service_is_bounded_watched_and_pinned():
    for name, service in SERVICES.items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert re.search(r":\d+\.\d+", service["image"]), name
        assert "no-new-privileges:true" in service["security_opt"], name
        if name not in ("migrate", "gateway-bridge"):  # one ends; the other has no shell's worth of a check
            assert service["healthcheck"]["test"], name


def test_chirpstacks_parts_can_be_left_out():
    optional = {name for name, service in SERVICES.items() if service.get("profiles") == ["chirpstack"]}
    assert optional == {"chirpstack", "gateway-bridge", "redis"}
    for name in SERVICES.keys() - optional:
        assert not optional & set(SERVICES[name].get("depends_on", ())), name


def test_hosts_and_users_in_the_settings_are_those_of_the_services(tmp_path: Path):
    chirpstack = tomllib.loads(config("chirpstack/chirpstack.toml"))
    region = tomllib.loads(config("chirpstack/region_eu868.toml"))["regions"][0]
    bridge = tomllib.loads(config("gateway-bridge/chirpstack-gateway-bridge.toml"))
    acl = config("mosquitto/acl")
    text = TEXT + config("chirpstack/chirpstack.toml") + config("chirpstack/region_eu868.toml")
    hosts = re.findall(r"(?:tcp|redis|http)://([a-z-]+)[:/]", text + config("nginx/nginx.conf"))
    assert set(hosts) <= set(SERVICES)
    assert "@timescaledb/chirpstack" in chirpstack["postgresql"]["dsn"]
    # what keeps messages from getting lost
    assert chirpstack["integration"]["mqtt"]["qos"] == 1
    assert region["gateway"]["backend"]["mqtt"]["qos"] == 1
    assert bridge["integration"]["mqtt"]["auth"]["generic"]["qos"] == 1
    assert chirpstack["network"]["enabled_regions"] == [region["id"]] == ["eu868"]
    # the secret is one, and stands in no file here
    assert chirpstack["api"]["secret"] == "$API_SECRET"
    generic = bridge["integration"]["mqtt"]["auth"]["generic"]
    users = {chirpstack["integration"]["mqtt"]["username"], generic["username"]}
    assert (
        users | {"smartdorf"} == set(setup.BROKER_USERS) == set(re.findall(r"^user (\w+)", acl, re.MULTILINE))
    )
    # $NAMES are replaced from the environment, and none is the beginning of another
    settings_text = config("chirpstack/chirpstack.toml") + config("chirpstack/region_eu868.toml")
    names = set(re.findall(r"\$([A-Z_]+)", settings_text))
    assert names == set(re.findall(r"\b([A-Z_]+)=\$\$\(cat", SERVICES["chirpstack"]["entrypoint"][2]))
    assert not [(a, b) for a in names for b in names if a != b and b.startswith(a)]
    # and smartdorf's own
    setup.write(setup.container_files(tmp_path, ANSWERS), None)
    settings = load_settings(tmp_path / "smartdorf.toml")
    assert settings.mqtt[0].host == "mosquitto"
    assert settings.database.dsn.partition("@")[2] == "timescaledb:5432/smartdorf"
    assert str(settings.mqtt[0].password_file) == "/run/secrets/mqtt"


def test_the_box_without_containers_gets_settings_that_load(tmp_path: Path):
    made, kept = setup.write(
        setup.host_files(tmp_path, setup.Answers("broker.stadtwerke.example", 8883, True)), None
    )
    assert (len(made), kept) == (3, [])
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o600}
    settings = load_settings(tmp_path / "smartdorf.toml")
    assert (settings.mqtt[0].tls, settings.mqtt[0].port) == (True, 8883)
    assert len((tmp_path / "secrets" / "mqtt").read_text()) > 40
    # twice changes nothing
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert setup.write(setup.host_files(tmp_path, ANSWERS), None)[0] == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    # what was lost is made anew, and nothing else
    (tmp_path / "secrets" / "mqtt").unlink()
    assert setup.write(setup.host_files(tmp_path, ANSWERS), None)[0] == [tmp_path / "secrets" / "mqtt"]
