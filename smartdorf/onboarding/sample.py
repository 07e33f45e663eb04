"""The list that `smartdorf devices import --sample` writes, to be filled in with Excel or by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

_HEADERS: Mapping[str, Sequence[str]] = {
    "de": (
        "DevEUI",
        "Modell",
        "Name",
        "Ort",
        "Ortsart",
        "Breite",
        "Länge",
        "tag:fraction",
        "mounting_height_m",
    ),
    "en": (
        "DevEUI",
        "Model",
        "Name",
        "Place",
        "Place type",
        "Latitude",
        "Longitude",
        "tag:fraction",
        "mounting_height_m",
    ),
}
# No vendor has these DevEUIs; whoever imports the sample as it is is told so.
EXAMPLES = ("0000000000000001", "0000000000000002")
_ROWS = (
    (
        EXAMPLES[0],
        "milesight/em400-mud",
        "Glas 1",
        "glas-kirchplatz",
        "container",
        "49,1234",
        "9,1234",
        "glass",
        "1,8",
    ),
    (EXAMPLES[1], "milesight/em310-udl", "", "", "", "", "", "", ""),
)


def sample_sheet(language: str) -> str:
    """A CSV that a German Excel opens as it should: with semicolons, decimal commas and a byte order mark."""
    written = io.StringIO()
    writer = csv.writer(written, delimiter=";", lineterminator="\r\n")
    writer.writerow(_HEADERS[language])
    writer.writerows(_ROWS)
    return "\ufeff" + written.getvalue()
