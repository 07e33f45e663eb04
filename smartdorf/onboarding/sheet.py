"""Tables out of .csv and .xlsx files as vendors and Excel write them: rows of cells that know where they stand."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from smartdorf.errors import Problem, UsageError
from smartdorf.i18n import gettext as _

DELIMITERS = ";,\t|"
MOST_BYTES = 20 * 1024 * 1024
SEARCHED = 30  # rows in which the header is looked for; vendors put a title and an address above it


class Cell(NamedTuple):
    """``column`` counts from 1."""

    text: str
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Table:
    """``name`` stands in messages: the file, and the sheet where there are several."""

    name: str
    rows: Sequence[Sequence[Cell]]  # without empty ones

    def problem(self, cell: Cell, message: str) -> Problem:
        return Problem(self.name, cell.row, cell.column, message)


def read_tables(path: Path) -> list[Table]:
    """The file's tables: one of a .csv, each visible sheet of an .xlsx. Raises UsageError with advice."""
    kind = path.suffix.lower()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(_("{path} is bigger than any list of devices").format(path=path))
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            _("{path} cannot be read: {error}").format(path=path, error=error.strerror)
        ) from error
    if kind == ".xlsx":
        return _workbook(path, content)
    if kind in (".csv", ".txt", ".tsv"):
        if content.startswith(b"PK"):
            message = _("{path} is an Excel file with another ending: call it .xlsx")
            raise UsageError(message.format(path=path))
        return [_csv(path.name, _decoded(content))]
    message = _("{path}: expected a .csv or .xlsx file; save it as one of these (Excel: File, Save as)")
    raise UsageError(message.format(path=path))


def _decoded(content: bytes) -> str:
    """UTF-8 or UTF-16 where the file says so, else what a German Excel writes."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _csv(name: str, text: str) -> Table:
    lines = text.splitlines()
    first = 1
    if lines and lines[0].lower().startswith("sep=") and len(lines[0]) == 5:  # Excel's own mark
        delimiter, first = lines[0][4], 2
        text = "\n".join(lines[1:])
    else:
        delimiter = max(DELIMITERS, key=lambda one: sum(line.count(one) for line in lines[:SEARCHED]))
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    rows = []
    before = 0
    try:
        for values in reader:
            rows.append(_row(values, before + first))
            before = reader.line_num  # a quoted text may go over several lines
    except csv.Error as error:
        message = _("{file}, line {line}: no table ({error}); is a quotation mark missing there?")
        raise UsageError(message.format(file=name, line=before + first, error=error)) from error
    return Table(name, [row for row in rows if row])


def _row(values: Sequence[str], number: int) -> list[Cell]:
    cells = [Cell(value.strip(), number, column) for column, value in enumerate(values, 1)]
    return cells if any(cell.text for cell in cells) else []


def _workbook(path: Path, content: bytes) -> list[Table]:
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum  # noqa: PLC0415 - seldom needed

    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        tables = []
        for sheet in workbook.sheets_metadata:
            if sheet.visible != SheetVisibleEnum.Visible:
                continue
            values = workbook.get_sheet_by_name(sheet.name).to_python(skip_empty_area=False)
            rows = [_row([_text(value) for value in row], number) for number, row in enumerate(values, 1)]
            tables.append(Table(f"{path.name} ({sheet.name})", [row for row in rows if row]))
    except CalamineError as error:
        message = _("{path} is no Excel workbook, or protected by a password: {error}")
        raise UsageError(message.format(path=path, error=error)) from error
    return tables


def _text(value: object) -> str:
    """As it was written, as far as Excel has kept that: a whole number without its ``.0``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:  # beyond, a number has lost digits
            return str(int(value))
        return f"{value:.5E}" if abs(value) >= 1e15 else repr(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)
