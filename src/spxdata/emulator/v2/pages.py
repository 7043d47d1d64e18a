"""Answers cut into pages: numbered through all answers, kept until they are read, expire or are crowded out."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import polars as pl

from spxdata.emulator.reply import Asked, Refusal
from spxdata.emulator.words import text_of

NO_PAGE = (477, text_of(477))


class Answer:
    """An answer in pages, made as they are asked for; only the newest few stay.

    Args:
        frames: The rows, in pieces of any size.
        rows: Rows of a page.
    """

    def __init__(self, frames: Iterator[pl.DataFrame], rows: int) -> None:
        self._frames = frames
        self._rows = rows
        self._rest: pl.DataFrame | None = None
        self._made: dict[int, pl.DataFrame] = {}
        self._count = 0
        self._lock = threading.Lock()

    def page(self, number: int) -> tuple[pl.DataFrame, bool] | None:
        """Give a page, counted from 1, and whether another follows; None past the end.

        Raises:
            Refusal: 477: it has been read long ago.
        """
        with self._lock:
            # One further, to know whether it is the last.
            while self._count <= number and self._make():
                pass
            if number > self._count:
                return None
            if number not in self._made:
                raise Refusal(*NO_PAGE)
            return self._made[number], self._count > number

    def _make(self) -> bool:
        held = [] if self._rest is None else [self._rest]
        while sum(map(len, held)) < self._rows and (following := next(self._frames, None)) is not None:
            held.append(following)
        if not held:
            return False
        everything = pl.concat(held)
        rest = everything.slice(self._rows)
        self._rest = rest if len(rest) else None
        self._count += 1
        self._made[self._count] = everything.head(self._rows)
        # Besides the newest: the one asked for, the one before for who reads a page twice, and one more.
        self._made.pop(self._count - 4, None)
        return True


@dataclass(slots=True)
class Paged:
    """An answer whose later pages wait to be read.

    Attributes:
        asked: The request it answers.
        answer: Its pages.
        parameters: Those of the request: they say how pages are written.
        numbers: The global number of each later page that has been promised.
        touched: When it was last asked for.
    """

    asked: Asked
    answer: Answer
    parameters: dict[str, str]
    numbers: dict[int, int] = field(default_factory=dict)
    touched: float = 0.0


class Pages:
    """Every answer with pages left to read.

    The real Terminal lets a page go when it has waited too long while too many wait. Here either is enough: a client
    that survives this survives that.

    Args:
        room: How many answers may wait.
        expire: Seconds a page waits.
        monotonic: Tells the time.
    """

    def __init__(self, room: int, expire: float, monotonic: Callable[[], float]) -> None:
        self._room = room
        self._expire = expire
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._last = 0
        #: By page number: the answer, and which of its pages.
        self._waiting: dict[int, tuple[Paged, int]] = {}
        #: Answers by age, the least lately read first.
        self._open: OrderedDict[int, Paged] = OrderedDict()

    def promise(self, paged: Paged, page: int) -> int:
        """Give the number under which a page of an answer can be asked for."""
        with self._lock:
            if page not in paged.numbers:
                self._last += 1
                paged.numbers[page] = self._last
                self._waiting[self._last] = (paged, page)
            self._touch(paged)
            while len(self._open) > self._room:
                self._forget(next(iter(self._open.values())))
            return paged.numbers[page]

    def find(self, number: int) -> tuple[Paged, int]:
        """Give the answer and the page of it that a number stands for.

        Raises:
            Refusal: 477: there is none, or no more.
        """
        with self._lock:
            found = self._waiting.get(number)
            if found is None:
                raise Refusal(*NO_PAGE)
            paged, page = found
            if self._monotonic() - paged.touched > self._expire:
                self._forget(paged)
                raise Refusal(*NO_PAGE)
            return paged, page

    def peek(self, number: int) -> tuple[Paged, int] | None:
        """Give what a number stands for, expired or not; None for none."""
        with self._lock:
            return self._waiting.get(number)

    def close(self, paged: Paged) -> None:
        """Let go of an answer that has been read to its end."""
        with self._lock:
            self._forget(paged)

    def _touch(self, paged: Paged) -> None:
        paged.touched = self._monotonic()
        self._open[id(paged)] = paged
        self._open.move_to_end(id(paged))

    def _forget(self, paged: Paged) -> None:
        self._open.pop(id(paged), None)
        for number in paged.numbers.values():
            self._waiting.pop(number, None)
