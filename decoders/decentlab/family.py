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


def _illuminance(words: Words, context: Context) -> float:
    """From two photodiodes: all light, and infrared alone."""
    everything, infrared = words
    return max(everything - 1.64 * infrared, 0.59 * everything - 0.86 * infrared, 0) * 1.5504


def _group(words: int, **values: Convert) -> Group:
    return words, values


_BATTERY = _group(1, battery_voltage=_number(0, per=1000))
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
_KELLER = _group(2, pressure=_keller_pressure, temperature=_number(1, 16384, 320))


def _wind(at: int) -> Mapping[str, Convert]:
    """METER's anemometer, in the weather stations too."""
    return {
        "wind_speed": _signed(at, 100),
        "wind_direction": _signed(at + 1, 10),
        "maximum_wind_speed": _signed(at + 2, 100),
        "air_temperature": _signed(at + 3, 10),
    }


_SKY: Mapping[str, Convert] = {
    "lightning_strike_count": _signed(2),
    "lightning_average_distance": _signed(3),
    **_wind(4),
    "vapor_pressure": _signed(8, 100),
    "relative_humidity": _signed(10, 10),
}


def _ctd10(conductivity: Convert) -> Group:
    return _group(
        4,
        water_depth=_signed(0),
        temperature=_signed(1, 10),
        electrical_conductivity=conductivity,
        freezing_flag=_number(3),
    )


def _aqualabo(**values: Convert) -> Group:
    """A digital water probe: its status, its temperature, and three values of its own."""
    return _group(5, status=_number(0), temperature=_signed(1, 100), **values)


def _lidar() -> Group:
    names = (
        "average", "minimum", "maximum", "median", "10th_percentile", "25th_percentile", "75th_percentile",
        "90th_percentile", "most_frequent_value",
    )  # fmt: skip
    distances = {f"distance_{name}": _if_any(9, _number(at)) for at, name in enumerate(names)}
    return _group(
        11, **distances, number_of_samples=_number(9), total_acquisition_time=_number(10, per=1.024)
    )


def _particles() -> Group:
    masses = ("pm1_0_mass", "pm2_5_mass", "pm4_mass", "pm10_mass")
    numbers = ("pm0_5_number", "pm1_0_number", "pm2_5_number", "pm4_number", "pm10_number")
    concentrations = {
        f"{name}_concentration": _number(at, per=10)
        for first, names in ((0, masses), (5, numbers))
        for at, name in enumerate(names, first)
    }
    return _group(10, **concentrations, typical_particle_size=_number(4))


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


# the groups, from the lowest flag on
MODELS: Mapping[str, tuple[Group, ...]] = {
    "decentlab/dl-5tm": (
        _group(
            2,
            dielectric_permittivity=_number(0, per=50),
            volumetric_water_content=_topp,
            soil_temperature=_number(1, 400, 10),
        ),
        _BATTERY,
    ),
    "decentlab/dl-atm22": (
        _group(
            8,
            **_wind(0),
            x_orientation_angle=_signed(4, 10),
            y_orientation_angle=_signed(5, 10),
            north_wind_speed=_signed(6, 100),
            east_wind_speed=_signed(7, 100),
        ),
        _BATTERY,
    ),
    "decentlab/dl-atm41": (
        _group(
            17,
            solar_radiation=_signed(0),
            precipitation=_signed(1, 1000),
            **_SKY,
            atmospheric_pressure=_signed(9, 100),
            sensor_temperature_internal=_signed(11, 10),
            x_orientation_angle=_signed(12, 10),
            y_orientation_angle=_signed(13, 10),
            compass_heading=_signed(14),
            north_wind_speed=_signed(15, 100),
            east_wind_speed=_signed(16, 100),
        ),
        _BATTERY,
    ),
    "decentlab/dl-atm41g2": (
        _group(
            17,
            solar_radiation=_signed(0, 10),
            precipitation=_number(1, per=1000),
            **_SKY,
            barometric_pressure=_signed(9, 100),
            internal_temperature=_signed(11, 10),
            tilt_angle_x_orientation=_signed(12, 10),
            tilt_angle_y_orientation=_signed(13, 10),
            precipitation_electrical_conductivity=_signed(14),
            cumulative_precipitation=lambda words, context: _double(15, words) / 1000,
        ),
        _BATTERY,
    ),
    "decentlab/dl-ctd10": (_ctd10(_number(2)), _BATTERY),
    # the conductivity in steps of 2 µS/cm
    "decentlab/dl-ctd10b": (_ctd10(lambda words, context: words[2] * 2), _BATTERY),
    "decentlab/dl-cws2": (
        _group(
            2,
            air_temperature_radiation_shield=_SHT35[1]["air_temperature"],
            air_humidity_radiation_shield=_SHT35[1]["air_humidity"],
        ),
        _group(
            6,
            surface_temperature=_signed(0, 100),
            air_temperature=_signed(1, 100),
            air_humidity=_signed(2, 100),
            dew_point=_signed(3, 100),
            angle=_signed(4),
            sensor_temperature=_signed(5, 100),
        ),
        _BATTERY,
    ),
    "decentlab/dl-ds18": (_group(1, temperature=_signed(0, 16)), _BATTERY),
    "decentlab/dl-iam": (
        _BATTERY,
        _SHT35,
        _BAROMETER,
        _group(
            2,
            ambient_light_visible_infrared=_number(0),
            ambient_light_infrared=_number(1),
            illuminance=_illuminance,
        ),
        _group(3, co2_concentration=_signed(0), co2_sensor_status=_number(1), raw_ir_reading=_number(2)),
        _group(1, activity_counter=_number(0)),
        _group(1, total_voc=_number(0)),
    ),
    "decentlab/dl-lid": (_lidar(), _BATTERY),
    "decentlab/dl-lp8p": (
        _SHT21,
        _group(
            2,
            barometer_temperature=_number(0, 5000, 100),
            barometric_pressure=lambda words, context: words[1] * 2,
        ),
        _group(
            8,
            co2_concentration=_signed(0),
            co2_concentration_lpf=_signed(1),
            co2_sensor_temperature=_signed(2, 100),
            capacitor_voltage_1=_number(3, per=1000),
            capacitor_voltage_2=_number(4, per=1000),
            co2_sensor_status=_number(5),
            raw_ir_reading=_number(6),
            raw_ir_reading_lpf=_number(7),
        ),
        _BATTERY,
    ),
    "decentlab/dl-mbx": (
        _group(2, distance=_if_any(1, _number(0)), number_of_valid_samples=_number(1)),
        _BATTERY,
    ),
    "decentlab/dl-mes5": (
        _aqualabo(
            sludge_blanket=_number(2, per=100),
            suspended_solid=_number(3, per=100),
            turbidity=_number(4, per=10),
        ),
        _BATTERY,
    ),
    "decentlab/dl-ntu": (
        _aqualabo(
            turbidity_in_ntu=_number(2, per=10),
            turbidity_in_fnu=_number(3, per=10),
            turbidity_in_mg_l=_number(4, per=10),
        ),
        _BATTERY,
    ),
    "decentlab/dl-optod": (
        _aqualabo(
            oxygen_saturation=_signed(2, 100),
            oxygen_concentration=_signed(3, 100),
            oxygen_concentration_alt=_signed(4, 100),
        ),
        _BATTERY,
    ),
    "decentlab/dl-pheht": (
        _aqualabo(ph=_signed(2, 100), redox=_signed(3, 10), ph_mv=_signed(4, 10)),
        _BATTERY,
    ),
    "decentlab/dl-pm": (_BATTERY, _particles(), _SHT21, _BAROMETER),
    "decentlab/dl-pr21": (_KELLER, _BATTERY),
    "decentlab/dl-pr26": (_KELLER, _BATTERY),
    "decentlab/dl-pr36ctd": (
        _group(
            4,
            pressure=_counts(0, "counts_per_bar"),
            temperature_electronics=_signed(1, 256),
            temperature_pt1000=_signed(2, 256),
            electrical_conductivity=_counts(3, "counts_per_mscm"),
        ),
        _BATTERY,
    ),
    # 5 W/m² for each mV, 3000 mV at the end of the scale
    "decentlab/dl-pyr": (
        _group(1, total_solar_radiation=lambda words, context: (words[0] - 32768) * 15000 / 32768),
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
    "decentlab/dl-trs12": (
        _group(
            3,
            dielectric_permittivity=_teros_permittivity,
            # the maker's line for mineral soil
            volumetric_water_content=lambda words, context: words[0] / 10 * 3.879e-4 - 0.6956,
            soil_temperature=_signed(1, 10),
            electrical_conductivity=_number(2),
        ),
        _BATTERY,
    ),
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
