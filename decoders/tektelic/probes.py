"""The probes that TEKTELIC's AGRO sensors have in the soil: from what the inputs measure to degrees and centibars.

The formulas are those of the vendor's published codec. The Watermark's pieces of line, from its frequency to the
tension of the water in the soil, are the same everywhere; for the thermistors of inputs 3 and 4 others use
213.25 - 31.96 ln(mV), which says about three degrees less.
"""

from math import log

from smartdorf.decoding import Frame, parts

_THERMISTOR = (-33.01, 217.4, -538.6, 628.1, -378.9, 102.9)  # °C from V, highest power first

# above this frequency (Hz): the tension there (cb), and how much it falls with each Hz more
_WATERMARK = (
    (6430, 0.0, 0.0),
    (4330, 9.0, 0.004286),
    (2820, 15.0, 0.003974),
    (1110, 35.0, 0.01170),
    (770, 55.0, 0.05884),
    (600, 75.0, 0.1176),
    (485, 100.0, 0.2174),
    (293, 200.0, 0.5208),
)
_DRY = 200  # cb, and below the lowest frequency no more can be told
_OPEN = 0  # Hz: no probe


def thermistor(name: str) -> parts.Reader:
    def read(frame: Frame, at: int, found: dict) -> int:
        voltage = frame.u16(at) / 1000
        found[name] = voltage
        if 0 < voltage < 2:  # of a probe that is there
            temperature = 0.0
            for factor in _THERMISTOR:
                temperature = temperature * voltage + factor
            found[f"{name}_to_temp"] = round(temperature, 1)
        return at + 2

    return read


def built_in(name: str) -> parts.Reader:
    """The thermistor inside the sensor's own foot, which has a circuit of its own."""

    def read(frame: Frame, at: int, found: dict) -> int:
        millivolts = frame.u16(at)
        found[name] = millivolts / 1000
        if millivolts:
            found[f"{name}_to_temp"] = round(236.36 - 32.46 * log(millivolts), 1)
        return at + 2

    return read


def watermark(name: str) -> parts.Reader:
    def read(frame: Frame, at: int, found: dict) -> int:
        frequency = frame.u16(at)
        found[f"{name}_frequency"] = frequency
        if frequency != _OPEN:
            found[f"{name}_tension"] = _tension(frequency)
        return at + 2

    return read


def _tension(frequency: int) -> int:
    for above, tension, fall in _WATERMARK:
        if frequency > above:
            return round(tension - (frequency - above) * fall)
    return _DRY
