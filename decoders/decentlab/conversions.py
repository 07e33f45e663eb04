"""What Decentlab's words mean: the formulas of the datasheets, and of the makers of the probes."""

from collections.abc import Callable, Mapping, Sequence

from smartdorf.decoding import Context

Words = Sequence[int]
Convert = Callable[[Words, Context], float | None]  # None: no value
Group = tuple[int, Mapping[str, Convert]]  # how many words, and what they say


def number(at: int, zero: int = 0, per: float = 1) -> Convert:
    """How far a word is above ``zero``; ``per`` steps are one."""
    if per == 1:
        return lambda words, context: words[at] - zero
    return lambda words, context: (words[at] - zero) / per


def signed(at: int, per: float = 1) -> Convert:
    return number(at, 32768, per)


def double(at: int, words: Words) -> int:
    """Two words, the lower one in front."""
    return words[at] + (words[at + 1] << 16)


def if_any(at: int, convert: Convert) -> Convert:
    """A statistic over samples: without a sample, which word ``at`` counts, it says nothing."""
    return lambda words, context: convert(words, context) if words[at] else None


def counts(at: int, per_unit: str) -> Convert:
    """A signed number of counts; a parameter says how many of them are one unit."""

    def convert(words: Words, context: Context) -> float | None:
        per = context.parameter(per_unit)
        return (words[at] - 32768) / per if per else None

    return convert


def keller_pressure(words: Words, context: Context) -> float | None:
    """16384 is the lower and 49152 the upper end of the probe's range."""
    low, high = context.parameter("pressure_min_bar"), context.parameter("pressure_max_bar")
    if low is None or high is None:
        return None
    return (words[0] - 16384) / 32768 * (high - low) + low


def rain(tips: Callable[[Words], int]) -> Convert:
    def convert(words: Words, context: Context) -> float | None:
        per_tip = context.parameter("tip_mm")
        return None if per_tip is None else tips(words) * per_tip

    return convert


def topp(words: Words, context: Context) -> float:
    """Volumetric water content of mineral soil from its permittivity (Topp 1980), as in the probe's manual."""
    e = words[0] / 50
    return 4.3e-6 * e**3 - 5.5e-4 * e**2 + 2.92e-2 * e - 5.3e-2


def teros_permittivity(words: Words, context: Context) -> float:
    raw = words[0] / 10
    root = 2.887e-9 * raw**3 - 2.08e-5 * raw**2 + 5.276e-2 * raw - 43.39
    return root * root


def millivolts(words: Words, context: Context) -> float:
    """An analogue input; the ends of its scale are -3 and 3 V."""
    return (words[0] - 32768) * 3000 / 32768


def loop_current(words: Words, context: Context) -> float | None:
    """mA through the device's resistor, whose voltage is measured at a gain of two."""
    resistance = context.parameter("resistor_ohm")
    return millivolts(words, context) / 2 / resistance if resistance else None


def ten_hs(words: Words, context: Context) -> float:
    """Volumetric water content of mineral soil from the probe's voltage, as in its manual."""
    mv = millivolts(words, context)
    return 2.97e-9 * mv**3 - 7.37e-6 * mv**2 + 6.69e-3 * mv - 1.92


def albedo(words: Words, context: Context) -> float | None:
    """The share that is reflected; at night there is none."""
    incoming, reflected = words[0] - 32768, words[1] - 32768
    return reflected / incoming if incoming > 0 and reflected > 0 else None


def illuminance(words: Words, context: Context) -> float:
    """From two photodiodes: all light, and infrared alone."""
    everything, infrared = words
    return max(everything - 1.64 * infrared, 0.59 * everything - 0.86 * infrared, 0) * 1.5504


def group(words: int, **values: Convert) -> Group:
    return words, values


def words_from(first: int, **steps: float) -> Mapping[str, Convert]:
    """Words one behind the other, each with how many of its steps are one."""
    return {name: number(at, per=per) for at, (name, per) in enumerate(steps.items(), first)}


def signed_from(first: int, **steps: float) -> Mapping[str, Convert]:
    return {name: signed(at, per) for at, (name, per) in enumerate(steps.items(), first)}
