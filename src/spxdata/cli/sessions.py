"""`spxdata sessions`: trading days and hours of a year, and each exception with its reason."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.text import CLOSED, counted, echo, table
from spxdata.events import plain
from spxdata.model import parse_root
from spxdata.sessions import (
    FIRST_DAY,
    LAST_DAY,
    NEW_YORK,
    Session,
    clock,
    closed_because,
    early_close_because,
    is_early_close,
    session,
    trading_days,
)

#: The roots that are shown when none is named.
_ROOTS: Final = ("SPXW", "SPX")


@click.command()
@click.option(
    "--year", type=click.IntRange(FIRST_DAY.year, LAST_DAY.year), metavar="YEAR", help="Which one.  [default: this one]"
)
@click.option(
    "--root", "roots", multiple=True, metavar="ROOT", help="Option root, may be repeated.  [default: SPXW and SPX]"
)
@options.data_dir
@options.as_json
def command(*, year: int | None, roots: Sequence[str], as_json: bool, **flags: str | None) -> None:
    """Show trading days and hours, holidays and early closes.

    They come from a table that is part of spxdata, and decide what is expected of a day. Times are New York's.
    """
    options.settings(flags)
    names = tuple(parse_root(root, "--root") for root in roots) or _ROOTS
    wanted = year or options.clock().now().astimezone(NEW_YORK).year
    first, last = max(FIRST_DAY, date(wanted, 1, 1)), min(LAST_DAY, date(wanted, 12, 31))
    days = trading_days(first, last)
    weekdays = (day for day in _days(first, last) if day.weekday() < 5)
    closed = {day: name for day in weekdays if (name := closed_because(day))}
    if as_json:
        _tell(wanted, names, days, closed)
    else:
        _show(wanted, names, days, closed)


def _show(year: int, roots: Sequence[str], days: Sequence[date], closed: dict[date, str]) -> None:
    early = [day for day in days if is_early_close(day)]
    since = f" (from {FIRST_DAY} on)" if year == FIRST_DAY.year else ""
    short = "a short one" if len(early) == 1 else "short ones"
    echo(f"{year}{since}: {counted(len(days), 'trading day')}, {len(early)} of them {short}")
    months = Counter(f"{day:%b}" for day in days)
    echo(f"By month: {', '.join(f'{month} {count}' for month, count in months.items())}")
    echo()
    samples = (next(day for day in days if day not in early), early[0])  # every year has both
    rows: list[tuple[str, ...]] = [("HOURS IN NEW YORK", "USUALLY", "EARLY CLOSE")]
    for root in roots:
        rows.append((root, *(_hours(session(root, day, None)) for day in samples)))
        rows.append((f"{root} that expires", *(_hours(session(root, day, day)) for day in samples)))
    for line in table(rows):
        echo(line)
    echo()
    echo(f"Closed on {counted(len(closed), 'holiday')}, beside Saturdays and Sundays:")
    for line in table([(CLOSED, _day(day), name) for day, name in closed.items()]):
        echo(line)
    echo()
    echo(f"Closes early on {counted(len(early), 'day')}:")
    for line in table([("!", _day(day), early_close_because(day) or "") for day in early]):
        echo(line)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _day(day: date) -> str:
    return f"{day:%a} {day}"


def _hours(hours: Session | None) -> str:
    return f"{clock(hours.open)}-{clock(hours.close)}" if hours else "none: ends the trading day before"


def _tell(year: int, roots: Sequence[str], days: Sequence[date], closed: dict[date, str]) -> None:
    for day in days:
        hours = {root: _values(session(root, day, None), session(root, day, day)) for root in roots}
        tell("trading_day", trade_date=plain(day), early_close=early_close_because(day), sessions=hours)
    for day, name in closed.items():
        tell("holiday", trade_date=plain(day), name=name)
    early = sum(map(is_early_close, days))
    tell("summary", year=year, trading_days=len(days), holidays=len(closed), early_closes=early)


def _values(hours: Session | None, expiring: Session | None) -> dict[str, str | None]:
    """Return when contracts trade that expire later, and until when those that expire on the day."""
    return {
        "open": clock(hours.open) if hours else None,
        "close": clock(hours.close) if hours else None,
        "expiring_close": clock(expiring.close) if expiring else None,
    }
