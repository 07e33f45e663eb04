"""Files of measurements: CSV for people and programs, Parquet for analysts. Knows no database."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self
from zoneinfo import ZoneInfo

from smartdorf.db.export import VALUES, Resolution, Series
from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _
from smartdorf.local_time import ZONE

SERIES_COLUMNS = ("place", "place_name", "device", "channel", "quantity", "unit")
_ZONE = ZoneInfo(ZONE)


class Writer(Protocol):
    """Takes one series' rows after the other's."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def write(self, series: Series, rows: Sequence[tuple[Any, ...]]) -> None: ...


def columns_of(resolution: Resolution) -> tuple[str, ...]:
    """The columns of every format; hours begin at UTC's full hour, days and months at local midnight."""
    time = {"raw": "time", "hourly": "hour", "daily": "day", "monthly": "month"}[resolution]
    return (time, *SERIES_COLUMNS, *VALUES[resolution])


def _time(time: datetime, resolution: Resolution) -> str:
    if resolution == "daily":
        return f"{time.astimezone(_ZONE):%Y-%m-%d}"
    if resolution == "monthly":
        return f"{time.astimezone(_ZONE):%Y-%m}"
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


class CsvWriter:
    """RFC 4180, UTF-8, times in UTC. With ``excel`` as a German Excel opens it: semicolons, commas, local time."""

    def __init__(self, file: IO[str], resolution: Resolution, *, excel: bool) -> None:
        self._file = file
        self._resolution: Resolution = resolution
        self._excel = excel
        self._csv = csv.writer(file, delimiter=";" if excel else ",", lineterminator="\r\n")

    def __enter__(self) -> Self:
        if self._excel:
            self._file.write("\ufeff")  # else it takes UTF-8 for something else
        self._csv.writerow(columns_of(self._resolution))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.flush()

    def write(self, series: Series, rows: Sequence[tuple[Any, ...]]) -> None:
        about = (
            series.place,
            _inert(series.place_name),
            series.dev_eui,
            series.channel,
            series.quantity,
            series.unit,
        )
        self._csv.writerows(
            (self._moment(time), *about, *map(self._number, values)) for time, *values in rows
        )

    def _moment(self, time: datetime) -> str:
        if self._excel and self._resolution in ("raw", "hourly"):
            return f"{time.astimezone(_ZONE):%d.%m.%Y %H:%M:%S}"
        return _time(time, self._resolution)

    def _number(self, value: float) -> str:
        text = repr(value)
        return text.replace(".", ",") if self._excel else text


def _inert(text: str) -> str:
    """A name that a spreadsheet would take for a formula (OWASP: CSV injection) gets an apostrophe."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


class ParquetWriter:
    """Timestamps in UTC with microseconds, texts as dictionaries; what was asked for stands in the metadata."""

    def __init__(self, path: Path, resolution: Resolution, about: Mapping[str, str]) -> None:
        try:
            import pyarrow  # noqa: PLC0415 - 40 MB that only this format needs
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError:
            raise UsageError(_("Parquet needs pyarrow: pip install 'smartdorf[parquet]'")) from None
        self._arrow = pyarrow
        text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        kinds = {
            "device": text,
            "channel": pyarrow.int16(),
            "quality": pyarrow.int16(),
            "samples": pyarrow.int64(),
        }
        kinds |= dict.fromkeys(("place", "place_name", "quantity", "unit"), text)
        time, *columns = columns_of(resolution)
        fields = [(time, pyarrow.timestamp("us", tz="UTC"))]
        fields += [(name, kinds.get(name, pyarrow.float64())) for name in columns]
        self._schema = pyarrow.schema(
            fields, metadata={f"smartdorf.{key}": value for key, value in about.items()}
        )
        self._writer = parquet.ParquetWriter(path, self._schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, series: Series, rows: Sequence[tuple[Any, ...]]) -> None:
        arrow, count = self._arrow, len(rows)
        time, *values = zip(*rows, strict=True)
        about = (
            series.place,
            series.place_name,
            series.dev_eui,
            series.channel,
            series.quantity,
            series.unit,
        )
        arrays = [arrow.array(time, self._schema.field(0).type)]
        for number, value in enumerate(about, 1):
            arrays.append(arrow.array([value] * count, self._schema.field(number).type))
        for number, column in enumerate(values, 1 + len(about)):
            arrays.append(arrow.array(column, self._schema.field(number).type))
        self._writer.write_table(arrow.Table.from_arrays(arrays, schema=self._schema))
