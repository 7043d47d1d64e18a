"""Ctrl-C and SIGTERM end a command the same way, and at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a KeyboardInterrupt within the block.

    SIGINT is set although Python's own handler does the same: polars replaces that one, when it is imported, by
    one that lets the system restart interrupted waits, and a main thread that waits for a lock never wakes up.
    """
    if threading.current_thread() is not threading.main_thread():  # handlers can be set there only
        yield
        return
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
