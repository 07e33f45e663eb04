"""docs/vocabulary.md and docs/sensors.md say what the vocabulary and the manifests say.

``python -m tests.test_reference`` writes them anew.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from smartdorf.content import shipped
from smartdorf.decoding.listed import listed_beside
from smartdorf.decoding.manifest import CATEGORIES, DeviceModel
from smartdorf.decoding.registry import load_catalogue
from smartdorf.vocabulary import Quantity, Vocabulary, load_vocabulary
from tests.known_differences import KNOWN_CASES

DOCS = Path(__file__).parents[1] / "docs"

VOCABULARY_HEAD = """\
# Quantities

Everything that smartdorf measures has one of these names, whichever sensor says it; decoders and rules know no others.
They stand in `smartdorf/vocabulary.yaml`, from which this page is made.

- **Range**: what is plausible. A value outside is kept, flagged, and takes no part in the aggregates.
- **Jump**: the largest believable change within an hour. **Stuck**: a sensor whose value has not moved for so long is
  broken. Both are flags; where nature or people can do it after all, there is none.
- **Kind**: a *gauge* is a value of a moment, a *counter* only rises, a *state* holds until the next reading, an
  *event* is something that happened.
- **Privacy**: *public* may be published by place, *aggregated* only over a group of places, *internal* is for the
  people who run the village, *personal* says something about persons and is never published.
- **Retention** of the raw values: *short*, *standard* or *long*; the settings say how long each is.

| Name | German | English | Unit | Kind | Range | Jump | Stuck | Privacy | Retention | Codes |
|---|---|---|---|---|---|---|---|---|---|---|
"""

SUMS_HEAD = """
## What follows from another quantity

Whichever sensor measures the one, the other is there as well where the place (or the device) has the parameter. Without
it nothing else changes, and nobody is asked for it.

| Name | is | plus the parameter | which is | from |
|---|---|---|---|---|
"""

SENSORS_HEAD = """\
# Sensors

The sensor models that smartdorf can decode, made from their manifests. A model that is not here is taught in ten
minutes: [decoders.md](decoders.md). `smartdorf decoders show MODEL` tells more of one, [vocabulary.md](vocabulary.md)
what the quantities are.

**Proof** says how far the decoder has been shown right: compared with a real *device*; all *vendor vectors* pass
(frames whose values the vendor or a network has published); or written from the *datasheet* alone. `history` behind a
quantity: the frames also carry earlier values with their times.
"""

DIFFERENCES_HEAD = """\
## Published vectors that say something else

What a vendor or a network has published of a model is compared with what our decoder makes of the same bytes. Where the
two differ, it stands here: the frame, or the field, and why. A field that only has another name is compared all the
same.

| Model | Frame or field | Why |
|---|---|---|
"""

TITLES = {
    "parking": "Parking",
    "waste": "Waste",
    "water": "Water: levels, leaks, meters",
    "environment": "Environment and rooms",
    "heating": "Heating",
    "energy": "Energy and metering",
    "counting": "Counting, doors, contacts",
    "tracking": "Tracking",
}


def vocabulary_page(vocabulary: Vocabulary) -> str:
    rows = [_quantity(quantity) for quantity in vocabulary.quantities.values()]
    return "\n".join([VOCABULARY_HEAD + "\n".join(rows), SUMS_HEAD + "\n".join(_sums(vocabulary)), ""])


def _sums(vocabulary: Vocabulary) -> Iterator[str]:
    for quantity in vocabulary.quantities.values():
        if quantity.sum is not None:
            parameter = vocabulary.parameters[quantity.sum.parameter]
            yield (
                f"| `{quantity.name}` | `{quantity.sum.quantity}` | `{parameter.name}` | {parameter.label['en']} "
                f"| {parameter.low:g} to {parameter.high:g} {parameter.unit} |"
            )


def _quantity(quantity: Quantity) -> str:
    codes = "; ".join(f"{code} {label['de']} / {label['en']}" for code, label in quantity.codes.items())
    cells = [
        f"`{quantity.name}`",
        quantity.label["de"],
        quantity.label["en"],
        quantity.unit_label or "–",
        quantity.kind,
        f"{quantity.low:.15g} to {quantity.high:.15g}",
        f"{quantity.jump:g}" if quantity.jump < math.inf else "",
        _days(quantity.stuck) if quantity.stuck else "",
        quantity.privacy,
        quantity.retention,
        codes,
    ]
    return f"| {' | '.join(cells)} |"


def _days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):g} d"


def sensors_page(models: dict[str, DeviceModel]) -> str:
    rows = sorted(_differences(models.values()))
    return "\n".join(
        [SENSORS_HEAD, *_sections(list(models.values())), DIFFERENCES_HEAD + "\n".join(rows), ""]
    )


def _differences(models: Iterable[DeviceModel]) -> Iterator[str]:
    """A row for each published vector, or field of one, that is not as ours, with the reason."""
    for (model, what), why in KNOWN_CASES.items():
        yield f"| {model} | `{what}` | {why} |"
    for known in models:
        for data, listed in listed_beside(known)[0].items():
            fields = ", ".join([*listed.differs, *listed.renamed.values()])
            yield f"| {known.name} | `{data.hex()}`: {fields} | {listed.why} |"


def _sections(models: list[DeviceModel]) -> Iterator[str]:
    vendors = {model.vendor for model in models}
    yield f"{len(models)} models of {len(vendors)} vendors.\n"
    for category in CATEGORIES:
        found = [model for model in models if model.category == category]
        if found:
            yield f"## {TITLES[category]}\n\n| Model | Sensor | Measures | Proof |\n|---|---|---|---|"
            yield from map(_sensor, found)
            yield ""


def _sensor(model: DeviceModel) -> str:
    in_records = {found.metric for found in model.measurements if found.in_records}
    metrics = dict.fromkeys(found.metric for found in model.measurements)
    measures = ", ".join(f"{name} (history)" if name in in_records else name for name in metrics)
    return f"| `{model.name}` | [{model.label['en']}]({model.documentation}) | {measures} | {model.proof} |"


def pages() -> dict[str, str]:
    vocabulary = load_vocabulary()
    catalogue = load_catalogue([shipped("decoders")], vocabulary)
    assert catalogue.problems == []
    return {"vocabulary.md": vocabulary_page(vocabulary), "sensors.md": sensors_page(dict(catalogue.models))}


@pytest.mark.parametrize("name", ["vocabulary.md", "sensors.md"])
def test_the_page_says_what_is_there(name: str):
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `python -m tests.test_reference`"


def test_a_row_is_as_people_read_it():
    page = pages()["vocabulary.md"]
    assert "| `air_pressure_hpa` | Luftdruck | Air pressure | hPa | gauge | 300 to 1200 | 15 | 1 d |" in page
    assert "1 belegt / occupied" in page


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
