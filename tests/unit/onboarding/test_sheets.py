"""Lists as vendors, Excel and people write them: what is understood, and what is told of the rest."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from smartdorf.content import shipped
from smartdorf.decoding.registry import Catalogue, load_catalogue
from smartdorf.errors import UsageError
from smartdorf.inventory import DeviceEntry, Installed, Inventory, PlaceEntry
from smartdorf.onboarding.columns import find_columns, read_mapping
from smartdorf.onboarding.device_rows import DeviceRow, read_rows
from smartdorf.onboarding.plan import DevicePlan, plan_devices, slug_of
from smartdorf.onboarding.sample import sample_sheet
from smartdorf.onboarding.sheet import Table, read_tables
from smartdorf.vocabulary import Parameter, load_vocabulary

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
EARLIER = datetime(2026, 11, 20, 8, tzinfo=UTC)
MUD, UDL = "24e124136c012345", "24e124713d000001"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue([shipped("decoders")], load_vocabulary())


@pytest.fixture(scope="module")
def parameters(catalogue: Catalogue) -> dict[str, Parameter]:
    return {name: p for model in catalogue.models.values() for name, p in model.parameters.items()}


class Reader:
    def __init__(self, folder: Path, catalogue: Catalogue, parameters: dict[str, Parameter]) -> None:
        self.folder, self.catalogue, self.parameters = folder, catalogue, parameters

    def table(
        self, content: str | bytes, mapping: str = "", name: str = "liste.csv"
    ) -> tuple[Table, list[DeviceRow], list[str]]:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        [table] = read_tables(path)
        columns, problems = find_columns(table, self.parameters, read_mapping(mapping) if mapping else {})
        assert columns is not None
        rows, more = read_rows(table, columns, self.catalogue, self.parameters)
        return table, rows, [str(problem) for problem in (*problems, *more)]

    def rows(self, content: str | bytes, mapping: str = "", name: str = "liste.csv") -> list[DeviceRow]:
        _table, rows, problems = self.table(content, mapping, name)
        assert problems == []
        return rows

    def problems(self, content: str) -> list[str]:
        return self.table(content)[2]

    def plan(
        self, content: str, current: Inventory, started: dict[str, datetime] | None = None
    ) -> DevicePlan:
        table, rows, problems = self.table(content)
        assert problems == []
        return plan_devices(table, rows, current, self.catalogue, started or {}, NOW)


@pytest.fixture
def reader(tmp_path: Path, catalogue: Catalogue, parameters: dict[str, Parameter]) -> Reader:
    return Reader(tmp_path, catalogue, parameters)


# -- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        f"DevEUI;Modell;Ort\n{MUD};EM400-MUD;Kirche Süd\n".encode(),
        f"\ufeffDevEUI;Modell;Ort\r\n{MUD};EM400-MUD;Kirche Süd\r\n".encode(),
        f"DevEUI;Modell;Ort\n{MUD};EM400-MUD;Kirche Süd\n".encode("cp1252"),
        f"DevEUI\tModell\tOrt\n{MUD}\tEM400-MUD\tKirche Süd\n".encode("utf-16"),
        f'sep=,\n"DevEUI","Modell","Ort"\n"{MUD}","EM400-MUD","Kirche Süd"\n'.encode(),
        f"Lieferschein 4711;;\n;;\nDevEUI;Modell;Ort\n{MUD};EM400-MUD;Kirche Süd\n;;\n".encode(),
    ],
)
def test_files_as_programs_write_them(reader: Reader, content: bytes) -> None:
    [row] = reader.rows(content)
    assert (row.dev_eui, row.model, row.place) == (MUD, "milesight/em400-mud", "Kirche Süd")


def test_a_workbook_is_read_and_numbers_that_were_identifiers_are_refused(reader: Reader) -> None:
    book = Workbook()
    book.active.title = "Lieferung"  # type: ignore[union-attr]
    for row in (
        ["Angebot 12"],
        ["Geräte-EUI", "Artikel", "Breite", "Länge", "mounting_height_m"],
        [MUD.upper(), "EM400-MUD", 49.5, 9.25, 2],
        [1122334455667788.0, "EM310-UDL", None, None, 1.8],
    ):
        book.active.append(row)  # type: ignore[union-attr]
    path = reader.folder / "liste.xlsx"
    book.save(path)
    table, rows, problems = reader.table(path.read_bytes(), name="liste.xlsx")
    assert table.name == "liste.xlsx (Lieferung)"
    [found] = rows
    assert (found.latitude, found.longitude, found.parameters) == (49.5, 9.25, {"mounting_height_m": 2.0})
    assert problems == [
        "liste.xlsx (Lieferung):4:1: 1.12233E+15 is a number that Excel has made of it, digits are lost: format the "
        "column as text and enter it anew"
    ]


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        (
            "liste.pdf",
            b"%PDF",
            "expected a .csv or .xlsx file; save it as one of these (Excel: File, Save as)",
        ),
        ("liste.csv", b"PK\x03\x04", "is an Excel file with another ending: call it .xlsx"),
        ("liste.csv", b'DevEUI;Ort\n1;"' + 200_000 * b"x", "liste.csv, line 2: no table"),
        ("liste.xlsx", b"no workbook", "is no Excel workbook, or protected by a password"),
    ],
)
def test_other_files_are_refused_with_advice(tmp_path: Path, name: str, content: bytes, advice: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=advice.replace("(", r"\(").replace(")", r"\)")):
        read_tables(tmp_path / name)


# -- columns --------------------------------------------------------------------------------------------------------


def test_headers_of_vendors_and_of_people_are_understood_and_keys_are_not_read(reader: Reader) -> None:
    path = reader.folder / "liste.csv"
    key = "5572404c696e6b4c6f52613230313823"
    path.write_text(f"SN,Device EUI,App Key,Product,Karton\n1,{MUD},{key},EM400-MUD,7\n")
    [table] = read_tables(path)
    columns, problems = find_columns(table, reader.parameters, {})
    assert columns is not None
    assert problems == []
    assert (columns.secret, columns.other) == (["App Key"], ["Karton"])
    [row] = read_rows(table, columns, reader.catalogue, reader.parameters)[0]
    assert key not in repr(row)


def test_what_a_column_means_can_be_said(reader: Reader) -> None:
    [row] = reader.rows(f"Nr;EUI alt;Sensor\n1;{MUD};EM400-MUD\n", "dev_eui=EUI alt, model=Sensor")
    assert (row.dev_eui, row.model) == (MUD, "milesight/em400-mud")
    with pytest.raises(UsageError, match='no field "modell"; did you mean "model"'):
        read_mapping("modell=Sensor")
    with pytest.raises(UsageError, match=r"expected e\.g\. --map dev_eui=EUI,model=Artikel"):
        read_mapping("Sensor")


def test_two_columns_of_the_same_meaning_and_a_mapping_to_none_are_told(reader: Reader) -> None:
    path = reader.folder / "liste.csv"
    path.write_text(f"DevEUI;Geräte-EUI;Typ\n{MUD};{MUD};EM400-MUD\n")
    [table] = read_tables(path)
    _columns, problems = find_columns(table, reader.parameters, read_mapping("model=Tip"))
    assert [str(problem) for problem in problems] == [
        'liste.csv:1:2: a second column that means "dev_eui"; say which counts: --map dev_eui=…',
        'liste.csv:1:1: --map model=…: there is no such column; did you mean "typ"?',
    ]


# -- rows -----------------------------------------------------------------------------------------------------------


def test_all_mistakes_of_all_rows_are_told_at_once(reader: Reader) -> None:
    found = reader.problems(
        "DevEUI;Modell;Breite;Länge;mounting_height_m\n"
        f"{MUD};EM400-MUT;49,1;9,1;1,8\n"
        ";EM400-MUD;;;\n"
        f"{UDL};EM310-UDL;9,1;49,1;180\n"
        f"{UDL};EM310-UDL;95;x;\n"
        "0000000000000001;EM310-UDL;49,1;;\n"
    )
    assert found == [
        'liste.csv:2:2: unknown model "EM400-MUT"; did you mean "em400-mud"?',
        "liste.csv:3:1: the DevEUI is missing",
        "liste.csv:4:3: latitude and longitude are swapped: that is not in Germany, 49.1, 9.1 is",
        'liste.csv:4:5: mounting_height_m: "180" cannot be, expected 0.1 to 30 m',
        f"liste.csv:5:1: {UDL} stands in row 4 already",
        'liste.csv:5:3: "95": expected degrees such as 49.1234',
        'liste.csv:5:4: "x": expected degrees such as 49.1234',
        "liste.csv:6:1: this is an example of `--sample`: write your own devices instead",
        "liste.csv:6:3: latitude and longitude belong together: one of them is missing",
    ]


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_sample_is_understood_and_only_its_examples_are_refused(reader: Reader, language: str) -> None:
    found = reader.problems(sample_sheet(language))
    assert found == [
        f"liste.csv:{row}:1: this is an example of `--sample`: write your own devices instead"
        for row in (2, 3)
    ]


# -- the plan -------------------------------------------------------------------------------------------------------

EMPTY = Inventory(tenants={"village": "Village"})
LIST = (
    "DevEUI;Modell;Ort;Ortsart;tag:fraction;mounting_height_m\n"
    f"{MUD};EM400-MUD;Glas Süd;container;glass;1,8\n"
    f"{UDL};EM310-UDL;;;;\n"
)


def test_devices_and_their_places_are_new_and_the_second_time_nothing_is(reader: Reader) -> None:
    plan = reader.plan(LIST, EMPTY, {MUD: EARLIER})
    assert plan.problems == []
    assert {(change.kind, change.key): change.after for change in plan.changes} == {
        ("place", "glas-sued"): PlaceEntry(
            "Glas Süd", "container", tags={"fraction": "glass"}, parameters={"mounting_height_m": 1.8}
        ),
        ("device", MUD): DeviceEntry(
            "milesight/em400-mud", installed=(Installed("glas-sued", None, EARLIER, None),)
        ),
        ("device", UDL): DeviceEntry("milesight/em310-udl"),
    }
    assert plan.needs == {("milesight/em310-udl", "mounting_height_m"): [3]}
    known = Inventory(
        EMPTY.tenants,
        {change.key: change.after for change in plan.changes if change.kind == "place"},
        {change.key: change.after for change in plan.changes if change.kind == "device"},
    )
    assert reader.plan(LIST, known).changes == []


def test_the_place_may_come_later_and_nothing_moves_by_itself(reader: Reader) -> None:
    places = {"hof": PlaceEntry("Hof", "container"), "markt": PlaceEntry("Markt", "container")}
    there = DeviceEntry("milesight/em400-mud", "Glas 1", installed=(Installed("hof", None, EARLIER, None),))
    known = Inventory(EMPTY.tenants, places, {MUD: there, UDL: DeviceEntry("milesight/em310-udl")})
    plan = reader.plan(f"DevEUI;Ort\n{MUD};Hof\n{UDL};Markt\n", known)
    [change] = plan.changes
    assert change.after.installed == (Installed("markt", None, NOW, None),)
    assert [str(one) for one in reader.plan(f"DevEUI;Ort\n{MUD};Markt\n", known).problems] == [
        f'liste.csv:2:2: it is at "hof" since 2026-11-20; if it was moved: devices add {MUD} --place markt'
    ]


def test_what_the_plan_cannot_know_is_asked(reader: Reader) -> None:
    places = {"hof": PlaceEntry("Hof", "container")}
    known = Inventory(EMPTY.tenants, places)
    plan = reader.plan(
        "DevEUI;Modell;Ort;Ortsart;Gemeinde\n"
        f"{MUD};EM400-MUD;Hoff;;\n"
        f"{UDL};EM310-UDL;Hof;meter;\n"
        "24e124713d000002;EM310-UDL;Neu;container;vilage\n"
        "24e124713d000003;;;;\n",
        known,
    )
    [first, second, third, fourth] = [str(one) for one in plan.problems]
    assert first == (
        'liste.csv:2:3: there is no place "Hoff" yet: write what it is (container, parking_bay …) into a column '
        'Ortsart; did you mean "hof"?'
    )
    assert second == 'liste.csv:3:4: "hof" is a container, not a meter'
    assert third == 'liste.csv:4:5: unknown tenant "vilage"; did you mean "village"?'
    assert fourth.startswith("liste.csv:5:1: which model is it? Write it into a column Modell")


def test_short_names_of_places() -> None:
    assert slug_of("Glas Kirchplatz (Süd)") == "glas-kirchplatz-sued"
    assert slug_of("Straße 5") == "strasse-5"


@given(
    content=st.binary(max_size=400), header=st.booleans(), name=st.sampled_from(["liste.csv", "liste.xlsx"])
)
def test_whatever_a_file_holds_it_is_a_table_or_refused_with_words(
    reader_of_all: Reader, content: bytes, name: str, *, header: bool
) -> None:
    path = reader_of_all.folder / name
    path.write_bytes((b"DevEUI;Modell;Breite;mounting_height_m\n" if header else b"") + content)
    tables: list[Table] = []
    with suppress(UsageError):
        tables = read_tables(path)
    for table in tables:
        columns, _problems = find_columns(table, reader_of_all.parameters, {})
        if columns is not None:
            read_rows(table, columns, reader_of_all.catalogue, reader_of_all.parameters)


@pytest.fixture(scope="module")
def reader_of_all(
    tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue, parameters: dict[str, Parameter]
) -> Reader:
    return Reader(tmp_path_factory.mktemp("any"), catalogue, parameters)
