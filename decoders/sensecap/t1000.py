"""SenseCAP T1000-A and T1000-B, trackers as large as a credit card. Big endian.

After "Payload Format" of the T1000 in the vendor's wiki, and published frames.

    f_port 5
    06 EEEEEE MM SSSSSSSS NNNNNNNN LLLLLLLL TTTT HHHH BB    position          09 the same without T and H
    07 EEEEEE MM SSSSSSSS AAAAAAAAAAAARR x 4 TTTT HHHH BB   Wi-Fi around it   0a
    08 EEEEEE MM SSSSSSSS AAAAAAAAAAAARR x 3 TTTT HHHH BB   beacons           0b
    11 OO EEEEEE SSSSSSSS TTTT HHHH BB                      no position
    01, 02  BB FFFF WWWW ...    settings, after joining     05  BB MM PP OO   it lives
    0d      CCCCCCCC            why there is no position    0e, 0f, 10 ...    what a service must solve
    f_port 192, 199: for the network's location service
E what happened, a bit each, kept as a number    M which movement    S Unix time    N, L longitude, latitude, 1e-6 °
T temperature, int16, 0.1 °C    H light, %    B battery, %    A, R an address and how strong it was heard
F, W versions of firmware and hardware

Positions by Wi-Fi and Bluetooth are addresses, which only a service can look up.
"""

from smartdorf.decoding import Context, Frame, FrameError

# kind of message: how many addresses it has (None: a position), and whether temperature and light follow
_LOCATED = {
    0x06: (None, True),
    0x07: (4, True),
    0x08: (3, True),
    0x09: (None, False),
    0x0A: (4, False),
    0x0B: (3, False),
}
_SERVICE_PORTS = (192, 199)
_HEAD, _ADDRESS = 9, 7  # bytes


def decode(frame: Frame, context: Context) -> dict:
    if frame.f_port in _SERVICE_PORTS:
        frame.require(1)
        return {"payload": frame.data.hex()}
    if frame.f_port != 5:
        raise FrameError.unknown_f_port(frame)
    kind = frame.u8(0)
    if kind in _LOCATED:
        return _located(frame, *_LOCATED[kind])
    read = _OTHER.get(kind)
    if read is None:
        raise FrameError("implausible", f"no message of type {kind:02x}")
    return read(frame)


def _settings(frame: Frame) -> dict:
    frame.require(7)
    battery, *versions = frame.unpack("5B", 1)
    return {
        "Battery": battery,
        "Firmware Version": f"{versions[0]}.{versions[1]}",
        "Hardware Version": f"{versions[2]}.{versions[3]}",
        "settings": frame.data[6:].hex(),
    }


def _alive(frame: Frame) -> dict:
    frame.expect(5)
    return {"Battery": frame.u8(1), "Work Mode": frame.u8(2)}


def _error(frame: Frame) -> dict:
    frame.expect(5)
    return {"error": frame.u32(1)}


def _unsolved(frame: Frame) -> dict:
    frame.require(2)
    return {"unsolved": frame.data.hex()}


def _no_position(frame: Frame) -> dict:
    frame.expect(14)
    found = {"Positioning Status": frame.u8(1), "Event Status": frame.u24(2), "timestamp": frame.u32(5)}
    return found | _surroundings(frame, 9)


def _located(frame: Frame, addresses: int | None, surroundings: bool) -> dict:
    middle = 8 if addresses is None else addresses * _ADDRESS
    frame.expect(_HEAD + middle + (5 if surroundings else 1))
    found: dict = {"Event Status": frame.u24(1), "motionId": frame.u8(4), "timestamp": frame.u32(5)}
    if addresses is None:
        longitude, latitude = frame.unpack(">ii", _HEAD)
        found |= {"Longitude": longitude / 1e6, "Latitude": latitude / 1e6}
    else:
        found["scan"] = [_heard(frame, _HEAD + _ADDRESS * number) for number in range(addresses)]
    end = _HEAD + middle
    return found | (_surroundings(frame, end) if surroundings else {"Battery": frame.u8(end)})


def _heard(frame: Frame, at: int) -> dict:
    return {"mac": frame.part(at, 6).hex(":"), "rssi": frame.i8(at + 6)}


def _surroundings(frame: Frame, at: int) -> dict:
    temperature, light, battery = frame.unpack(">hHB", at)
    return {"Air Temperature": temperature / 10, "Light": light, "Battery": battery}


_OTHER = {
    0x01: _settings,
    0x02: _settings,
    0x05: _alive,
    0x0D: _error,
    0x0E: _unsolved,
    0x0F: _unsolved,
    0x10: _unsolved,
    0x11: _no_position,
}
