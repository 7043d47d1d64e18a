"""How many data requests are worked on at a time: the account's limit, a short queue, then a refusal."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

#: Requests that may wait for a place, as the vendor documents it.
QUEUE = 16


class Served(NamedTuple):
    """When a data request held a place, on the emulator's monotonic clock.

    Attributes:
        start: When it got the place.
        end: When it gave it back, just before its last byte.
    """

    start: float
    end: float


class Overflow(Exception):  # noqa: N818 - an answer, not a fault
    """The queue is full, or the Terminal is stopping."""


class Gate:
    """Places for data requests, given in the order of asking.

    Args:
        limit: How many places.
        monotonic: Tells the time.
    """

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        self.limit = limit
        self.in_flight_max = 0
        self.refused = 0
        self._monotonic = monotonic
        self._turn = threading.Condition()
        self._busy = 0
        self._waiting: deque[object] = deque()
        self._served: list[Served] = []
        self._open = True

    @property
    def served(self) -> tuple[Served, ...]:
        """When places were held, by requests that are done."""
        with self._turn:
            return tuple(self._served)

    def open(self) -> None:
        """Let requests in."""
        with self._turn:
            self._open = True

    def close(self) -> None:
        """Turn away everyone who waits, and who comes."""
        with self._turn:
            self._open = False
            self._turn.notify_all()

    @contextmanager
    def place(self) -> Iterator[Callable[[], None]]:
        """Hold a place; what is given gives it back early, and may be called more than once.

        Raises:
            Overflow: All places are taken and the queue is full.
        """
        self._enter()
        start = self._monotonic()
        given_back = False

        def leave() -> None:
            nonlocal given_back
            if not given_back:
                given_back = True
                self._leave(start)

        try:
            yield leave
        finally:
            leave()

    def _enter(self) -> None:
        with self._turn:
            if self._busy >= self.limit and len(self._waiting) >= QUEUE:
                self.refused += 1
                raise Overflow
            ticket = object()
            self._waiting.append(ticket)
            self.in_flight_max = max(self.in_flight_max, self._busy + len(self._waiting))
            self._turn.wait_for(lambda: not self._open or (self._waiting[0] is ticket and self._busy < self.limit))
            self._waiting.remove(ticket)
            if not self._open:
                raise Overflow
            self._busy += 1
            self._turn.notify_all()

    def _leave(self, start: float) -> None:
        with self._turn:
            self._busy -= 1
            self._served.append(Served(start, self._monotonic()))
            self._turn.notify_all()
