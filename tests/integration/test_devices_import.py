"""`smartdorf devices import`: from a vendor's list to devices that are decoded, as often as one likes."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.integration.test_cli import Shell

MUD, UDL = "24e124136c012345", "24e124713d000001"
KEY = "5572404c696e6b4c6f52613230313823"
LIST = (
    "DevEUI;AppKey;Modell;Ort;Ortsart;tag:fraction;mounting_height_m;Karton\n"
    f"{MUD.upper()};{KEY};EM400-MUD;Glas Süd;container;glass;1,8;1\n"
    f"{UDL};{KEY};EM310-UDL;;;;;1\n"
)


@pytest.fixture
def smartdorf(tmp_path: Path, plain_db: str) -> Shell:
    return Shell(tmp_path, plain_db)


def test_a_list_is_tried_imported_and_imported_again(smartdorf: Shell) -> None:
    file = smartdorf.folder / "liste.csv"
    file.write_bytes(LIST.encode("cp1252"))
    tried = smartdorf("devices", "import", str(file), "--dry-run", code=1)
    assert "+ place glas-sued (container)" in tried
    assert f"+ {MUD} milesight/em400-mud → glas-sued" in tried
    assert f"+ {UDL} milesight/em310-udl → at no place" in tried
    assert "devices: 2 would be new, 0 changed, 0 as they are" in tried
    assert smartdorf.json("devices", "list") == []
    done = smartdorf("devices", "import", str(file))
    assert "devices: 2 new, 0 changed, 0 as they were" in done
    assert "AppKey: not read. Keys belong into ChirpStack; smartdorf needs none and stores none." in done
    assert "Karton: not understood and left out; --map says what a column means." in done
    assert "milesight/em310-udl needs mounting_height_m; it is missing in row 3" in done
    again = smartdorf.json("devices", "import", str(file))
    assert isinstance(again, dict)
    assert (again["changes"], again["unchanged"], len(again["notes"])) == ([], 2, 3)
    found = {row["dev_eui"]: (row["model"], row["places"]) for row in smartdorf.json("devices", "list")}  # type: ignore[attr-defined]
    assert found == {MUD: ("milesight/em400-mud", "glas-sued"), UDL: ("milesight/em310-udl", None)}
    with psycopg.connect(smartdorf.dsn) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public' AND relname !~ '^_'"
        ).fetchall()
        for (table,) in tables:  # a key is nowhere
            rows = connection.execute(f'SELECT t::text FROM "{table}" t').fetchall()
            assert not any(KEY in row[0].lower() for row in rows), table


def test_one_mistake_changes_nothing_and_all_are_told(smartdorf: Shell) -> None:
    file = smartdorf.folder / "liste.csv"
    file.write_text(f"DevEUI;Modell;Ort\n{MUD};EM400-MUD;Hof\n24E124713DOOOO1;EM310-UDL;\n{KEY};EM310-UDL;\n")
    said = smartdorf("devices", "import", str(file), code=2)
    assert 'liste.csv:2:3: there is no place "Hof" yet' in said
    assert 'liste.csv:3:1: "24E124713DOOOO1" is no DevEUI' in said
    assert "liste.csv:4:1: 32 hex digits; a DevEUI has 16: this is rather a key" in said
    assert KEY not in said
    assert smartdorf.json("devices", "list") == []


def test_without_a_file_or_a_header_it_says_how_to_begin(smartdorf: Shell) -> None:
    assert "`--sample` writes one to begin with" in smartdorf("devices", "import", code=2)
    assert "No such file" in smartdorf("devices", "import", "nirgends.csv", code=2)
    file = smartdorf.folder / "liste.csv"
    file.write_text("Nummer;Sensor\n1;EM400\n")
    assert "has no column DevEUI" in smartdorf("devices", "import", str(file), code=2)
    file.write_text(smartdorf("devices", "import", "--sample"))
    assert "this is an example of `--sample`" in smartdorf("devices", "import", str(file), code=2)
