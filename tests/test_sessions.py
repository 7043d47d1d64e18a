import csv
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spxdata import sessions
from spxdata.errors import ConfigError
from spxdata.sessions import FIRST_DAY, LAST_DAY, NEW_YORK, Kind, Session, session

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "make_sessions.py"

DAY = timedelta(days=1)
#: Away from both ends of the table, so that the neighbouring trading days are in it too.
days = st.dates(FIRST_DAY + 7 * DAY, LAST_DAY - 7 * DAY)
trade_dates = days.filter(sessions.is_trading_day)
roots = st.sampled_from(["SPX", "SPXW"])


def every_day() -> list[date]:
    """List the calendar days of the table."""
    return [FIRST_DAY + n * DAY for n in range((LAST_DAY - FIRST_DAY).days + 1)]


def day(text: str) -> date:
    """Read a date as tests write it."""
    return date.fromisoformat(text)


# --- the table against other people's calendars


# exchange_calendars 4.13 reads `Series.values` of zoned columns while it builds a calendar; pandas 3.1 warns.
@pytest.mark.filterwarnings("ignore:Series.values returning an ndarray that drops timezone:DeprecationWarning")
def test_the_table_equals_the_first_oracle() -> None:
    """Trading days and early closes are those of exchange_calendars' XNYS, over the whole range."""
    import exchange_calendars

    xnys = exchange_calendars.get_calendar("XNYS", start=FIRST_DAY.isoformat(), end=LAST_DAY.isoformat())

    assert sessions.trading_days(FIRST_DAY, LAST_DAY) == [stamp.date() for stamp in xnys.sessions]
    assert list(filter(sessions.is_early_close, every_day())) == [s.date() for s in xnys.early_closes]
    closes = {xnys.session_close(stamp).astimezone(NEW_YORK).time() for stamp in xnys.early_closes}
    assert {close.isoformat("minutes") for close in closes} == {"13:00"}


# pandas_market_calendars 5.5 reads `Series.dt.weekday` inside its NYSE rules; pandas 3.1 warns.
@pytest.mark.filterwarnings("ignore:Series.dt.weekday is deprecated:DeprecationWarning")
def test_the_table_equals_the_second_oracle() -> None:
    """Trading days and closing times are those of pandas_market_calendars' NYSE, over the whole range."""
    import pandas_market_calendars

    nyse = pandas_market_calendars.get_calendar("NYSE")
    closes = nyse.schedule(FIRST_DAY, LAST_DAY, tz="America/New_York")["market_close"]

    theirs = {stamp.date(): close.hour * 60 + close.minute for stamp, close in closes.items()}
    ours = {each: core_close(each) for each in sessions.trading_days(FIRST_DAY, LAST_DAY)}
    assert ours == theirs


def core_close(trade_date: date) -> int:
    """Return the minute of the day at which stocks close."""
    found = session("SPXW", trade_date, None)
    assert found is not None
    return found.core_close


@pytest.mark.reference
def test_the_table_equals_the_recorded_calendar(reference: Path) -> None:
    """Every session and closing time of the recorded NYSE calendar, 2012 to 2026, is in the table."""
    with (reference / "realdata/calendar/us_sessions_close_new_york.csv").open(encoding="utf-8") as file:
        recorded = {day(row["date"]): row["pmc_nyse"] for row in csv.DictReader(file)}

    found = sessions.trading_days(min(recorded), max(recorded))
    assert {each: sessions.clock(core_close(each)) for each in found} == recorded
    assert len(recorded) == 3667


@pytest.mark.reference
def test_recorded_quotes_end_with_their_session(reference: Path) -> None:
    """In every recorded chain the last quoted minute is the close of its session."""
    files = sorted((reference / "realdata/theta_v2_quote").glob("*_*_*.csv"))
    assert files
    for path in files:
        root, trade_date, expiration = path.stem.split("_")
        hours = session(root, day(trade_date), day(expiration))
        assert hours is not None
        with path.open(encoding="utf-8") as file:
            last = max(int(row["ms_of_day"]) for row in csv.DictReader(file)) // 60_000
        assert last == hours.close, path.name


def test_the_file_is_sorted_small_and_only_exceptions() -> None:
    """Each line is a weekday of the range, once, in order, of a known kind, with a name."""
    path = Path(sessions.__file__).with_name("sessions.csv")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    listed = [day(row["date"]) for row in rows]

    assert listed == sorted(set(listed))
    assert all(FIRST_DAY <= each <= LAST_DAY and each.weekday() < 5 for each in listed)
    assert {row["kind"] for row in rows} == {"holiday", "early_close"}
    assert all(row["name"].strip() for row in rows)
    assert path.stat().st_size < 20_000


def run_script(*args: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/make_sessions.py as `make` would."""
    return subprocess.run([sys.executable, SCRIPT, *args], capture_output=True, text=True, check=False)


def test_the_shipped_table_is_what_the_script_writes() -> None:
    """`make_sessions.py --check` passes in the repository."""
    done = run_script("--check")
    assert done.returncode == 0, done.stderr


def test_the_script_finds_a_stale_table_and_mends_it(tmp_path: Path) -> None:
    """A table with a line too many fails --check and is left alone; writing gives the shipped bytes."""
    shipped = Path(sessions.__file__).with_name("sessions.csv").read_bytes()
    table = tmp_path / "sessions.csv"
    stale = shipped + b"2028-12-29,holiday,Nonsense\n"
    table.write_bytes(stale)

    done = run_script("--check", "--table", str(table))
    assert done.returncode == 1
    assert "is stale" in done.stderr
    assert table.read_bytes() == stale

    assert run_script("--table", str(table)).returncode == 0
    assert table.read_bytes() == shipped


# --- days


@pytest.mark.parametrize(
    ("closed", "name"),
    [
        ("2024-01-13", "Saturday"),
        ("2024-01-14", "Sunday"),
        ("2024-01-15", "Martin Luther King Jr. Day"),
        ("2024-02-19", "Washington's Birthday"),
        ("2024-03-29", "Good Friday"),
        ("2024-05-27", "Memorial Day"),
        ("2024-06-19", "Juneteenth"),
        ("2021-06-18", None),  # a holiday by law since the day before; the exchange opened
        ("2024-07-04", "Independence Day"),
        ("2021-07-05", "Independence Day (observed)"),
        ("2020-07-03", "Independence Day (observed)"),
        ("2024-09-02", "Labor Day"),
        ("2024-11-28", "Thanksgiving Day"),
        ("2024-12-25", "Christmas Day"),
        ("2021-12-24", "Christmas Day (observed)"),
        ("2021-12-31", None),  # New Year's Day on a Saturday is not made up for
        ("2023-01-02", "New Year's Day (observed)"),
        ("2012-10-29", "Hurricane Sandy"),
        ("2012-10-30", "Hurricane Sandy"),
        ("2018-12-05", "National Day of Mourning for George H.W. Bush"),
        ("2025-01-09", "National Day of Mourning for Jimmy Carter"),
        ("2024-01-16", None),
    ],
)
def test_a_closed_day_is_named(closed: str, name: str | None) -> None:
    """The reason is the one people would give; None means open."""
    assert sessions.closed_because(day(closed)) == name
    assert sessions.is_trading_day(day(closed)) == (name is None)


@pytest.mark.parametrize(
    ("early", "name"),
    [
        ("2023-07-03", "day before Independence Day"),
        ("2024-11-29", "day after Thanksgiving"),
        ("2024-12-24", "Christmas Eve"),
        ("2015-12-24", "Christmas Eve"),  # missing in the libraries' index-option calendars
        ("2022-12-23", None),
        ("2026-07-02", None),  # the holiday is observed on Friday the 3rd
        ("2024-07-04", None),  # closed, not early
    ],
)
def test_an_early_close_is_named(early: str, name: str | None) -> None:
    """Days on which stocks close at 13:00 say why."""
    assert sessions.early_close_because(day(early)) == name
    assert sessions.is_early_close(day(early)) == (name is not None)


def test_trading_days_include_both_ends() -> None:
    """The week of Martin Luther King Jr. Day has four; a range backwards has none."""
    assert sessions.trading_days(day("2024-01-12"), day("2024-01-17")) == [
        day("2024-01-12"),
        day("2024-01-16"),
        day("2024-01-17"),
    ]
    assert sessions.trading_days(day("2024-01-17"), day("2024-01-12")) == []


def test_neighbours_jump_long_weekends() -> None:
    """From any day of the long weekend of 2024-01-15 they are the Friday before and the Tuesday after."""
    for text in ("2024-01-13", "2024-01-14", "2024-01-15"):
        assert sessions.previous_trading_day(day(text)) == day("2024-01-12")
        assert sessions.next_trading_day(day(text)) == day("2024-01-16")


@given(days)
def test_neighbours_are_strict_and_adjacent(each: date) -> None:
    """Between the trading day before and the one after, only the day itself can trade."""
    before, after = sessions.previous_trading_day(each), sessions.next_trading_day(each)
    assert before < each < after
    between = sessions.trading_days(before + DAY, after - DAY)
    assert between == ([each] if sessions.is_trading_day(each) else [])


@given(trade_dates)
def test_neighbours_are_inverse(each: date) -> None:
    """The trading day after the one before is the day itself."""
    assert sessions.next_trading_day(sessions.previous_trading_day(each)) == each
    assert sessions.previous_trading_day(sessions.next_trading_day(each)) == each


def spxw_hours(each: date) -> Session | None:
    """Ask for the hours of a whole day."""
    return session("SPXW", each, None)


@pytest.mark.parametrize(
    "ask",
    [
        sessions.closed_because,
        sessions.early_close_because,
        sessions.is_early_close,
        sessions.is_trading_day,
        sessions.previous_trading_day,
        sessions.next_trading_day,
        spxw_hours,
    ],
)
@pytest.mark.parametrize(
    ("outside", "hint"),
    [
        (FIRST_DAY - DAY, "Choose a day from 2012-06-01 on."),
        (LAST_DAY + DAY, "Update spxdata: newer versions know later days."),
    ],
)
def test_days_outside_the_table_are_refused(ask: Callable[[date], object], outside: date, hint: str) -> None:
    """The error names the day, the range covered, and what to do."""
    with pytest.raises(ConfigError) as caught:
        ask(outside)
    assert caught.value.message == (
        f"{outside} is outside the table of trading days, which covers 2012-06-01 to 2028-12-31."
    )
    assert caught.value.hint == hint


def test_the_ends_of_the_table_are_answered_but_not_passed() -> None:
    """The first and last days are covered; their outer neighbours are errors, not guesses."""
    assert sessions.closed_because(LAST_DAY) == "Sunday"
    assert sessions.is_trading_day(FIRST_DAY)
    with pytest.raises(ConfigError, match="2012-05-31"):
        sessions.previous_trading_day(FIRST_DAY)
    with pytest.raises(ConfigError, match="2029-01-01"):
        sessions.next_trading_day(LAST_DAY)
    with pytest.raises(ConfigError, match="2029-01-01"):
        sessions.trading_days(LAST_DAY, LAST_DAY + 3 * DAY)


# --- hours


@pytest.mark.parametrize(
    ("root", "trade_date", "expiration", "close", "points"),
    [
        ("SPXW", "2024-01-16", "2024-01-17", "16:15", 406),
        ("SPXW", "2024-01-16", "2024-01-16", "16:00", 391),
        ("SPXW", "2024-01-16", None, "16:15", 406),
        ("SPX", "2024-01-16", None, "16:15", 406),
        ("SPXW", "2023-07-03", "2023-07-05", "13:15", 226),
        ("SPXW", "2023-07-03", "2023-07-03", "13:00", 211),
        ("SPXW", "2023-07-03", None, "13:15", 226),
        ("SPXW", "2024-12-24", "2024-12-26", "13:15", 226),
        ("SPXW", "2024-12-24", "2024-12-24", "13:00", 211),
        ("SPX", "2021-01-14", "2021-01-15", "16:15", 406),  # the last day of an AM-settled chain
        ("XSP", "2024-01-16", "2024-01-16", "16:00", 391),  # roots are PM-settled unless known otherwise
        # Monthly expirations dated on a Saturday.
        ("SPX", "2014-01-16", "2014-01-18", "16:15", 406),
        ("SPXW", "2014-01-16", "2014-01-18", "16:15", 406),
        ("SPXW", "2014-01-17", "2014-01-18", "16:00", 391),
        ("SPX", "2014-04-16", "2014-04-19", "16:15", 406),  # behind Good Friday: settled on Thursday
        # Listed for a day on which the exchange then stayed closed.
        ("SPXW", "2025-01-08", "2025-01-09", "16:00", 391),
        ("SPX", "2022-04-13", "2022-04-15", "16:15", 406),
        # Far beyond the table.
        ("SPXW", "2024-01-16", "2088-01-16", "16:15", 406),
    ],
)
def test_hours(root: str, trade_date: str, expiration: str | None, close: str, points: int) -> None:
    """The session opens at 09:30, and its close depends on settlement, last day and early close."""
    hours = session(root, day(trade_date), day(expiration) if expiration else None)
    assert hours is not None
    assert hours.trade_date == day(trade_date)
    assert sessions.clock(hours.open) == "09:30"
    assert sessions.clock(hours.close) == close
    assert len(hours.minutes()) == points
    assert sessions.clock(hours.core_close) == ("13:00" if close.startswith("13") else "16:00")


@pytest.mark.parametrize(
    ("root", "trade_date", "expiration"),
    [
        ("SPXW", "2024-01-15", None),  # a holiday
        ("SPXW", "2024-01-13", "2024-01-19"),  # a Saturday
        ("SPXW", "2024-01-17", "2024-01-16"),  # expired
        ("SPX", "2021-01-15", "2021-01-15"),  # settled that morning
        ("SPX", "2021-01-19", "2021-01-15"),
        ("SPX", "2014-01-17", "2014-01-18"),  # dated Saturday, settled on Friday morning
        ("SPX", "2014-04-17", "2014-04-19"),  # dated Saturday behind Good Friday, settled on Thursday
        ("SPX", "2022-04-14", "2022-04-15"),  # dated on Good Friday, settled on Thursday
        ("SPXW", "2014-01-21", "2014-01-18"),
    ],
)
def test_no_session(root: str, trade_date: str, expiration: str | None) -> None:
    """Closed days, expired contracts and AM-settled ones on their settlement day have no hours."""
    assert session(root, day(trade_date), day(expiration) if expiration else None) is None


def test_hours_do_not_guess_beyond_the_table() -> None:
    """Whether 2028-12-29 is the last day of an expiration in 2029 needs a day the table lacks."""
    friday = day("2028-12-29")
    assert session("SPXW", friday, friday) is not None
    with pytest.raises(ConfigError, match="2029-01-01"):
        session("SPXW", friday, day("2029-01-05"))


@given(roots, trade_dates, st.integers(0, 40))
def test_a_contract_trades_on_its_days_up_to_the_last(root: str, expiration: date, before: int) -> None:
    """Up to its last day, and only then, an expiration on a trading day has hours on each trading day."""
    last = expiration if root == "SPXW" else sessions.previous_trading_day(expiration)
    trade_date = expiration - before * DAY
    assume(trade_date >= FIRST_DAY)
    hours = session(root, trade_date, expiration)
    assert (hours is not None) == (sessions.is_trading_day(trade_date) and trade_date <= last)


@given(roots, trade_dates, st.none() | days)
def test_hours_lie_within_the_day(root: str, trade_date: date, expiration: date | None) -> None:
    """Every session opens at 09:30 and closes with the stocks or 15 minutes later."""
    hours, whole = session(root, trade_date, expiration), session(root, trade_date, None)
    assert whole is not None
    assert whole.close == whole.core_close + 15
    if hours is not None:
        assert hours.open == whole.open == 570
        assert hours.core_close == whole.core_close
        assert hours.close - hours.core_close in {0, 15}


@given(trade_dates, st.booleans(), st.integers(1, 120))
def test_minutes_are_a_grid_from_the_open(trade_date: date, expiring: bool, step: int) -> None:
    """The grid starts at the open, keeps its step, and ends less than a step before the close or on it."""
    hours = session("SPXW", trade_date, trade_date if expiring else None)
    assert hours is not None
    grid = hours.minutes(step)
    assert grid[0] == hours.open
    assert 0 <= hours.close - grid[-1] < step
    assert set(grid) <= set(hours.minutes())
    if (hours.close - hours.open) % step == 0:
        assert grid[-1] == hours.close


# --- times


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2024-01-16", -5),
        ("2024-03-08", -5),  # Friday before clocks go forward
        ("2024-03-10", -4),  # the Sunday itself, after 02:00
        ("2024-03-11", -4),
        ("2024-11-01", -4),
        ("2024-11-04", -5),
        ("2040-07-02", -4),  # beyond the table: clocks need no table
    ],
)
def test_offset_follows_daylight_saving(text: str, hours: int) -> None:
    """New York is four hours behind UTC in summer and five in winter."""
    assert sessions.offset(day(text)) == timedelta(hours=hours)


@given(trade_dates)
def test_offset_is_constant_within_a_session(each: date) -> None:
    """Open and 16:15 of every trading day share one offset."""
    for hour, minute in ((9, 30), (16, 15)):
        wall = datetime(each.year, each.month, each.day, hour, minute, tzinfo=NEW_YORK)
        assert wall.utcoffset() == sessions.offset(each)


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("open_interest", "2024-03-08T06:45:00-05:00"),
        ("rate", "2024-03-09T10:00:00-05:00"),
        ("eod", "2024-03-08T17:30:00-05:00"),
        ("intraday", "2024-03-09T02:00:00-05:00"),
    ],
)
def test_published(kind: Kind, moment: str) -> None:
    """Each kind of data is ready at its own time, told in New York time."""
    ready = sessions.published(kind, day("2024-03-08"))
    assert ready.isoformat() == moment
    assert ready.tzinfo is NEW_YORK


def test_published_intraday_crosses_month_and_year() -> None:
    """The next calendar day, not the next trading day."""
    assert sessions.published("intraday", day("2024-12-31")).isoformat() == "2025-01-01T02:00:00-05:00"


@pytest.mark.parametrize(("minute", "text"), [(0, "00:00"), (570, "09:30"), (795, "13:15"), (975, "16:15")])
def test_clock(minute: int, text: str) -> None:
    """A minute of the day reads as hours and minutes."""
    assert sessions.clock(minute) == text


def test_import_needs_nothing_but_the_standard_library() -> None:
    """Importing the module loads no table and none of the heavy packages."""
    code = (
        "import sys; from spxdata import sessions as s; heavy = {'polars', 'pandas', 'numpy', 'pyarrow'};"
        "print(sorted(heavy & set(sys.modules)), s._table.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] 0"
