"""Writes src/spxdata/sessions.csv: the holidays and early closes of the New York Stock Exchange, by name.

    .venv/bin/python scripts/make_sessions.py            write the table
    .venv/bin/python scripts/make_sessions.py --check    exit 1 if the table is stale

The days come from exchange_calendars' XNYS, over exactly FIRST_DAY to LAST_DAY of spxdata.sessions, so the
table does not depend on the day it is made. The libraries' index-option calendars are not used: they miss
early closes that recorded data show. A closure this script has no name for is a KeyError: name it here.
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import exchange_calendars

import spxdata
from spxdata.sessions import FIRST_DAY, LAST_DAY

TABLE = Path(spxdata.__file__).parent / "sessions.csv"

#: The library's name of a yearly holiday: ours, and its month and day if it has a fixed one.
YEARLY: dict[str, tuple[str, tuple[int, int] | None]] = {
    "New Year's Day": ("New Year's Day", (1, 1)),
    "Dr. Martin Luther King Jr. Day": ("Martin Luther King Jr. Day", None),
    "President's Day": ("Washington's Birthday", None),
    "Good Friday": ("Good Friday", None),
    "Memorial Day": ("Memorial Day", None),
    "Juneteenth National Independence Day": ("Juneteenth", (6, 19)),
    "July 4th": ("Independence Day", (7, 4)),
    "Labor Day": ("Labor Day", None),
    "Thanksgiving": ("Thanksgiving Day", None),
    "Christmas": ("Christmas Day", (12, 25)),
}

#: Closures that no rule foretells; the library knows the day, not the reason.
ONCE = {
    date(2012, 10, 29): "Hurricane Sandy",
    date(2012, 10, 30): "Hurricane Sandy",
    date(2018, 12, 5): "National Day of Mourning for George H.W. Bush",
    date(2025, 1, 9): "National Day of Mourning for Jimmy Carter",
}

#: The reason of an early close, by month: each month has at most one.
EARLY = {7: "day before Independence Day", 11: "day after Thanksgiving", 12: "Christmas Eve"}


def holiday_name(day: date, library_name: str | None) -> str:
    """Name a closed weekday as people do, with "(observed)" when a fixed date is kept on another day."""
    if library_name is None:
        return ONCE[day]
    name, fixed = YEARLY[library_name]
    return name if fixed in (None, (day.month, day.day)) else f"{name} (observed)"


def render() -> str:
    """Return the table as it should stand in the file."""
    xnys = exchange_calendars.get_calendar("XNYS", start=FIRST_DAY.isoformat(), end=LAST_DAY.isoformat())
    sessions = {stamp.date() for stamp in xnys.sessions}
    named = xnys.regular_holidays.holidays(FIRST_DAY.isoformat(), LAST_DAY.isoformat(), return_name=True)
    names = {stamp.date(): name for stamp, name in named.items()}

    days = (FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1))
    closed = [day for day in days if day.weekday() < 5 and day not in sessions]
    early = [stamp.date() for stamp in xnys.early_closes]

    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["date", "kind", "name"])
    table.writerows(
        sorted(
            [(day, "holiday", holiday_name(day, names.get(day))) for day in closed]
            + [(day, "early_close", EARLY[day.month]) for day in early]
        )
    )
    return out.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Write the table, or compare it; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the table of holidays and early closes.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the table is stale")
    parser.add_argument("--table", type=Path, default=TABLE, help="the file to write or check")
    args = parser.parse_args(argv)
    text = render()
    if not args.check:
        args.table.write_bytes(text.encode())
        print(f"{args.table}: {len(text.splitlines()) - 1} days")
        return 0
    if args.table.exists() and args.table.read_bytes() == text.encode():
        return 0
    print(f"{args.table} is stale: run scripts/make_sessions.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
