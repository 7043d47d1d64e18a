"""A request that is too large for the Terminal (570), asked for in parts: by time, then by strike."""

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

from spxdata.errors import NoData, TooLarge
from spxdata.model import Unit
from spxdata.schema import STEP_MINUTES
from spxdata.sessions import session

#: The bodies of one request: its pages, or the one that it has; each is read before the next is asked for.
Bodies = Generator[Iterator[bytes], None, None]


class Window(NamedTuple):
    """The minutes of the day asked for, both included."""

    first: int
    last: int

    def halves(self, step: int) -> tuple["Window", "Window"]:
        """Return two windows that together have the same points of a grid that begins at `first`."""
        points = (self.last - self.first) // step
        middle = self.first + points // 2 * step
        return Window(self.first, middle), Window(middle + step, self.last)


def unit_window(unit: Unit) -> Window:
    """Return the session of a unit; nothing else is asked for.

    Raises:
        NoData: It has none.
    """
    hours = session(unit.root, unit.trade_date, unit.expiration)
    if hours is None:
        raise NoData(f"{unit.root} has no session on {unit.trade_date} for expiration {unit.expiration}.")
    return Window(hours.open, hours.close)


def in_parts(
    unit: Unit, whole: Window, bodies: Callable[[Window], Bodies], by_strike: Callable[[Window], Bodies]
) -> Bodies:
    """Yield the bodies of a unit that is too large as a whole."""
    step = STEP_MINUTES[unit.interval]
    for half in whole.halves(step):
        yield from parts(half, step, bodies, by_strike)


def parts(
    window: Window, step: int, bodies: Callable[[Window], Bodies], by_strike: Callable[[Window], Bodies]
) -> Bodies:
    """Yield the bodies of a window, in as few parts as the Terminal allows.

    Args:
        window: The minutes asked for.
        step: Minutes between two rows.
        bodies: Asks for a window; raises `TooLarge` before its first body, or not at all.
        by_strike: Asks for a window of one point strike by strike.

    Raises:
        TooLarge: Even the smallest part is too large.
    """
    try:
        yield from bodies(window)
    except NoData:
        return  # no row in this part of the day; that rows are missing would show as a hole
    except TooLarge:
        smallest = window.last - window.first < step
    else:
        return
    if smallest:
        yield from by_strike(window)
        return
    for half in window.halves(step):
        yield from parts(half, step, bodies, by_strike)
