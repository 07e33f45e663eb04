"""From the bytes of a sensor to measurements.

What stands here is all that a codec in ``decoders/`` may import of smartdorf: see docs/decoders.md.
"""

from smartdorf.decoding import parts
from smartdorf.decoding.codec import Context
from smartdorf.decoding.frame import Frame, FrameError

__all__ = ["Context", "Frame", "FrameError", "parts"]
