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

from collections.abc import Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

from .conversions import (
    Convert,
    Group,
    albedo,
    counts,
    double,
    group,
    if_any,
    illuminance,
    keller_pressure,
    loop_current,
    millivolts,
    number,
    rain,
    signed,
    signed_from,
    ten_hs,
    teros_permittivity,
    topp,
    words_from,
)

_BATTERY = group(1, **words_from(0, battery_voltage=1000))
_BAROMETER = group(1, barometric_pressure=lambda words, context: words[0] * 2)
_SHT21 = group(
    2,
    air_temperature=lambda words, context: 175.72 * words[0] / 65536 - 46.85,
    air_humidity=lambda words, context: 125 * words[1] / 65536 - 6,
)
_SHT35 = group(
    2,
    air_temperature=lambda words, context: 175 * words[0] / 65535 - 45,
    air_humidity=lambda words, context: 100 * words[1] / 65535,
)
_SHIELD = group(2, **{f"{name}_radiation_shield": convert for name, convert in _SHT35[1].items()})
_ROAD = group(
    6,
    **signed_from(
        0,
        surface_temperature=100,
        air_temperature=100,
        air_humidity=100,
        dew_point=100,
        angle=1,
        sensor_temperature=100,
    ),
)
_KELLER = group(2, pressure=keller_pressure, temperature=number(1, 16384, 320))
_TEROS: Mapping[str, Convert] = {
    "dielectric_permittivity": teros_permittivity,
    # the maker's line for mineral soil
    "volumetric_water_content": lambda words, context: words[0] / 10 * 3.879e-4 - 0.6956,
    "soil_temperature": signed(1, 10),
}
_FIVE: Mapping[str, Convert] = {
    "dielectric_permittivity": number(0, per=50),
    "volumetric_water_content": topp,
    "soil_temperature": number(1, 400, 10),
}


def _wind(at: int) -> Mapping[str, Convert]:
    """METER's anemometer, in the weather stations too."""
    return signed_from(at, wind_speed=100, wind_direction=10, maximum_wind_speed=100, air_temperature=10)


_SKY: Mapping[str, Convert] = {
    **signed_from(2, lightning_strike_count=1, lightning_average_distance=1),
    **_wind(4),
    "vapor_pressure": signed(8, 100),
    "relative_humidity": signed(10, 10),
}


def _ctd10(conductivity: int) -> Group:
    """``conductivity``: µS/cm in one step."""
    return group(
        4,
        **signed_from(0, water_depth=1, temperature=10),
        electrical_conductivity=lambda words, context: words[2] * conductivity,
        freezing_flag=number(3),
    )


def _aqualabo(values: Mapping[str, Convert]) -> Group:
    """A digital water probe: its status, its temperature, and three values of its own."""
    return group(5, status=number(0), temperature=signed(1, 100), **values)


_DISTANCES = (
    "average", "minimum", "maximum", "median", "10th_percentile", "25th_percentile", "75th_percentile",
    "90th_percentile", "most_frequent_value",
)  # fmt: skip


def _lidar(samples: str, more: Mapping[str, Convert]) -> Group:
    """``samples``: what the count of valid ones is called."""
    distances = {f"distance_{name}": if_any(9, number(at)) for at, name in enumerate(_DISTANCES)}
    counts = words_from(9, **{samples: 1, "total_acquisition_time": 1.024})
    return 11 + len(more), {**distances, **counts, **more}


def _particles() -> Group:
    masses = [f"pm{size}_mass_concentration" for size in ("1_0", "2_5", "4", "10")]
    numbers = [f"pm{size}_number_concentration" for size in ("0_5", "1_0", "2_5", "4", "10")]
    return group(
        10,
        **words_from(0, **dict.fromkeys(masses, 10)),
        **words_from(4, typical_particle_size=1),
        **words_from(5, **dict.fromkeys(numbers, 10)),
    )


def _drill_and_drop(first: int) -> Group:
    """Six levels of the soil: their moistures, then their temperatures, then their salinities."""
    group: dict[str, Convert] = {}
    for at in range(6):
        group[f"moisture_at_level_{first + at}"] = signed(at, 100)
        group[f"temperature_at_level_{first + at}"] = signed(at + 6, 100)
        group[f"salinity_at_level_{first + at}"] = number(at + 12, 100)
    return 18, group


def _soil_profile() -> Group:
    """Eight depths, moisture and temperature of each."""
    group: dict[str, Convert] = {}
    for depth in range(8):
        group[f"soil_moisture_at_depth_{depth}"] = number(2 * depth, 2500, 500)
        group[f"soil_temperature_at_depth_{depth}"] = signed(2 * depth + 1, 100)
    return 16, group


_STATIONS: Mapping[str, Group] = {
    "atm41": group(
        17,
        **signed_from(0, solar_radiation=1, precipitation=1000),
        **_SKY,
        **signed_from(9, atmospheric_pressure=100),
        **signed_from(11, sensor_temperature_internal=10, x_orientation_angle=10, y_orientation_angle=10),
        **signed_from(14, compass_heading=1, north_wind_speed=100, east_wind_speed=100),
    ),
    "atm41g2": group(
        17,
        solar_radiation=signed(0, 10),
        precipitation=number(1, per=1000),
        **_SKY,
        **signed_from(9, barometric_pressure=100),
        **signed_from(11, internal_temperature=10, tilt_angle_x_orientation=10, tilt_angle_y_orientation=10),
        precipitation_electrical_conductivity=signed(14),
        cumulative_precipitation=lambda words, context: double(15, words) / 1000,
    ),
}
_LP8P = group(
    8,
    **signed_from(0, co2_concentration=1, co2_concentration_lpf=1, co2_sensor_temperature=100),
    **words_from(3, capacitor_voltage_1=1000, capacitor_voltage_2=1000, co2_sensor_status=1),
    **words_from(6, raw_ir_reading=1, raw_ir_reading_lpf=1),
)

# the groups, from the lowest flag on
MODELS: Mapping[str, tuple[Group, ...]] = {
    "decentlab/dl-10hs": (
        group(1, raw_sensor_reading=millivolts, volumetric_water_content=ten_hs),
        _BATTERY,
    ),
    "decentlab/dl-5te": (
        group(3, **_FIVE, electrical_conductivity=lambda words, context: words[2] * 10),
        _BATTERY,
    ),
    "decentlab/dl-5tm": (group(2, **_FIVE), _BATTERY),
    "decentlab/dl-alb": (
        group(2, **signed_from(0, incoming_radiation=10, reflected_radiation=10), albedo=albedo),
        _BATTERY,
    ),
    "decentlab/dl-atm22": (
        group(
            8,
            **_wind(0),
            **signed_from(4, x_orientation_angle=10, y_orientation_angle=10),
            **signed_from(6, north_wind_speed=100, east_wind_speed=100),
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
        group(
            4,
            **words_from(0, pulse_count=1, pulse_interval=1),
            cumulative_pulse_count=lambda words, context: double(2, words),
        ),
        _BATTERY,
    ),
    "decentlab/dl-dlr2-003": (group(1, input=number(0)), _BATTERY),
    "decentlab/dl-dlr2-004": (group(1, current=loop_current), _BATTERY),
    "decentlab/dl-ds18": (group(1, temperature=signed(0, 16)), _BATTERY),
    "decentlab/dl-ds182": (
        group(2, ch0_temperature=signed(0, 16), ch0_id=number(1)),
        group(2, ch1_temperature=signed(0, 16), ch1_id=number(1)),
        _BATTERY,
    ),
    "decentlab/dl-iam": (
        _BATTERY,
        _SHT35,
        _BAROMETER,
        group(
            2,
            **words_from(0, ambient_light_visible_infrared=1, ambient_light_infrared=1),
            illuminance=illuminance,
        ),
        group(3, co2_concentration=signed(0), **words_from(1, co2_sensor_status=1, raw_ir_reading=1)),
        group(1, activity_counter=number(0)),
        group(1, total_voc=number(0)),
    ),
    "decentlab/dl-itst": (
        group(2, temperature_target=number(0, 1000, 10), temperature_head=number(1, 1000, 10)),
        _BATTERY,
    ),
    "decentlab/dl-lid": (_lidar("number_of_samples", {}), _BATTERY),
    "decentlab/dl-lid2": (
        _lidar("number_of_valid_samples", words_from(11, number_of_total_samples=1)),
        _BATTERY,
    ),
    "decentlab/dl-lp8p": (
        _SHT21,
        group(
            2,
            barometer_temperature=number(0, 5000, 100),
            barometric_pressure=lambda words, context: words[1] * 2,
        ),
        _LP8P,
        _BATTERY,
    ),
    "decentlab/dl-mbx": (
        group(2, distance=if_any(1, number(0)), number_of_valid_samples=number(1)),
        _BATTERY,
    ),
    "decentlab/dl-mes5": (
        _aqualabo(words_from(2, sludge_blanket=100, suspended_solid=100, turbidity=10)),
        _BATTERY,
    ),
    "decentlab/dl-ntu": (
        _aqualabo(words_from(2, turbidity_in_ntu=10, turbidity_in_fnu=10, turbidity_in_mg_l=10)),
        _BATTERY,
    ),
    "decentlab/dl-optod": (
        _aqualabo(
            signed_from(2, oxygen_saturation=100, oxygen_concentration=100, oxygen_concentration_alt=100)
        ),
        _BATTERY,
    ),
    "decentlab/dl-pheht": (_aqualabo(signed_from(2, ph=100, redox=10, ph_mv=10)), _BATTERY),
    "decentlab/dl-pm": (_BATTERY, _particles(), _SHT21, _BAROMETER),
    "decentlab/dl-pr21": (_KELLER, _BATTERY),
    "decentlab/dl-pr26": (_KELLER, _BATTERY),
    "decentlab/dl-pr36": (
        group(2, pressure=counts(0, "counts_per_bar"), temperature=signed(1, 256)),
        _BATTERY,
    ),
    "decentlab/dl-pr36ctd": (
        group(
            4,
            pressure=counts(0, "counts_per_bar"),
            **signed_from(1, temperature_electronics=256, temperature_pt1000=256),
            electrical_conductivity=counts(3, "counts_per_mscm"),
        ),
        _BATTERY,
    ),
    "decentlab/dl-pyr": (
        # 5 W/m² for each mV
        group(1, total_solar_radiation=lambda words, context: millivolts(words, context) * 5),
        _BATTERY,
    ),
    "decentlab/dl-rhc": (
        group(
            4,
            sensor_id=lambda words, context: double(0, words),
            air_humidity=number(2, per=100),
            air_temperature=signed(3, 100),
        ),
        _BATTERY,
    ),
    "decentlab/dl-sdd": (_drill_and_drop(0), _drill_and_drop(6), _BATTERY),
    "decentlab/dl-sht21": (_SHT21, _BATTERY),
    "decentlab/dl-sht35": (_SHT35, _BATTERY),
    "decentlab/dl-smtp": (_soil_profile(), _BATTERY),
    "decentlab/dl-tbrg": (
        group(
            4,
            precipitation=rain(lambda words: words[0]),
            precipitation_interval=number(1),
            cumulative_precipitation=rain(lambda words: double(2, words)),
        ),
        _BATTERY,
    ),
    "decentlab/dl-tp": (
        group(16, **signed_from(0, **{f"temperature_at_level_{level}": 100 for level in range(16)})),
        _BATTERY,
    ),
    "decentlab/dl-trs11": (group(2, **_TEROS), _BATTERY),
    "decentlab/dl-trs12": (group(3, **_TEROS, electrical_conductivity=number(2)), _BATTERY),
    "decentlab/dl-trs21": (
        group(2, water_potential=number(0, per=-10), soil_temperature=signed(1, 10)),
        _BATTERY,
    ),
    "decentlab/dl-wrm": (
        _SHT35,
        group(2, surface_temperature=number(0, 1000, 10), head_temperature=number(1, 1000, 10)),
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
