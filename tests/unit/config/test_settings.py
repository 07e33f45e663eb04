"""Settings: what a person wrote wrong is said with its place, all at once."""

from pathlib import Path

import pytest

from smartdorf.config.settings import load_settings
from smartdorf.config.toml_source import find_key
from smartdorf.errors import SettingsError

GOOD = """\
[database]
dsn = "postgresql://smartdorf@db.example.org/smartdorf"

[[mqtt]]
name = "utility"
host = "mqtt.example.org"
client_id = "smartdorf"

[receivers.bauhof]
type = "mail"
url_file = "secrets/bauhof"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "smartdorf.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(written(folder, text))
    return [f"{p.line}:{p.column}: {p.message}" for p in caught.value.problems]


def test_what_is_left_out_has_its_default(tmp_path):
    settings = load_settings(written(tmp_path, GOOD))
    assert settings.database.profile == "timescale"
    assert settings.mqtt[0].port == 1883
    assert settings.mqtt[0].topics == ("application/+/device/+/event/+",)
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8086)


def test_paths_are_relative_to_the_file(tmp_path):
    settings = load_settings(written(tmp_path, GOOD))
    assert settings.receivers["bauhof"].url_file == tmp_path / "secrets/bauhof"


def test_the_environment_overrides_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SMARTDORF_DATABASE__PROFILE", "plain")
    monkeypatch.setenv("SMARTDORF_WEB__PORT", "9000")
    settings = load_settings(written(tmp_path, GOOD))
    assert settings.database.profile == "plain"
    assert settings.database.dsn == "postgresql://smartdorf@db.example.org/smartdorf"
    assert settings.web.port == 9000


def test_raw_values_are_kept_in_the_order_of_their_classes(tmp_path):
    found = problems(tmp_path, GOOD + "[retention]\nshort_days = 500\n")
    assert found == ["12:2: retention: expected short_days <= standard_days <= long_days"]
    assert problems(tmp_path, GOOD + "[retention]\nshort_days = 3\n")[0].startswith(
        "13:1: retention.short_days: "
    )


def test_late_is_a_week_less_than_what_is_kept_shortest(tmp_path):
    settings = load_settings(written(tmp_path, GOOD + "[retention]\nshort_days = 90\n"))
    assert settings.retention.late.days == 83


def test_the_password_comes_from_its_file(tmp_path):
    (tmp_path / "password").write_text("p@ss/word\n")
    text = GOOD.replace('smartdorf"\n\n[[mqtt', 'smartdorf"\npassword_file = "password"\n\n[[mqtt')
    settings = load_settings(written(tmp_path, text))
    assert settings.database.full_dsn == "postgresql://smartdorf:p%40ss%2Fword@db.example.org/smartdorf"


def test_every_mistake_is_reported_with_its_line(tmp_path):
    text = GOOD.replace('name = "utility"', 'name = "utility"\nprot = 1884').replace('"mail"', '"mial"')
    text = text.replace("postgresql://", "mysql://")
    assert problems(tmp_path, text) == [
        "2:1: database.dsn: String should match pattern '^postgres(ql)?://' "
        "(got 'mysql://smartdorf@db.example.org/smartdorf')",
        '6:1: mqtt.1.prot: unknown key; did you mean "port"?',
        '10:12: receivers.bauhof: unknown type "mial"; did you mean "mail"?',
    ]


def test_a_missing_section_is_named(tmp_path):
    assert problems(tmp_path, '[[mqtt]]\nname = "a"\nhost = "h"\nclient_id = "c"\n') == [
        "1:1: database: is missing"
    ]


def test_two_connections_may_not_share_a_client_id(tmp_path):
    twice = GOOD + '\n[[mqtt]]\nname = "second"\nhost = "h"\nclient_id = "smartdorf"\n'
    assert problems(tmp_path, twice) == [
        '1:1: two MQTT connections have the client_id "smartdorf"; each needs its own'
    ]


def test_broken_toml_is_reported_where_it_breaks(tmp_path):
    (found,) = problems(tmp_path, '[database]\ndsn = "postgresql://x\n')
    assert found.startswith("2:")
    assert "is not valid TOML" in found


def test_without_any_file_it_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"looked for .*smartdorf.toml, /etc/smartdorf/smartdorf.toml"):
        load_settings()


def test_the_example_file_is_valid():
    settings = load_settings(Path(__file__).parents[3] / "deploy" / "smartdorf.example.toml")
    assert set(settings.receivers) == {"bauhof", "wasserwerk", "ordnungsamt", "it"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (["database", "dsn"], (2, 1)),
        (["mqtt", 0, "host"], (6, 1)),
        (["mqtt", 1, "host"], (4, 3)),  # there is no second one: the place of the list
        (["receivers", "bauhof", "type"], (10, 1)),
    ],
)
def test_a_key_is_found_by_its_path(path, expected):
    assert find_key(GOOD, path) == expected


def test_a_key_behind_a_multi_line_value_is_found():
    text = 'topics = [\n  "a",\n  "b",\n]\nport = "x"\n'
    assert find_key(text, ["port"]) == (5, 1)
    assert find_key(text, ["topics"]) == (1, 1)
