"""Decentlab sensors: one codec for the family, one row of ``MODELS`` for each model. Any f_port, big endian.

After the section "Payload structure" of each model's datasheet.

    VV DDDD FFFF WWWW WWWW ...
V protocol version, 2          D device id           F flags: which groups of words follow, lowest bit first
W the words of these groups, 16 bits each

A group holds what one part of the device measured: the probe, the air sensor, the battery. What is not there is not
sent, so a frame with the battery alone is complete. The table tells of each model how many words a group has and which
value is made of which word. Most are signed numbers, sent as word - 32768.

Some models send shares of a range that is not in the frame, but on the probe's label: these are parameters. Version
and device id are checked and left out of the object: they never say anything new about a device.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Words = Sequence[int]
Convert = Callable[[Words, Context], float | None]  # None: no value
Group = tuple[int, Mapping[str, Convert]]  # how many words, and what they say


def _number(at: int, zero: int = 0, per: float = 1) -> Convert:
    """How far a word is above ``zero``; ``per`` steps are one."""
    if per == 1:
        return lambda words, context: words[at] - zero
    return lambda words, context: (words[at] - zero) / per


def _signed(at: int, per: float = 1) -> Convert:
    return _number(at, 32768, per)


def _double(at: int, words: Words) -> int:
    """Two words, the lower one in front."""
    return words[at] + (words[at + 1] << 16)


def _if_any(at: int, convert: Convert) -> Convert:
    """A statistic over samples: without a sample, which word ``at`` counts, it says nothing."""
    return lambda words, context: convert(words, context) if words[at] else None


def _counts(at: int, per_unit: str) -> Convert:
    """A signed number of counts; a parameter says how many of them are one unit."""

    def convert(words: Words, context: Context) -> float | None:
        per = context.parameter(per_unit)
        return (words[at] - 32768) / per if per else None

    return convert


def _keller_pressure(words: Words, context: Context) -> float | None:
    """16384 is the lower and 49152 the upper end of the probe's range."""
    low, high = context.parameter("pressure_min_bar"), context.parameter("pressure_max_bar")
    if low is None or high is None:
        return None
    return (words[0] - 16384) / 32768 * (high - low) + low


def _rain(tips: Callable[[Words], int]) -> Convert:
    def convert(words: Words, context: Context) -> float | None:
        per_tip = context.parameter("tip_mm")
        return None if per_tip is None else tips(words) * per_tip

    return convert


def _topp(words: Words, context: Context) -> float:
    """Volumetric water content of mineral soil from its permittivity (Topp 1980), as in the probe's manual."""
    e = words[0] / 50
    return 4.3e-6 * e**3 - 5.5e-4 * e**2 + 2.92e-2 * e - 5.3e-2


def _teros_permittivity(words: Words, context: Context) -> float:
    raw = words[0] / 10
    root = 2.887e-9 * raw**3 - 2.08e-5 * raw**2 + 5.276e-2 * raw - 43.39
    return root * root


def _millivolts(words: Words, context: Context) -> float:
    """An analogue input; the ends of its scale are -3 and 3 V."""
    return (words[0] - 32768) * 3000 / 32768


def _loop_current(words: Words, context: Context) -> float | None:
    """mA through the device's resistor, whose voltage is measured at a gain of two."""
    resistance = context.parameter("resistor_ohm")
    return _millivolts(words, context) / 2 / resistance if resistance else None


def _10hs(words: Words, context: Context) -> float:
    """Volumetric water content of mineral soil from the probe's voltage, as in its manual."""
    mv = _millivolts(words, context)
    return 2.97e-9 * mv**3 - 7.37e-6 * mv**2 + 6.69e-3 * mv - 1.92


def _albedo(words: Words, context: Context) -> float | None:
    """The share that is reflected; at night there is none."""
    incoming, reflected = words[0] - 32768, words[1] - 32768
    return reflected / incoming if incoming > 0 and reflected > 0 else None


def _illuminance(words: Words, context: Context) -> float:
    """From two photodiodes: all light, and infrared alone."""
    everything, infrared = words
    return max(everything - 1.64 * infrared, 0.59 * everything - 0.86 * infrared, 0) * 1.5504


def _group(words: int, **values: Convert) -> Group:
    return words, values


def _words(first: int, **steps: float) -> Mapping[str, Convert]:
    """Words one behind the other, each with how many of its steps are one."""
    return {name: _number(at, per=per) for at, (name, per) in enumerate(steps.items(), first)}


def _signed_words(first: int, **steps: float) -> Mapping[str, Convert]:
    return {name: _signed(at, per) for at, (name, per) in enumerate(steps.items(), first)}


_BATTERY = _group(1, **_words(0, battery_voltage=1000))
_BAROMETER = _group(1, barometric_pressure=lambda words, context: words[0] * 2)
_SHT21 = _group(
    2,
    air_temperature=lambda words, context: 175.72 * words[0] / 65536 - 46.85,
    air_humidity=lambda words, context: 125 * words[1] / 65536 - 6,
)
_SHT35 = _group(
    2,
    air_temperature=lambda words, context: 175 * words[0] / 65535 - 45,
    air_humidity=lambda words, context: 100 * words[1] / 65535,
)
_SHIELD = _group(2, **{f"{name}_radiation_shield": convert for name, convert in _SHT35[1].items()})
_ROAD = _group(
    6,
    **_signed_words(
        0,
        surface_temperature=100,
        air_temperature=100,
        air_humidity=100,
        dew_point=100,
        angle=1,
        sensor_temperature=100,
    ),
)
_KELLER = _group(2, pressure=_keller_pressure, temperature=_number(1, 16384, 320))
_TEROS: Mapping[str, Convert] = {
    "dielectric_permittivity": _teros_permittivity,
    # the maker's line for mineral soil
    "volumetric_water_content": lambda words, context: words[0] / 10 * 3.879e-4 - 0.6956,
    "soil_temperature": _signed(1, 10),
}
_FIVE: Mapping[str, Convert] = {
    "dielectric_permittivity": _number(0, per=50),
    "volumetric_water_content": _topp,
    "soil_temperature": _number(1, 400, 10),
}


def _wind(at: int) -> Mapping[str, Convert]:
    """METER's anemometer, in the weather stations too."""
    return _signed_words(at, wind_speed=100, wind_direction=10, maximum_wind_speed=100, air_temperature=10)


_SKY: Mapping[str, Convert] = {
    **_signed_words(2, lightning_strike_count=1, lightning_average_distance=1),
    **_wind(4),
    "vapor_pressure": _signed(8, 100),
    "relative_humidity": _signed(10, 10),
}


def _ctd10(conductivity: int) -> Group:
    """``conductivity``: µS/cm in one step."""
    return _group(
        4,
        **_signed_words(0, water_depth=1, temperature=10),
        electrical_conductivity=lambda words, context: words[2] * conductivity,
        freezing_flag=_number(3),
    )


def _aqualabo(values: Mapping[str, Convert]) -> Group:
    """A digital water probe: its status, its temperature, and three values of its own."""
    return _group(5, status=_number(0), temperature=_signed(1, 100), **values)


_DISTANCES = (
    "average", "minimum", "maximum", "median", "10th_percentile", "25th_percentile", "75th_percentile",
    "90th_percentile", "most_frequent_value",
)  # fmt: skip


def _lidar(samples: str, more: Mapping[str, Convert]) -> Group:
    """``samples``: what the count of valid ones is called."""
    distances = {f"distance_{name}": _if_any(9, _number(at)) for at, name in enumerate(_DISTANCES)}
    counts = _words(9, **{samples: 1, "total_acquisition_time": 1.024})
    return 11 + len(more), {**distances, **counts, **more}


def _particles() -> Group:
    masses = [f"pm{size}_mass_concentration" for size in ("1_0", "2_5", "4", "10")]
    numbers = [f"pm{size}_number_concentration" for size in ("0_5", "1_0", "2_5", "4", "10")]
    return _group(
        10,
        **_words(0, **dict.fromkeys(masses, 10)),
        **_words(4, typical_particle_size=1),
        **_words(5, **dict.fromkeys(numbers, 10)),
    )


def _drill_and_drop(first: int) -> Group:
    """Six levels of the soil: their moistures, then their temperatures, then their salinities."""
    group: dict[str, Convert] = {}
    for at in range(6):
        group[f"moisture_at_level_{first + at}"] = _signed(at, 100)
        group[f"temperature_at_level_{first + at}"] = _signed(at + 6, 100)
        group[f"salinity_at_level_{first + at}"] = _number(at + 12, 100)
    return 18, group


def _soil_profile() -> Group:
    """Eight depths, moisture and temperature of each."""
    group: dict[str, Convert] = {}
    for depth in range(8):
        group[f"soil_moisture_at_depth_{depth}"] = _number(2 * depth, 2500, 500)
        group[f"soil_temperature_at_depth_{depth}"] = _signed(2 * depth + 1, 100)
    return 16, group


_STATIONS: Mapping[str, Group] = {
    "atm41": _group(
        17,
        **_signed_words(0, solar_radiation=1, precipitation=1000),
        **_SKY,
        **_signed_words(9, atmospheric_pressure=100),
        **_signed_words(11, sensor_temperature_internal=10, x_orientation_angle=10, y_orientation_angle=10),
        **_signed_words(14, compass_heading=1, north_wind_speed=100, east_wind_speed=100),
    ),
    "atm41g2": _group(
        17,
        solar_radiation=_signed(0, 10),
        precipitation=_number(1, per=1000),
        **_SKY,
        **_signed_words(9, barometric_pressure=100),
        **_signed_words(
            11, internal_temperature=10, tilt_angle_x_orientation=10, tilt_angle_y_orientation=10
        ),
        precipitation_electrical_conductivity=_signed(14),
        cumulative_precipitation=lambda words, context: _double(15, words) / 1000,
    ),
}
_LP8P = _group(
    8,
    **_signed_words(0, co2_concentration=1, co2_concentration_lpf=1, co2_sensor_temperature=100),
    **_words(3, capacitor_voltage_1=1000, capacitor_voltage_2=1000, co2_sensor_status=1),
    **_words(6, raw_ir_reading=1, raw_ir_reading_lpf=1),
)

# the groups, from the lowest flag on
MODELS: Mapping[str, tuple[Group, ...]] = {
    "decentlab/dl-10hs": (
        _group(1, raw_sensor_reading=_millivolts, volumetric_water_content=_10hs),
        _BATTERY,
    ),
    "decentlab/dl-5te": (
        _group(3, **_FIVE, electrical_conductivity=lambda words, context: words[2] * 10),
        _BATTERY,
    ),
    "decentlab/dl-5tm": (_group(2, **_FIVE), _BATTERY),
    "decentlab/dl-alb": (
        _group(2, **_signed_words(0, incoming_radiation=10, reflected_radiation=10), albedo=_albedo),
        _BATTERY,
    ),
    "decentlab/dl-atm22": (
        _group(
            8,
            **_wind(0),
            **_signed_words(4, x_orientation_angle=10, y_orientation_angle=10),
            **_signed_words(6, north_wind_speed=100, east_wind_speed=100),
        ),
        _BATTERY,
    ),
    "decentlab/dl-atm41": (_STATIONS["atm41"], _BATTERY),
    "decentlab/dl-atm41g2": (_STATIONS["atm41g2"], _BATTERY),
    "decentlab/dl-ctd10": (_ctd10(1), _BATTERY),
    "decentlab/dl-ctd10b": (_ctd10(2), _BATTERY),
    "decentlab/dl-cws": (_ROAD, _BATTERY),
    "decentlab/dl-cws2": (_SHIELD, _ROAD, _BATTERY),
    "decentlab/dl-dlr2-002": (
        _group(
            4,
            **_words(0, pulse_count=1, pulse_interval=1),
            cumulative_pulse_count=lambda words, context: _double(2, words),
        ),
        _BATTERY,
    ),
    "decentlab/dl-dlr2-003": (_group(1, input=_number(0)), _BATTERY),
    "decentlab/dl-dlr2-004": (_group(1, current=_loop_current), _BATTERY),
    "decentlab/dl-ds18": (_group(1, temperature=_signed(0, 16)), _BATTERY),
    "decentlab/dl-ds182": (
        _group(2, ch0_temperature=_signed(0, 16), ch0_id=_number(1)),
        _group(2, ch1_temperature=_signed(0, 16), ch1_id=_number(1)),
        _BATTERY,
    ),
    "decentlab/dl-iam": (
        _BATTERY,
        _SHT35,
        _BAROMETER,
        _group(
            2,
            **_words(0, ambient_light_visible_infrared=1, ambient_light_infrared=1),
            illuminance=_illuminance,
        ),
        _group(3, co2_concentration=_signed(0), **_words(1, co2_sensor_status=1, raw_ir_reading=1)),
        _group(1, activity_counter=_number(0)),
        _group(1, total_voc=_number(0)),
    ),
    "decentlab/dl-itst": (
        _group(2, temperature_target=_number(0, 1000, 10), temperature_head=_number(1, 1000, 10)),
        _BATTERY,
    ),
    "decentlab/dl-lid": (_lidar("number_of_samples", {}), _BATTERY),
    "decentlab/dl-lid2": (_lidar("number_of_valid_samples", _words(11, number_of_total_samples=1)), _BATTERY),
    "decentlab/dl-lp8p": (
        _SHT21,
        _group(
            2,
            barometer_temperature=_number(0, 5000, 100),
            barometric_pressure=lambda words, context: words[1] * 2,
        ),
        _LP8P,
        _BATTERY,
    ),
    "decentlab/dl-mbx": (
        _group(2, distance=_if_any(1, _number(0)), number_of_valid_samples=_number(1)),
        _BATTERY,
    ),
    "decentlab/dl-mes5": (
        _aqualabo(_words(2, sludge_blanket=100, suspended_solid=100, turbidity=10)),
        _BATTERY,
    ),
    "decentlab/dl-ntu": (
        _aqualabo(_words(2, turbidity_in_ntu=10, turbidity_in_fnu=10, turbidity_in_mg_l=10)),
        _BATTERY,
    ),
    "decentlab/dl-optod": (
        _aqualabo(
            _signed_words(2, oxygen_saturation=100, oxygen_concentration=100, oxygen_concentration_alt=100)
        ),
        _BATTERY,
    ),
    "decentlab/dl-pheht": (_aqualabo(_signed_words(2, ph=100, redox=10, ph_mv=10)), _BATTERY),
    "decentlab/dl-pm": (_BATTERY, _particles(), _SHT21, _BAROMETER),
    "decentlab/dl-pr21": (_KELLER, _BATTERY),
    "decentlab/dl-pr26": (_KELLER, _BATTERY),
    "decentlab/dl-pr36": (
        _group(2, pressure=_counts(0, "counts_per_bar"), temperature=_signed(1, 256)),
        _BATTERY,
    ),
    "decentlab/dl-pr36ctd": (
        _group(
            4,
            pressure=_counts(0, "counts_per_bar"),
            **_signed_words(1, temperature_electronics=256, temperature_pt1000=256),
            electrical_conductivity=_counts(3, "counts_per_mscm"),
        ),
        _BATTERY,
    ),
    "decentlab/dl-pyr": (
        # 5 W/m² for each mV
        _group(1, total_solar_radiation=lambda words, context: _millivolts(words, context) * 5),
        _BATTERY,
    ),
    "decentlab/dl-rhc": (
        _group(
            4,
            sensor_id=lambda words, context: _double(0, words),
            air_humidity=_number(2, per=100),
            air_temperature=_signed(3, 100),
        ),
        _BATTERY,
    ),
    "decentlab/dl-sdd": (_drill_and_drop(0), _drill_and_drop(6), _BATTERY),
    "decentlab/dl-sht21": (_SHT21, _BATTERY),
    "decentlab/dl-sht35": (_SHT35, _BATTERY),
    "decentlab/dl-smtp": (_soil_profile(), _BATTERY),
    "decentlab/dl-tbrg": (
        _group(
            4,
            precipitation=_rain(lambda words: words[0]),
            precipitation_interval=_number(1),
            cumulative_precipitation=_rain(lambda words: _double(2, words)),
        ),
        _BATTERY,
    ),
    "decentlab/dl-tp": (
        _group(16, **_signed_words(0, **{f"temperature_at_level_{level}": 100 for level in range(16)})),
        _BATTERY,
    ),
    "decentlab/dl-trs11": (_group(2, **_TEROS), _BATTERY),
    "decentlab/dl-trs12": (_group(3, **_TEROS, electrical_conductivity=_number(2)), _BATTERY),
    "decentlab/dl-trs21": (
        _group(2, water_potential=_number(0, per=-10), soil_temperature=_signed(1, 10)),
        _BATTERY,
    ),
    "decentlab/dl-wrm": (
        _SHT35,
        _group(2, surface_temperature=_number(0, 1000, 10), head_temperature=_number(1, 1000, 10)),
        _BATTERY,
    ),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    version, _device_id, flags = frame.unpack(">BHH")
    if version != 2:
        raise FrameError("implausible", f"protocol version {version}, expected 2")
    groups = MODELS[context.model]
    if flags >> len(groups):
        raise FrameError("implausible", f"flags {flags:04x} name sensors that this model does not have")
    present = [group for bit, group in enumerate(groups) if flags >> bit & 1]
    count = sum(length for length, _values in present)
    frame.expect(5 + 2 * count)
    words = frame.unpack(f">{count}H", 5)
    found: dict[str, Any] = {}
    at = 0
    for length, values in present:
        part = words[at : at + length]
        for name, convert in values.items():
            value = convert(part, context)
            if value is not None:
                found[name] = {"value": value}
        at += length
    return found
