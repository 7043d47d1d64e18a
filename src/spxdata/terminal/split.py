"""What of a unit one request asks for, and how one that is too large for the Terminal (570) is asked for in parts."""

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from spxdata.errors import CutOff, NoData, TooLarge
from spxdata.model import Right, Unit
from spxdata.schema import CHAIN_STEP_MS, DATASETS, STEP_MS, Rows, Subject
from spxdata.sessions import clock, session

#: The bodies of one request: its pages, or the one that it has; each is read before the next is asked for.
Bodies = Generator[Iterator[bytes], None, None]

_MINUTE_MS = 60_000


class Window(NamedTuple):
    """The milliseconds of the day asked for (New York), both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"from {clock(self.first // _MINUTE_MS)} to {clock(self.last // _MINUTE_MS)}"

    def halves(self, step: int) -> "tuple[Window, Window]":
        """Return two windows that together have the same points of a grid that begins at `first`."""
        points = (self.last - self.first) // step
        middle = self.first + points // 2 * step
        return Window(self.first, middle), Window(middle + step, self.last)


class Part(NamedTuple):
    """What one request asks for.

    Attributes:
        unit: Whose rows.
        window: Which milliseconds of its day.
        expiration: Which expiration; None for all of the day.
        contract: Which strike (dollars) and right; None for all.
    """

    unit: Unit
    window: Window
    expiration: date | None
    contract: tuple[float, Right] | None = None

    def __str__(self) -> str:
        contract = f" {self.contract[0]:g} {self.contract[1]}" if self.contract else ""
        return f"{self.unit}{contract}"

    @property
    def step(self) -> int | None:
        """Milliseconds between two points that a window can be cut at; None if it has no times at all."""
        dataset = DATASETS[self.unit.dataset]
        kind = dataset.rows_at(self.unit.interval)
        if kind is Rows.DAILY:
            return None
        return STEP_MS[self.unit.interval] if kind is Rows.GRID else 1


def whole_of(unit: Unit) -> Part:
    """Return the part that is all of a unit: its session, and nothing else.

    Raises:
        NoData: It has none.
    """
    hours = session(unit.root, unit.trade_date, unit.expiration)
    if hours is None:
        raise NoData(f"{unit.root} has no session on {unit.trade_date} for expiration {unit.expiration}.")
    return Part(unit, Window(hours.open * _MINUTE_MS, hours.close * _MINUTE_MS), unit.expiration)


def is_chain_refused(unit: Unit) -> bool:
    """Tell whether the Terminal gives a unit contract by contract only: chains come by the minute at the shortest."""
    dataset = DATASETS[unit.dataset]
    of_contracts = dataset.subject is Subject.OPTION and dataset.rows is Rows.GRID
    return of_contracts and STEP_MS.get(unit.interval, 0) < CHAIN_STEP_MS


@dataclass(slots=True)
class Asked:
    """What was asked for to get a whole.

    Attributes:
        whole: What the parts are of.
        first: The first request that was sent.
        requests: How many were sent; the later pages of one are none.
        bodies: How many were answered, later pages among them.
    """

    whole: Part
    first: str = ""
    requests: int = 0
    bodies: int = 0
    _by: dict[str, None] = field(default_factory=dict)

    def note(self, part: Part, request: str) -> None:
        """Take note of a request that is sent for a part."""
        self.first = self.first or request
        self.requests += 1
        differs = {
            "time": part.window != self.whole.window,
            "expiration": part.expiration != self.whole.expiration,
            "contract": part.contract != self.whole.contract,
        }
        self._by.update(dict.fromkeys(by for by, is_so in differs.items() if is_so))

    def counted(self, bodies: Bodies) -> Bodies:
        """Pass bodies on, and count them."""
        for body in bodies:
            self.bodies += 1
            yield body

    def __str__(self) -> str:
        """Return the first request, and how the whole was split if it was."""
        if not self._by:
            return self.first
        return f"{self.first} (split by {' and '.join(self._by)}, {self.requests:,} requests)"


class Asks(NamedTuple):
    """How parts are asked for.

    Attributes:
        bodies: Asks for a part; raises `TooLarge` before its first body, or not at all.
        expirations: The expirations of a day.
        contracts: The strikes and rights of an expiration.
    """

    bodies: Callable[[Part], Bodies]
    expirations: Callable[[Unit], tuple[date, ...]]
    contracts: Callable[[Unit, date], tuple[tuple[float, Right], ...]]


def bodies_of(part: Part, asks: Asks) -> Bodies:
    """Yield the bodies of a part, in smaller parts where the Terminal finds it too large.

    Raises:
        NoData: The Terminal says that it has no rows.
        TooLarge: Even the smallest part is too large.
    """
    try:
        yield from asks.bodies(part)
    except TooLarge:
        yield from in_parts(part, asks)


def in_parts(part: Part, asks: Asks) -> Bodies:
    """Yield the bodies of a part that is too large: by time, then by expiration, then by contract.

    Raises:
        CutOff: A stretch of time without a grid, where no hole would show, has no rows though the rest has.
        TooLarge: Even the smallest part is too large.
    """
    silent: Part | None = None
    came = False
    for smaller in _smaller(part, asks):
        is_silent = True
        for body in _twice(smaller, asks):
            came, is_silent = True, False
            yield body
        if is_silent:
            silent = silent or smaller
        is_of_ticks = DATASETS[part.unit.dataset].rows_at(part.unit.interval) is Rows.TICKS
        if came and silent and silent.window != part.window and is_of_ticks:
            raise CutOff(f"The Terminal finds {part} too large for one reply, but sends nothing {silent.window}.")


def _twice(part: Part, asks: Asks) -> Bodies:
    """Yield the bodies of a part, asked for once more if it is said to have no rows; none if it is said twice."""
    for _ in range(2):
        with suppress(NoData):
            yield from bodies_of(part, asks)
            return


def by_contract(part: Part, asks: Asks) -> Bodies:
    """Yield the bodies of an expiration, contract by contract; that one has no rows is common, or shows as a gap."""
    if part.expiration is None:
        raise TooLarge(f"{part} is too large, and has no expiration to take contracts from.")
    for contract in asks.contracts(part.unit, part.expiration):
        with suppress(NoData):
            yield from bodies_of(part._replace(contract=contract), asks)


def _smaller(part: Part, asks: Asks) -> Iterator[Part]:
    """Yield what a part consists of."""
    if part.step and part.window.last - part.window.first >= part.step:
        for half in part.window.halves(part.step):
            yield part._replace(window=half)
    elif part.expiration is None and DATASETS[part.unit.dataset].subject is Subject.OPTION:
        for expiration in asks.expirations(part.unit):
            yield part._replace(expiration=expiration)
    elif part.expiration is not None and part.contract is None:
        for contract in asks.contracts(part.unit, part.expiration):
            yield part._replace(contract=contract)
    else:
        raise TooLarge(f"{part} is too large for the Terminal even in the smallest parts.")
