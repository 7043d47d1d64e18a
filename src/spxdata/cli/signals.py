"""Ctrl-C, SIGTERM and SIGHUP end a command the same way, and at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into a KeyboardInterrupt within the block.

    A SIGHUP that is ignored stays so: whoever starts a command with nohup wants it to outlive the terminal.

    SIGINT is set although Python's own handler does the same: polars replaces that one, when it is imported, by
    one that lets the system restart interrupted waits, and a main thread that waits for a lock never wakes up.
    """
    if threading.current_thread() is not threading.main_thread():  # handlers can be set there only
        yield
        return
    before = {number: signal.signal(number, _interrupt) for number in _numbers()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _numbers() -> Iterator[signal.Signals]:
    yield from (signal.SIGINT, signal.SIGTERM)
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        yield hang_up


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
