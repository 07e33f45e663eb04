"""Where the village's content is: the folders that ship with smartdorf and those the settings add."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(kind: str) -> Path:
    """The shipped folder ``decoders``, ``gateways`` or ``rules``: inside the wheel, or the checkout's own."""
    packaged = _PACKAGE / "_content" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind
