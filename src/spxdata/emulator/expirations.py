"""Which expirations SPX and SPXW have, since when, and on which days each of them is quoted."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from spxdata.emulator import hours

FIRST = date(2012, 6, 1)
LAST = date(2031, 12, 31)
#: The real list carries a few dates that are nobody's expiration; clients must drop them.
BOGUS = date(2088, 1, 16)

ROOTS = ("SPX", "SPXW")
#: Calendar days before its expiration from which a contract is listed; real ones of December are for years.
LISTED_FOR = 60
DECEMBERS_LISTED_FOR = 400

_DECEMBER = 12
_MONDAY, _TUESDAY, _WEDNESDAY, _THURSDAY, _FRIDAY = range(5)
#: First expiration of each weekday's weeklies.
WEEKLIES_SINCE = {
    _MONDAY: date(2016, 8, 22),
    _TUESDAY: date(2022, 4, 19),
    _WEDNESDAY: date(2016, 3, 2),
    _THURSDAY: date(2022, 5, 12),
    _FRIDAY: FIRST,
}
_MONTH_ENDS_SINCE = date(2014, 7, 31)
#: Until then the PM-settled third Friday had a root of its own.
_THIRD_FRIDAY_IN_SPXW_SINCE = date(2017, 5, 1)
#: Standard monthlies expired on the Saturday after the third Friday before that.
_MONTHLIES_ON_FRIDAY_SINCE = date(2015, 2, 1)


@dataclass(frozen=True, slots=True)
class Expiration:
    """One expiration of one root.

    Attributes:
        root: Option root.
        day: The expiration date its contracts carry.
        last_day: The last day on which they are quoted.
        am_settled: Whether they settle on the opening of the day after `last_day`.
    """

    root: str
    day: date
    last_day: date
    am_settled: bool

    @property
    def is_long_dated(self) -> bool:
        """Whether it is listed for a year and more: the AM-settled one of December."""
        return self.am_settled and self.day.month == _DECEMBER

    @property
    def listed_for(self) -> int:
        """Calendar days before its date from which it is listed."""
        return DECEMBERS_LISTED_FOR if self.is_long_dated else LISTED_FOR

    def session(self, day: date) -> hours.Session | None:
        """Give the minutes quoted on a day, or None where there are none."""
        if not hours.is_trading_day(day) or day > self.last_day or (self.day - day).days > self.listed_for:
            return None
        return hours.session(day, expires_today=day == self.day)


@lru_cache(maxsize=8)
def calendar(root: str) -> dict[date, Expiration]:
    """Give every expiration of a root by its date, in order; none for an unknown root."""
    if root == "SPX":
        days = [_monthly(year, month) for year, month in _months()]
        return {item.day: item for item in days if FIRST <= item.day <= LAST}
    if root == "SPXW":
        return {day: Expiration("SPXW", day, day, am_settled=False) for day in sorted(_weekly_days())}
    return {}


def live(root: str, day: date) -> list[Expiration]:
    """Give the expirations of a root that are quoted on a day, nearest first."""
    found = calendar(root)
    dates = [day + timedelta(days=ahead) for ahead in range(DECEMBERS_LISTED_FOR + 1)]
    return [found[date_] for date_ in dates if date_ in found and found[date_].session(day) is not None]


def _months() -> list[tuple[int, int]]:
    return [(year, month) for year in range(FIRST.year, LAST.year + 1) for month in range(1, 13)]


def _third_friday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(_FRIDAY - first.weekday()) % 7 + 14)


def _monthly(year: int, month: int) -> Expiration:
    """Give the AM-settled monthly: third Friday, the Thursday before a holiday, the Saturday after before 2015."""
    settled = _third_friday(year, month)
    if not hours.is_trading_day(settled):
        settled = hours.previous_trading_day(settled)
    day = settled if settled >= _MONTHLIES_ON_FRIDAY_SINCE else _third_friday(year, month) + timedelta(days=1)
    return Expiration("SPX", day, hours.previous_trading_day(settled), am_settled=True)


def _weekly_days() -> set[date]:
    days: set[date] = set()
    day = FIRST
    while day <= LAST:
        since = WEEKLIES_SINCE.get(day.weekday())
        third_friday = day == _third_friday(day.year, day.month)
        if since is not None and day >= since and (not third_friday or day >= _THIRD_FRIDAY_IN_SPXW_SINCE):
            days.add(_moved(day))
        day += timedelta(days=1)
    for year, month in _months():
        end = hours.previous_trading_day(date(year + month // 12, month % 12 + 1, 1))
        if end >= _MONTH_ENDS_SINCE:
            days.add(end)
    return {day for day in days if FIRST <= day <= LAST}


def _moved(day: date) -> date:
    """Move an expiration off a holiday: Monday's to Tuesday, every other to the day before."""
    if hours.is_trading_day(day):
        return day
    return hours.next_trading_day(day) if day.weekday() == _MONDAY else hours.previous_trading_day(day)
