"""A made-up village that speaks like a real one: frames of real sensors in events of ChirpStack, over MQTT.

Shares nothing with smartdorf's decoders and its reading of events, so that it can contradict them.
"""

from smartdorf.simulate.faults import Faults
from smartdorf.simulate.ledger import Ledger, Message
from smartdorf.simulate.stream import Encoding, simulate
from smartdorf.simulate.village import SimulatedDevice, SimulatedPlace, Story, Village

__all__ = [
    "Encoding",
    "Faults",
    "Ledger",
    "Message",
    "SimulatedDevice",
    "SimulatedPlace",
    "Story",
    "Village",
    "simulate",
]
