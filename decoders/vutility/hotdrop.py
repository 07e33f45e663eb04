"""Vutility HotDrop, current clamp that lives on the current it measures. f_port 3, 11 bytes, big endian.

After the vendor's published codec and its example frames.

    32 CCCCCCCC AAAA XX NN VV TT
C charge, 0.1 Ah   A average current, 0.1 A   X, N the highest and lowest, in per cent above and below the average
V store, 255 are 5 V   T temperature, 255 are 120 °C above -40 °C
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 3:
        raise FrameError.unknown_f_port(frame)
    frame.expect(11)
    kind, charge, average, above, below, store, temperature = frame.unpack(">BIHBBBB")
    if kind != 0x32:
        raise FrameError("implausible", f"a packet of kind {kind:02x}, expected 32")
    return {
        "ampHourAccumulation": charge / 10,
        "averageAmps": average / 10,
        "maximumAmps": average * (100 + above) / 1000,
        "minimumAmps": average * (100 - below) / 1000,
        "capacitorVoltage": store * 5 / 255,
        "temperatureCelsius": temperature * 120 / 255 - 40,
    }
