"""Trading days and trading hours of index options, in New York time: pure, from the table sessions.csv.

The table holds what weekends don't explain: holidays by name, and days on which the exchange closes early.
It is written by scripts/make_sessions.py. Regular trading hours only: global (overnight) and curb hours are
out of scope.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from spxdata.errors import ConfigError

#: The time zone of every wall-clock time of this package.
NEW_YORK = ZoneInfo("America/New_York")

#: The first and the last day the table covers, both included. The last is the end of what the New York Stock
#: Exchange has announced; raise it once a year, then run scripts/make_sessions.py.
FIRST_DAY = date(2012, 6, 1)
LAST_DAY = date(2028, 12, 31)

#: Roots settled at the open of the settlement day, so that they last trade the day before it. Classic SPX is
#: the only one of the S&P 500; every root that is not here (SPXW, XSP, shares and funds) is settled at the
#: close and trades on that day. To archive another AM-settled root (NDX and RUT monthlies, say) add it here.
AM_SETTLED = frozenset({"SPX"})

_ONE_DAY = timedelta(days=1)
_WEEKEND = {5: "Saturday", 6: "Sunday"}

# Minutes of the day, New York. The closes are those of the underlying stocks, at which an expiring PM-settled
# contract stops; every other index option trades 15 minutes longer.
_OPEN = 9 * 60 + 30
_CLOSE, _EARLY_CLOSE = 16 * 60, 13 * 60
_AFTER_STOCKS = 15

Kind = Literal["intraday", "eod", "open_interest", "rate"]
# When the vendor publishes: calendar days after the trade date, and the time of that day in New York.
_PUBLISHED: dict[Kind, tuple[int, time]] = {
    "intraday": (1, time(2, 0)),
    "eod": (0, time(17, 30)),
    "open_interest": (0, time(6, 45)),
    "rate": (1, time(10, 0)),
}


class _Table(NamedTuple):
    """The shipped exceptions: day to name."""

    holidays: MappingProxyType[date, str]
    early_closes: MappingProxyType[date, str]


@cache
def _table() -> _Table:
    """Read sessions.csv, once."""
    by_kind: dict[str, dict[date, str]] = {"holiday": {}, "early_close": {}}
    text = resources.files("spxdata").joinpath("sessions.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        by_kind[row["kind"]][date.fromisoformat(row["date"])] = row["name"]
    return _Table(MappingProxyType(by_kind["holiday"]), MappingProxyType(by_kind["early_close"]))


def _require_covered(day: date) -> None:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ConfigError(
            f"{day} is outside the table of trading days, which covers {FIRST_DAY} to {LAST_DAY}.",
            hint=f"Choose a day from {FIRST_DAY} on."
            if day < FIRST_DAY
            else "Update spxdata: newer versions know later days.",
        )


def closed_because(day: date) -> str | None:
    """Why the exchange is closed all day.

    Args:
        day: A calendar day.

    Returns:
        "Saturday", "Sunday" or the holiday's name; None when the exchange is open.

    Raises:
        ConfigError: The table does not cover the day.
    """
    _require_covered(day)
    return _WEEKEND.get(day.weekday()) or _table().holidays.get(day)


def early_close_because(day: date) -> str | None:
    """Why the exchange closes early, as in "day before Independence Day"; None when it does not.

    Args:
        day: A calendar day.

    Raises:
        ConfigError: The table does not cover the day.
    """
    _require_covered(day)
    return _table().early_closes.get(day)


def is_early_close(day: date) -> bool:
    """Whether the exchange opens on the day and closes early: stocks at 13:00, index options at 13:15."""
    return early_close_because(day) is not None


def is_trading_day(day: date) -> bool:
    """Whether the exchange opens on the day, be it for a short session."""
    return closed_because(day) is None


def _calendar_days(start: date, end: date) -> Iterator[date]:
    while start <= end:
        yield start
        start += _ONE_DAY


def trading_days(start: date, end: date) -> list[date]:
    """Every trading day from start to end, both included, in order; none when start is after end."""
    return [day for day in _calendar_days(start, end) if is_trading_day(day)]


def _step(day: date, step: timedelta) -> date:
    _require_covered(day)
    day += step
    while not is_trading_day(day):
        day += step
    return day


def previous_trading_day(day: date) -> date:
    """The last trading day strictly before the day; ConfigError where the table does not reach back to it."""
    return _step(day, -_ONE_DAY)


def next_trading_day(day: date) -> date:
    """The first trading day strictly after the day; ConfigError where the table does not reach it."""
    return _step(day, _ONE_DAY)


@dataclass(frozen=True, slots=True)
class Session:
    """Trading hours of one expiration on one trade date, in minutes of the day, New York.

    Attributes:
        trade_date: The day, a trading day.
        open: The first minute: 570 is 09:30.
        close: The last minute, itself included: 975 is 16:15, 960 is 16:00; 795 and 780 on early closes.
        core_close: The close of the underlying stocks, 960 or 780: greeks are required up to here.
    """

    trade_date: date
    open: int
    close: int
    core_close: int

    def minutes(self, step: int = 1) -> range:
        """The grid from open to close, both included: 406, 391, 226 or 211 points of one minute.

        Args:
            step: Distance of the points in minutes, counted from the open. The close is on the grid only when
                the step divides the session.
        """
        return range(self.open, self.close + 1, step)


def session(root: str, trade_date: date, expiration: date | None) -> Session | None:
    """Find the trading hours of one expiration on one trade date.

    A PM-settled expiration stops trading with the stocks on its last day, the last trading day up to its
    expiration. An AM-settled one is settled at that day's open, so it last trades on the trading day before.
    This covers expirations dated on a holiday, and on a Saturday as monthly ones were until January 2015.

    Args:
        root: The option root, as in "SPXW"; upper case.
        trade_date: The day to trade on.
        expiration: The date in the contract's name, or None for the hours of the whole day.

    Returns:
        The hours, or None when there is no session: the exchange is closed, or the contract no longer trades.

    Raises:
        ConfigError: The table does not cover the trade date, or it ends before the next trading day and the
            expiration is later.
    """
    if not is_trading_day(trade_date):
        return None
    core_close = _EARLY_CLOSE if is_early_close(trade_date) else _CLOSE
    hours = Session(trade_date, _OPEN, core_close + _AFTER_STOCKS, core_close)
    if expiration is None:
        return hours
    if expiration < trade_date:
        return None
    if any(map(is_trading_day, _calendar_days(trade_date + _ONE_DAY, expiration))):
        return hours
    return None if root in AM_SETTLED else Session(trade_date, _OPEN, core_close, core_close)


def offset(day: date) -> timedelta:
    """New York's distance from UTC during the day's session, -4 or -5 hours.

    Clocks change at 02:00 on Sundays, so it is constant within a session. Works for any day, covered by the
    table or not.
    """
    return datetime.combine(day, time(12), NEW_YORK).utcoffset() or timedelta()


def published(kind: Kind, trade_date: date) -> datetime:
    """When the vendor has the trade date's data ready.

    Args:
        kind: "intraday" (02:00 the next calendar day), "eod" (17:30), "open_interest" (06:45: the open interest
            of a day is that of the evening before) or "rate" (10:00 the next calendar day: rates are published the
            morning after).
        trade_date: The day the data is stamped with.

    Returns:
        The moment, aware, in New York time.
    """
    days, at = _PUBLISHED[kind]
    return datetime.combine(trade_date + timedelta(days=days), at, NEW_YORK)


def clock(minute: int) -> str:
    """A minute of the day as people write it: 975 is "16:15"."""
    return f"{minute // 60:02}:{minute % 60:02}"
