"""What Dragino's devices say alike: which frame an f_port carries, records that they kept, their status. Big endian.

    f_port 3: any number of records of 11 bytes, the last four of each the Unix time (a record without it is none)
    f_port 4: settings
    f_port 5, 7 bytes: device status
    MM  FFFF  RR  UU  BBBB
M model   F firmware, a digit each nibble   R frequency band   U sub band   B battery, mV
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Frame, FrameError

Found = dict[str, Any]
Reader = Callable[[Frame], Found]
RecordReader = Callable[[Frame, int], Found]
Layouts = Mapping[int, Reader]  # by f_port

BATTERY = 0x3FFF  # where it has 14 bits, the two above are flags
BANDS = (
    "EU868", "US915", "IN865", "AU915", "KZ865", "RU864", "AS923", "AS923_1", "AS923_2", "AS923_3", "CN470", "EU433",
    "KR920", "MA869",
)  # fmt: skip


def datalog(read_at: RecordReader, time: str) -> Reader:
    """Records of eleven bytes, kept by the device; one without a time is none."""

    def read(frame: Frame) -> Found:
        frame.require(11)
        if len(frame) % 11:
            raise FrameError("length", f"a datalog has records of 11 bytes, got {len(frame)} bytes")
        records = [read_at(frame, at) for at in range(0, len(frame), 11)]
        return {"DATALOG": [record for record in records if record[time]]}

    return read


def status(model: int, name: str) -> Reader:
    def read(frame: Frame) -> Found:
        frame.expect(7)
        said, firmware, band, sub_band, battery = frame.unpack(">BHBBH")
        if said != model:
            raise FrameError(
                "implausible", f"the frame says that it is model {said:02x}, this is {model:02x}"
            )
        return {
            "SENSOR_MODEL": name,
            "FIRMWARE_VERSION": f"{firmware >> 8 & 0xF}.{firmware >> 4 & 0xF}.{firmware & 0xF}",
            "FREQUENCY_BAND": BANDS[band - 1] if 0 < band <= len(BANDS) else band,
            "SUB_BAND": "NULL" if sub_band == 0xFF else sub_band,
            "BAT": battery / 1000,
        }

    return read


def recorder(now: Reader, record: RecordReader, time: str, rare: Reader, status: Reader) -> Layouts:
    """A device that keeps what it measured; ``rare`` is f_port 4."""
    return {2: now, 3: datalog(record, time), 4: rare, 5: status}


def logger(now: Reader, record: RecordReader, status: Reader) -> Layouts:
    return {2: now, 3: datalog(record, "TIME"), 5: status}
