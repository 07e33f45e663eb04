"""YAML as people write it: what it means (YAML 1.2), and what they are told when it does not fit."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.errors import ContentError
from smartdorf.yaml_source import Node, dump_yaml, parse_yaml, read_yaml


def value_of(written: str) -> Any:
    root = parse_yaml(f"key: {written}", "rules.yaml")
    assert root.source.problems == []
    return root["key"].plain()


def problems_of(root: Node) -> list[str]:
    return [str(problem) for problem in root.source.problems]


def problems_in(text: str) -> list[str]:
    return problems_of(parse_yaml(text, "rules.yaml"))


# -- what a value means -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "22:00",
        "06:00-20:00",
        "190:20:30",  # a number of base 60 in YAML 1.1
        "no",
        "No",
        "NO",
        "yes",
        "on",
        "off",
        "y",
        "n",
        "tRuE",
        "nULL",
        "2026-03-09",
        "2026-03-09T05:41:07Z",
        "24e124136c012345",  # a dev_eui with letters
        "1_000",
        "1_000.5",
        "12_",
        "0b11",
        "0O17",
        "0X1F",
        "0o8",
        "0xg",
        "0x",
        "+0x1f",
        "-0o17",
        "1.2.3",
        "1,5",
        "inf",
        "nan",
        "Infinity",
        "٣",
        "=",
        "<=",
        "fill_level_pct >= full",
        "Straße 3",
    ],
)
def test_what_is_no_number_in_yaml_1_2_is_text(written: str) -> None:
    assert value_of(written) == written


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0", 0),
        ("-0", 0),
        ("+12", 12),
        ("-12", -12),
        ("017", 17),  # fifteen in YAML 1.1
        ("08", 8),
        ("0o17", 15),
        ("0x1f", 31),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e-2", -0.005),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        (".inf", math.inf),
        ("+.Inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_numbers_are_those_of_yaml_1_2(written: str, number: float) -> None:
    value = value_of(written)

    assert value == number
    assert type(value) is type(number)


@pytest.mark.parametrize("written", [".nan", ".NaN", ".NAN"])
def test_nan_is_read_and_refused_where_a_number_is_needed(written: str) -> None:
    root = parse_yaml(f"full: {written}", "rules.yaml")

    assert math.isnan(root["full"].value)
    assert root["full"].number(80.0) == 80.0
    assert problems_of(root) == [f'rules.yaml:1:7: expected a number, got "{written}"']


@pytest.mark.parametrize(
    ("written", "value"),
    [("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False)],
)
def test_true_and_false_are_the_only_truth_values(written: str, value: bool) -> None:
    assert value_of(written) is value


@pytest.mark.parametrize("written", ["", "~", "null", "Null", "NULL", "# a comment"])
def test_nothing_is_nothing(written: str) -> None:
    assert value_of(written) is None


@pytest.mark.parametrize("quoted", ['"12"', "'12'", "|-\n  12", ">-\n  12"])
def test_quoted_numbers_and_blocks_are_text(quoted: str) -> None:
    assert value_of(quoted) == "12"


def test_folded_text_becomes_one_line() -> None:
    assert value_of(">\n  Container voll,\n  bitte leeren.\n") == "Container voll, bitte leeren.\n"


def test_a_file_that_says_yaml_1_1_is_read_as_1_2_all_the_same() -> None:
    root = parse_yaml("%YAML 1.1\n---\non_holidays: no\nat: 22:00\n", "rules.yaml")

    assert root.plain() == {"on_holidays": "no", "at": "22:00"}


def test_keys_are_always_text() -> None:
    assert parse_yaml("1: a\ntrue: b\nno: c\n~: d\n'007': e", "codes.yaml").plain() == {
        "1": "a",
        "true": "b",
        "no": "c",
        "~": "d",
        "007": "e",
    }


def test_an_alias_repeats_what_its_anchor_names() -> None:
    root = parse_yaml("a: &limits {full: 80}\nb: *limits\nc: &limits {full: 90}\nd: *limits", "rules.yaml")

    assert problems_of(root) == []
    assert root.plain() == {"a": {"full": 80}, "b": {"full": 80}, "c": {"full": 90}, "d": {"full": 90}}


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
def test_an_empty_file_is_nothing(text: str) -> None:
    root = parse_yaml(text, "rules.yaml")

    assert (root.value, problems_of(root)) == (None, [])


def test_a_byte_order_mark_and_windows_line_ends_are_no_problem() -> None:
    root = parse_yaml("\ufeffa: 1\r\nb: x\r\n", "rules.yaml")

    assert root.plain() == {"a": 1, "b": "x"}
    assert (root["b"].line, root["b"].column) == (2, 4)


# -- an EUI without quotes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "0004310012345670",  # an octal number in YAML 1.1, and without its zeros in 1.2
        "7276112233445566",
        "00000000000000e1",  # a float
        "true",
    ],
)
def test_text_that_looks_like_something_else_must_be_quoted_and_is_shown_as_written(written: str) -> None:
    root = parse_yaml(f"gateway_id: {written}", "gateways/rathaus.yaml")

    assert root["gateway_id"].text("?") == "?"
    assert problems_of(root) == [
        f'gateways/rathaus.yaml:1:13: expected text, got "{written}"; put it in quotes'
    ]


def test_a_quoted_eui_keeps_its_zeros() -> None:
    root = parse_yaml('gateway_id: "0004310012345670"', "gateways/rathaus.yaml")

    assert root["gateway_id"].text() == "0004310012345670"
    assert problems_of(root) == []


# -- files that are no YAML ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1,\n b: 2", "2:6: is not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n b: 2", "2:3: is not valid YAML: mapping values are not allowed here"),
        ("a: 'x", "1:6: is not valid YAML: found unexpected end of stream"),
        (
            "a:\n\t- b",
            "2:1: is not valid YAML: found character '\\t' that cannot start any token; indent with spaces",
        ),
        ("a: *nope", "1:4: is not valid YAML: found undefined alias 'nope'"),
        (
            "a: 1\n---\nb: 2",
            "2:1: is not valid YAML: expected a single document in the stream, but found another document",
        ),
        ("a: 1\nb: \x07x", "2:4: is not valid YAML: the control character U+0007 is not allowed"),
        ("a: " + "[" * 60 + "]" * 60, "1:53: is not valid YAML: nested more than 50 levels deep"),
    ],
)
def test_broken_yaml_is_one_problem_with_its_place(text: str, problem: str) -> None:
    root = parse_yaml(text, "rules.yaml")
    root.check_keys(["groups"], ["groups"])  # what follows from it is not said again

    assert problems_of(root) == [f"rules.yaml:{problem}"]
    assert root["groups"].plain() is None


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    root = read_yaml(tmp_path / "none.yaml")
    root.check_keys(["groups"], ["groups"])

    assert problems_of(root) == [f"{tmp_path}/none.yaml: cannot be read: No such file or directory"]


def test_a_file_that_is_not_utf_8_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "latin1.yaml"
    path.write_bytes("a: Straße".encode("latin-1"))

    assert problems_of(read_yaml(path)) == [f"{path}: is not UTF-8 (byte 7); save it as UTF-8"]


def test_a_file_is_read_as_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("title: Behälter voll\n", encoding="utf-8")

    assert read_yaml(path)["title"].text() == "Behälter voll"


# -- what we refuse -----------------------------------------------------------------------------------------


def test_a_key_that_stands_twice_is_a_problem_each_time() -> None:
    assert problems_in("a: 1\nb: 2\na: 3\n'a': 4\n") == [
        'rules.yaml:3:1: "a" stands twice (first in line 1)',
        'rules.yaml:4:1: "a" stands twice (first in line 1)',
    ]


def test_the_first_of_two_equal_keys_counts() -> None:
    assert parse_yaml("{full: 80, full: 90}", "rules.yaml").plain() == {"full": 80}


@pytest.mark.parametrize("text", ["? [a, b]\n: 1", "? {a: 1}\n: 1", "'': 1", ": 1"])
def test_a_key_must_be_plain(text: str) -> None:
    assert [problem.partition(": ")[2] for problem in problems_in(text)] == ["expected a plain key"]


@pytest.mark.parametrize(
    ("written", "tag"),
    [("!!str 12", "!!str"), ("!!int '12'", "!!int"), ("!env HOME", "!env"), ("!!set {a}", "!!set")],
)
def test_tags_are_refused(written: str, tag: str) -> None:
    assert problems_in(f"a: {written}") == [
        f"rules.yaml:1:4: tags such as {tag} are not supported; text that looks like a number goes in quotes"
    ]


def test_merge_keys_are_refused_with_advice() -> None:
    assert problems_in("a: &a {x: 1}\nb:\n  <<: *a\n") == [
        'rules.yaml:3:3: merging with "<<" is not supported; write the entries here'
    ]


@pytest.mark.parametrize(("escape", "code"), [(r"\0", "0000"), (r"\ud800", "D800")])
def test_characters_that_nothing_can_store_are_refused(escape: str, code: str) -> None:
    assert problems_in(f'a: "x{escape}"') == [f"rules.yaml:1:4: the character U+{code} cannot be stored"]


def test_what_contains_itself_is_refused() -> None:
    assert problems_in("a: &a [1, *a]") == ["rules.yaml:1:4: this contains itself"]


def test_aliases_of_aliases_do_not_multiply() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]

    assert problems_in("\n".join(lines)) == []


# -- reading ------------------------------------------------------------------------------------------------

SOME_VALUES = "text: abc\nnumber: 1.5\nwhole: 3\nyes: true\nlist: [1]\nmapping: {a: 1}\nnothing:\n"


@pytest.mark.parametrize(
    ("read", "fitting", "expected"),
    [
        (Node.text, {"text"}, "text"),
        (Node.number, {"number", "whole"}, "a number"),
        (Node.integer, {"whole"}, "a whole number"),
        (Node.boolean, {"yes"}, "true or false"),
        (lambda node: list(node.elements()), {"list"}, "a list"),
        (lambda node: list(node.items()), {"mapping"}, "a mapping"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_problem_and_gives_the_default(
    read: Callable[[Node], Any], fitting: set[str], expected: str
) -> None:
    for key in ("text", "number", "whole", "yes", "list", "mapping"):
        root = parse_yaml(SOME_VALUES, "rules.yaml")
        read(root[key])
        if key in fitting:
            assert problems_of(root) == []
        else:
            (problem,) = problems_of(root)
            assert f": expected {expected}, got " in problem


def test_nothing_and_what_is_missing_give_the_default_without_a_problem() -> None:
    root = parse_yaml(SOME_VALUES, "rules.yaml")
    for node in (root["nothing"], root["missing"], root["missing"]["deeper"]):
        assert node.text("t") == "t"
        assert node.number(2.5) == 2.5
        assert math.isnan(node.number())
        assert node.integer(7) == 7
        assert node.boolean(True) is True
        assert node.one_of(["a", "b"], "b") == "b"
        assert list(node.elements()) == list(node.items()) == []
    assert problems_of(root) == []
    assert "text" in root
    assert "missing" not in root
    assert "x" not in root["text"]


def test_a_german_decimal_comma_gets_a_hint() -> None:
    root = parse_yaml("full: 79,5", "rules.yaml")
    root["full"].number()

    assert problems_of(root) == ['rules.yaml:1:7: expected a number, got "79,5"; decimals follow a point']


@pytest.mark.parametrize("written", [".inf", "1e999", "9" * 400])
def test_infinite_is_no_number_to_work_with(written: str) -> None:
    root = parse_yaml(f"full: {written}", "rules.yaml")

    assert root["full"].number(80.0) == 80.0
    (problem,) = problems_of(root)
    assert len(problem) < 120


def test_unknown_and_missing_keys_are_all_noted_with_their_places() -> None:
    root = parse_yaml("name: waste\nrule:\n  - alert: X\n    wen: y\n    zzzzzz: 1\n", "rules.yaml")
    root.check_keys(["name", "rules"], ["name", "rules"])
    for rule in root["rule"].elements():
        rule.check_keys(["alert", "when"], ["alert", "when"])

    assert problems_of(root) == [
        'rules.yaml:2:1: unknown key "rule"; did you mean "rules"?',
        'rules.yaml:1:1: "rules" is missing',
        'rules.yaml:4:5: unknown key "wen"; did you mean "when"?',
        'rules.yaml:5:5: unknown key "zzzzzz"; known are alert, when',
        'rules.yaml:3:5: "when" is missing',
    ]


def test_all_problems_are_raised_at_once_in_the_order_of_the_file() -> None:
    root = parse_yaml("a: x\nb: y\n", "rules.yaml")
    root["b"].number()
    root["a"].number()
    with pytest.raises(ContentError) as caught:
        root.source.raise_problems()

    assert str(caught.value) == (
        'rules.yaml:1:4: expected a number, got "x"\nrules.yaml:2:4: expected a number, got "y"'
    )


def test_without_problems_nothing_is_raised() -> None:
    parse_yaml("a: 1", "rules.yaml").source.raise_problems()


def test_a_word_outside_the_choice_gets_a_suggestion_or_the_choice() -> None:
    root = parse_yaml("a: warnign\nb: purple\nc: critical", "rules.yaml")
    severities = ["info", "warning", "critical"]

    assert [root[key].one_of(severities, "info") for key in "abc"] == ["info", "info", "critical"]
    assert problems_of(root) == [
        'rules.yaml:1:4: unknown "warnign"; did you mean "warning"?',
        'rules.yaml:2:4: unknown "purple"; expected one of info, warning, critical',
    ]


def test_a_problem_can_be_noted_at_a_key() -> None:
    root = parse_yaml("limits:\n  emptied: 90\n", "rules.yaml")
    root["limits"].problem_at("emptied", "is above full")
    root["limits"].problem_at("missing", "is needed")

    assert problems_of(root) == ["rules.yaml:2:3: is above full", "rules.yaml:2:3: is needed"]


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_but_never_fails(text: str) -> None:
    root = parse_yaml(text, "any.yaml")
    root.plain()
    root.check_keys(["a"])
    root["a"].text()
    for problem in root.source.problems:
        assert str(problem).encode()  # no lone surrogates: it can be printed


@given(st.text(alphabet="ab01:-[]{},&*!|>'\"#?%@` \n\t~<.", max_size=40))
def test_any_punctuation_is_read_or_refused_but_never_fails(text: str) -> None:
    parse_yaml(text, "any.yaml").plain()


def test_a_required_key_needs_a_value() -> None:
    root = parse_yaml("de:\nen: Null\nfr: ''\n", "rules.yaml")
    root.check_keys(["de", "en", "fr"], ["de", "en", "fr"])

    assert problems_of(root) == [
        'rules.yaml:1:1: "de" has no value',
        'rules.yaml:2:1: "en" has no value; Null means nothing here, put it in quotes',
    ]


@pytest.mark.parametrize(
    "text",
    [
        "0004310012345670",
        "12e3",
        "no",
        "null",
        "~",
        "2026-05-01T08:00:00Z",
        "a: b",
        "- x",
        "",
        "=1+1",
        "ä\nö",
        "#",
    ],
)
def test_what_is_written_is_read_the_same(text: str):
    assert parse_yaml(dump_yaml({"a": text, "b": [1.5, text]}), "x").plain() == {"a": text, "b": [1.5, text]}
