"""A Theta Terminal of our own (v2 and v3): a made-up or recorded market, sharing no code with the client."""

from spxdata.emulator.faults import Fault
from spxdata.emulator.server import Emulator

__all__ = ["Emulator", "Fault"]
