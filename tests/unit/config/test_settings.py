"""Settings: what a person wrote wrong is said with its place, all at once."""

from datetime import date
from pathlib import Path

import pytest

from smartdorf.config.settings import calendar_of, load_settings
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


def test_an_unknown_land_and_a_day_that_is_none_are_told(tmp_path):
    text = GOOD + '[village]\nland = "Bayern"\n'
    assert problems(tmp_path, text) == ['13:1: village.land: unknown Land "Bayern"; did you mean "BY"?']
    text = GOOD + '[village]\nland = "BY"\nlocal_holidays = ["08-08", "8. August"]\n'
    assert problems(tmp_path, text) == [
        '14:1: village.local_holidays.2: "8. August" is no day: write "08-08" for every year, "2027-06-14" for one'
    ]


def test_the_village_has_its_holidays(tmp_path):
    (tmp_path / "ferien.yaml").write_text(
        "{land: BY, source: KMK, school_holidays: [{from: 2031-08-01, to: 2031-09-10}]}"
    )
    text = GOOD + '[village]\nland = "BY"\ncatholic = true\nlocal_holidays = ["08-08"]\n'
    text += '[content]\nschool_holidays = ["ferien.yaml"]\n'
    calendar = calendar_of(load_settings(written(tmp_path, text)))
    assert calendar.problems == ()
    assert calendar.is_holiday(date(2026, 8, 8))
    assert calendar.is_holiday(date(2026, 8, 15))  # Mariä Himmelfahrt
    assert calendar.is_school_holiday(date(2031, 9, 10))


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
        '2:1: database.dsn: expected something like "postgresql://smartdorf@127.0.0.1:5432/smartdorf" '
        '(got "mysql://smartdorf@db.example.org/smartdorf")',
        '6:1: mqtt.1.prot: unknown key; did you mean "port"?',
        '10:12: receivers.bauhof: unknown type "mial"; did you mean "mail"?',
    ]


def test_a_missing_section_is_named(tmp_path):
    assert problems(tmp_path, '[[mqtt]]\nname = "a"\nhost = "h"\nclient_id = "c"\n') == [
        "1:1: database: is missing"
    ]


MQTT = '[[mqtt]]\nname = "a"\nhost = "h"\nclient_id = "c"\n'
DATABASE = '[database]\ndsn = "postgresql://smartdorf@db/smartdorf"\n'


@pytest.mark.parametrize(
    ("written_wrong", "said"),
    [
        (MQTT + 'port = "x"\n', '7:1: mqtt.1.port: expected a whole number (got "x")'),
        (MQTT + "port = 99999\n", "7:1: mqtt.1.port: expected at most 65535 (got 99999)"),
        (MQTT + "session_expiry_days = 0\n", "7:1: mqtt.1.session_expiry_days: expected more than 0 (got 0)"),
        (MQTT + 'tls = "perhaps"\n', '7:1: mqtt.1.tls: expected true or false (got "perhaps")'),
        (MQTT + 'topics = "a/#"\n', '7:1: mqtt.1.topics: expected a list: ["…", "…"] (got "a/#")'),
        (MQTT + "topics = []\n", "7:1: mqtt.1.topics: must not be empty"),
        (
            MQTT + 'topics = ["a/#/up"]\n',
            '7:1: mqtt.1.topics.1: "a/#/up" is no topic filter: + and # stand alone between slashes, '
            "# only at the end",
        ),
        (
            MQTT + 'tls = true\ncert_file = "x"\n',
            "8:1: mqtt.1.cert_file: cert_file and key_file belong together: give both or none",
        ),
        (
            MQTT + 'ca_file = "x"\n',
            "7:1: mqtt.1.ca_file: certificates are given, but tls is off: set tls = true",
        ),
        (MQTT.replace('"h"', '""'), '5:1: mqtt.1.host: must not be empty (got "")'),
        (MQTT.replace('"a"', "7"), "4:1: mqtt.1.name: expected a text in quotes (got 7)"),
        (MQTT.replace("[[mqtt]]", "[mqtt]"), "3:2: mqtt: expected a block [[mqtt]], in two brackets"),
        (
            MQTT + '[receivers.it]\nlanguage = "de"\n',
            "7:12: receivers.it: type is missing; known are log, mail, webhook",
        ),
        (
            MQTT + '[receivers.it]\ntype = "webhook"\nurl = "a.example"\nsecret_file = "x"\n',
            "9:1: receivers.it.url: expected something like "
            '"https://leitstelle.example.org/hooks/smartdorf" (got "a.example")',
        ),
        (
            MQTT + '[receivers.it]\ntype = "mail"\nurl_file = "x"\nlangauge = "de"\n',
            '10:1: receivers.it.langauge: unknown key; did you mean "language"?',
        ),
        (
            MQTT + '[receivers]\nit = "x"\n',
            '8:1: receivers.it: expected a table of its own: [receivers.it] (got "x")',
        ),
        (
            MQTT + '[log]\nlevel = "warn"\n',
            '8:1: log.level: expected debug | info | warning | error; did you mean "warning"? (got "warn")',
        ),
    ],
)
def test_each_mistake_is_told_in_plain_words(tmp_path, written_wrong, said):
    assert problems(tmp_path, DATABASE + written_wrong) == [said]


def test_a_password_in_a_wrong_dsn_is_not_shown(tmp_path):
    said = problems(tmp_path, '[database]\ndsn = "mysql://me:geheim@db/x"\n' + MQTT)
    assert said[0].endswith('(got "mysql://me:…@db/x")')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a = "x\n', "1:7: is not valid TOML: Illegal character '\\n'; is the closing quote missing?"),
        (
            "a = True\n",
            "1:5: is not valid TOML: Invalid value; texts stand in quotes, true and false are written small",
        ),
        ("a = 1\na = 2\n", "2:6: is not valid TOML: Cannot overwrite a value; this key is given twice"),
        ("a = [\n  1,\n", '2:1: is not valid TOML: it ends in the middle; is a closing ] or """ missing?'),
        (
            "[a]\n[b]\n[a]\n",
            "3:3: is not valid TOML: Cannot declare ('a',) twice; this table is given twice",
        ),
        (
            'a = "C:\\s"\n',
            "1:10: is not valid TOML: Unescaped '\\' in a string; write \\\\, or the text in single quotes: 'C:\\…'",
        ),
    ],
)
def test_broken_toml_comes_with_advice(tmp_path, text, said):
    assert problems(tmp_path, text) == [said]


def test_the_environment_reaches_lists_and_connections(tmp_path, monkeypatch):
    monkeypatch.setenv("SMARTDORF_MQTT__1__HOST", "broker.example.org")
    monkeypatch.setenv("SMARTDORF_MQTT__1__TOPICS", "application/7/#, application/8/#")
    monkeypatch.setenv("SMARTDORF_MQTT__1__PASSWORD_FILE", "secrets/mqtt")
    monkeypatch.setenv("SMARTDORF_RECEIVERS__IT__TYPE", "log")
    monkeypatch.setenv("SMARTDORF_PORT", "tcp://10.0.0.1:8086")  # as a cluster sets it: none of ours
    settings = load_settings(written(tmp_path, GOOD))
    [mqtt] = settings.mqtt
    assert (mqtt.name, mqtt.host) == ("utility", "broker.example.org")
    assert mqtt.topics == ("application/7/#", "application/8/#")
    assert mqtt.password_file == tmp_path / "secrets/mqtt"
    assert sorted(settings.receivers) == ["bauhof", "it"]


def test_a_mistake_in_the_environment_is_told_by_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("SMARTDORF_WEB__PORT", "abc")
    monkeypatch.setenv("SMARTDORF_WEB__HSOT", "::")
    monkeypatch.setenv("SMARTDORF_MQTT__3__HOST", "h")
    with pytest.raises(SettingsError) as caught:
        load_settings(written(tmp_path, GOOD))
    assert [str(problem) for problem in caught.value.problems] == [
        "SMARTDORF_MQTT__3__HOST: there is nothing of that name to override",
        'SMARTDORF_WEB__HSOT: unknown key; did you mean "host"?',
        'SMARTDORF_WEB__PORT: expected a whole number (got "abc")',
    ]


def test_two_connections_may_not_share_a_client_id(tmp_path):
    twice = GOOD + '\n[[mqtt]]\nname = "second"\nhost = "h"\nclient_id = "smartdorf"\n'
    assert problems(tmp_path, twice) == [
        '16:1: mqtt.2.client_id: two MQTT connections have the client_id "smartdorf"; each needs its own'
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


def test_a_village_says_which_rules_tell_people(tmp_path):
    text = GOOD + '[rules]\nlive = ["ContainerFull", "WaterLeak"]\nshadow = ["BatteryLow"]\n'
    modes = load_settings(written(tmp_path, text)).rules.modes
    assert modes == {"ContainerFull": "live", "WaterLeak": "live", "BatteryLow": "shadow"}
    assert load_settings(written(tmp_path, GOOD)).rules.modes == {}


def test_no_rule_tells_people_and_is_on_trial(tmp_path):
    found = problems(tmp_path, GOOD + '[rules]\nlive = ["A", "B"]\nshadow = ["B"]\n')
    assert [text.partition(": ")[2] for text in found] == [
        'rules.shadow.1: "B" stands in live and in shadow: it can be only one of them'
    ]
