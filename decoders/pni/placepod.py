"""PNI PlacePod, a magnetometer in or on the bay. Cayenne LPP with channels of the vendor's own. Big endian.

After "PlacePod Sensor Communication Protocol": any number of values, each with its channel and type.

    01 01 VV     recalibrated          1C 01 VV     deactivated        3F 01 VV     rebooted
    02 67 TTTT   temperature, int16, 0.1 °C
    03 02 BBBB   battery, int16, 0.01 V
    15 66 VV     state of the bay, when it has changed: 1 occupied, 0 free
    21 00 VV     vehicles counted (counting sensors); from 80 on it says that it was recalibrated or restarted
    37 66 VV     sign of life: state of the bay           37 00 VV   sign of life: vehicles counted
    05 00 VV, 06 00 VV   the vendor's own

If the bay's state comes more than once in a frame, the last counts. The vendor names no f_port.
"""

from collections.abc import Callable
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]
Reader = Callable[[Frame, int, Found], int]  # returns the position behind the value


def _yes_no(name: str) -> Reader:
    def read(frame: Frame, at: int, found: Found) -> int:
        value = frame.u8(at)
        if value > 1:
            raise FrameError("implausible", f"{name} is {value}, expected 0 or 1")
        found[name] = bool(value)
        return at + 1

    return read


def _number(name: str, divisor: int) -> Reader:
    def read(frame: Frame, at: int, found: Found) -> int:
        found[name] = frame.i16(at) / divisor
        return at + 2

    return read


def _vehicles(frame: Frame, at: int, found: Found) -> int:
    count = frame.u8(at)
    if count & 0x80:
        found["RecalibrationOrReboot"] = True
    else:
        found["VehicleCount"] = count
    return at + 1


def _internal(frame: Frame, at: int, found: Found) -> int:
    frame.u8(at)
    return at + 1


_VALUES: dict[tuple[int, int], Reader] = {
    (0x01, 0x01): _yes_no("Recalibrated"),
    (0x02, 0x67): _number("Temperature", 10),
    (0x03, 0x02): _number("Battery", 100),
    (0x05, 0x00): _internal,
    (0x06, 0x00): _internal,
    (0x15, 0x66): _yes_no("Occupied"),
    (0x1C, 0x01): _yes_no("Deactivated"),
    (0x21, 0x00): _vehicles,
    (0x37, 0x00): _vehicles,
    (0x37, 0x66): _yes_no("Occupied"),
    (0x3F, 0x01): _yes_no("RebootSucceed"),
}


def decode(frame: Frame, context: Context) -> Found:
    frame.require(3)
    found: Found = {}
    at = 0
    while at < len(frame):
        channel, kind = frame.unpack(">BB", at)
        read = _VALUES.get((channel, kind))
        if read is None:
            raise FrameError("implausible", f"byte {at}: channel {channel:02x} has no type {kind:02x}")
        at = read(frame, at + 2, found)
    return found
