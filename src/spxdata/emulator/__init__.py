"""A Theta Terminal of our own (v3): a made-up or recorded market, sharing no code with the client."""

from spxdata.emulator.server import Emulator

__all__ = ["Emulator"]
