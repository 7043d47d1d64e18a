"""Trading days and hours of the emulated exchange, worked out by rule (its own: nothing is shared with the client)."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

#: Minutes since midnight, New York.
OPEN = 9 * 60 + 30
CLOSE = 16 * 60
LATE_CLOSE = 16 * 60 + 15
EARLY_CLOSE = 13 * 60
EARLY_LATE_CLOSE = 13 * 60 + 15

#: Days the exchange stayed shut for a reason no rule knows.
SPECIAL_CLOSURES = {
    date(2012, 10, 29): "Hurricane Sandy",
    date(2012, 10, 30): "Hurricane Sandy",
    date(2018, 12, 5): "Mourning for George H. W. Bush",
    date(2025, 1, 9): "Mourning for Jimmy Carter",
}

_SATURDAY, _SUNDAY = 5, 6


@dataclass(frozen=True, slots=True)
class Session:
    """The minutes in which one expiration is quoted on one day; both ends belong to it.

    Attributes:
        first: First minute of the grid, since midnight in New York.
        last: Last minute of the grid.
    """

    first: int
    last: int


def is_trading_day(day: date) -> bool:
    """Tell whether the exchange opens on a day."""
    return day.weekday() < _SATURDAY and day not in holidays(day.year)


def is_early_close(day: date) -> bool:
    """Tell whether stocks stop at 13:00 on a trading day."""
    if not is_trading_day(day):
        return False
    if day == _nth_weekday(day.year, 11, 3, 4) + timedelta(days=1):
        return True
    if (day.month, day.day) == (12, 24):
        return True
    # The day before Independence Day, unless that one fell on a weekend and moved.
    return (day.month, day.day) == (7, 3) and date(day.year, 7, 4).weekday() < _SATURDAY


def next_trading_day(day: date) -> date:
    """Give the first trading day after a day."""
    day += timedelta(days=1)
    while not is_trading_day(day):
        day += timedelta(days=1)
    return day


def previous_trading_day(day: date) -> date:
    """Give the last trading day before a day."""
    day -= timedelta(days=1)
    while not is_trading_day(day):
        day -= timedelta(days=1)
    return day


def session(day: date, *, expires_today: bool) -> Session:
    """Give the quoting minutes of a PM-settled expiration, or of one that lives on, on a trading day."""
    if is_early_close(day):
        return Session(OPEN, EARLY_CLOSE if expires_today else EARLY_LATE_CLOSE)
    return Session(OPEN, CLOSE if expires_today else LATE_CLOSE)


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """Give the weekdays of a year on which the exchange is shut."""
    days = {
        _nth_weekday(year, 1, 0, 3),  # Martin Luther King Jr. Day
        _nth_weekday(year, 2, 0, 3),  # Washington's Birthday
        _easter(year) - timedelta(days=2),  # Good Friday
        _last_monday_of_may(year),  # Memorial Day
        _observed(date(year, 7, 4)),
        _nth_weekday(year, 9, 0, 1),  # Labor Day
        _nth_weekday(year, 11, 3, 4),  # Thanksgiving Day
        _observed(date(year, 12, 25)),
    }
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))  # Juneteenth
    if date(year, 1, 1).weekday() != _SATURDAY:  # a New Year's Day on Saturday is not made up for
        days.add(_observed(date(year, 1, 1)))
    days.update(day for day in SPECIAL_CLOSURES if day.year == year)
    return frozenset(days)


def _observed(day: date) -> date:
    """Move a fixed holiday from Saturday to Friday and from Sunday to Monday."""
    if day.weekday() == _SATURDAY:
        return day - timedelta(days=1)
    if day.weekday() == _SUNDAY:
        return day + timedelta(days=1)
    return day


def _nth_weekday(year: int, month: int, weekday: int, n: int) -> date:
    """Give the n-th Monday (0), Tuesday (1), ... of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _easter(year: int) -> date:
    """Give Easter Sunday (Gauss, Gregorian calendar, as Lichtenberg mended it)."""
    century = year // 100
    moon = 15 + (3 * century + 3) // 4 - (8 * century + 13) // 25
    golden = year % 19
    full = (19 * golden + moon) % 30
    full -= (full + golden // 11) // 29
    # `full` days after 21 March is the full moon; Easter is the Sunday after it.
    paschal = date(year, 3, 21) + timedelta(days=full)
    return paschal + timedelta(days=7 - (paschal.weekday() + 1) % 7)
