"""What every Milesight sensor says about itself, whatever it measures: the part of their tables that is the same."""

from typing import Any

from smartdorf.decoding import Frame, parts


def _version(name: str, *, nibbles: bool = False) -> parts.Reader:
    """0110: v1.1 as hardware, v1.10 as firmware."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        major, minor = frame.u8(at), frame.u8(at + 1)
        found[name] = f"v{major}.{minor >> 4 if nibbles else f'{minor:x}'}"
        return at + 2

    return read


def _ipso(frame: Frame, at: int, found: dict[str, Any]) -> int:
    value = frame.u8(at)
    found["ipso_version"] = f"v{value >> 4}.{value & 0x0F}"
    return at + 1


INFORMATION: parts.Table = {
    b"\xff\x01": _ipso,
    b"\xff\x03": parts.number("report_interval", "<H"),
    b"\xff\x09": _version("hardware_version", nibbles=True),
    b"\xff\x0a": _version("firmware_version"),
    b"\xff\x0b": parts.fixed("device_status", "on"),
    b"\xff\x0f": parts.word("lorawan_class", "Class A", "Class B", "Class C", "Class CtoB"),
    b"\xff\x10": parts.fixed("reboot", "yes"),
    b"\xff\x16": parts.raw("sn", 8),
    b"\xff\xfe": parts.fixed("reset_event", "reset"),
    b"\xff\xff": _version("tsl_version"),
    b"\x01\x75": parts.number("battery", "<B"),
}
TEMPERATURE = parts.number("temperature", "<h", 10)


def record(*readers: parts.Reader) -> parts.Reader:
    """One record of history: its Unix time in front."""
    return parts.each("history", parts.number("timestamp", "<I"), *readers)
