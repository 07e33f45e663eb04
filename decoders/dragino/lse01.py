"""Dragino LSE01: moisture, temperature and conductivity of soil. Big endian.

After the LSE01 user manual, 2.3 "Uplink Payload".

    f_port 2, 11 bytes
    __BBBBBB BBBBBBBB  TTTT  WWWW  KKKK  EEEE  M__SIIII
B battery, mV   T temperature of an optional probe, int16, 0.1 °C   S the soil sensor is there   I interrupt
M 0: W moisture, 0.01 %   K temperature, int16, 0.01 °C   E conductivity, µS/cm
M 1: W permittivity, 0.1   K and E are raw. Before firmware 1.2.1 the bit meant nothing.

The vendor's formula for negative soil temperatures is off by one digit; they are plain int16.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_BATTERY = 0x3FFF


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 2:
        raise FrameError.unknown_f_port(frame)
    frame.expect(11)
    battery, probe, moisture, temperature, conductivity, flags = frame.unpack(">HhHhHB")
    found: dict[str, Any] = {
        "Bat": (battery & _BATTERY) / 1000,
        "TempC_DS18B20": probe / 10,
        "s_flag": flags >> 4 & 1,
        "i_flag": flags & 0x0F,
        "Mod": flags >> 7,
    }
    if flags >> 7:
        found["Soil_dielectric_constant"] = moisture / 10
        found["Raw_water_SOIL"] = temperature & 0xFFFF
        found["Raw_conduct_SOIL"] = conductivity
    else:
        found["water_SOIL"] = moisture / 100
        found["temp_SOIL"] = temperature / 100
        found["conduct_SOIL"] = conductivity
    return found
