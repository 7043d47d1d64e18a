"""The lines of a download, from scripted events; figures and marks as people read them."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from spxdata.cli.report import Report
from spxdata.cli.text import CLOSED, counted, duration, size, table
from spxdata.events import DayClosed, DayFinished, Event, FileAdopted, RunFinished, RunStarted, UnitRecorded
from spxdata.model import Contract, Day, DayStatus, Outcome, Right, Verdict
from tests.builders import TRADE_DATE, a_day, a_gap, a_scope, a_unit, empty, failed, refused, stored


def finished(day: Day | None = None, verdict: Verdict | None = Verdict.COMPLETE, **changes: Any) -> DayFinished:
    """Return the event of a finished day with a file."""
    values = {"scope": a_scope(), "files": 1, "bytes": 12_345_678, "rows": 1_363_808, **changes}
    return DayFinished(DayStatus(day=day or a_day(), status="success", verdict=verdict, **values))


def through(**changes: Any) -> RunFinished:
    """Return the event at a run's end."""
    values = dict.fromkeys(("downloaded", "failed", "skipped", "bytes", "rows", "received", "exit_code"), 0)
    return RunFinished(**{**values, "seconds": 75.2, **changes})


def lines(*events: Event, outcomes: Sequence[Outcome] = (), dates: Sequence[date] = (TRADE_DATE,), **how: Any) -> str:
    """Return what is said about some events, the summary included."""
    report = Report(lambda _: outcomes, **how)
    said = [line for event in (RunStarted(tuple(dates)), *events) for line in report.lines(event)]
    return "\n".join([*said, *report.summary()])


def test_unverified_day() -> None:
    """Without a contract list nobody can say whether it is all there, and the line says that."""
    assert lines(UnitRecorded(stored()), finished(verdict=Verdict.UNVERIFIED)) == (
        "✓ Downloaded 2024-01-16 SPXW greeks (12.3 MB, 1,363,808 records, unverified: "
        "no whole contract list to compare with)"
    )
    assert lines(finished(verdict=Verdict.UNVERIFIED)) == (
        "→ Skipped 2024-01-16 SPXW greeks (already there, unverified, 1,363,808 records)"
    )


def test_failed_units() -> None:
    """How many failed, which first, why, and what to do about each kind of failure."""
    units = [a_unit(expiration=TRADE_DATE + timedelta(days=n)) for n in range(3)]
    events = [UnitRecorded(stored(units[0])), UnitRecorded(failed(units[1])), UnitRecorded(failed(units[2]))]
    assert lines(*events, finished(verdict=Verdict.PARTIAL), through(failed=1, exit_code=1)).splitlines() == [
        (
            "✗ Failed 2024-01-16 SPXW greeks: 2 expirations, first 2024-01-17 "
            "(the reply ended after 4096 bytes [SPX-T003])"
        ),
        "Hint: Nothing of the reply was kept. If this goes on, restart the Terminal.",
        "Hint: Run the same command again: it fetches only what is missing.",
    ]


def test_failed_day() -> None:
    """A day that could not even be planned has no expirations to count."""
    whole = failed(a_unit(expiration=None), reason="500 no list", code="SPX-T500")
    said = lines(UnitRecorded(whole), finished(verdict=None))
    assert said.startswith("✗ Failed 2024-01-16 SPXW greeks (500 no list [SPX-T500])\n")


def test_day_with_holes_and_missing_expirations() -> None:
    """The first few expirations with holes are told, expirations without a file are counted."""
    days = [TRADE_DATE + timedelta(days=n) for n in range(7)]
    with_gaps = [
        stored(a_unit(expiration=day), holes=(a_gap(contract=Contract(day, 4750.0, Right.PUT)),)) for day in days[:5]
    ]
    outcomes = [*with_gaps, refused(a_unit(expiration=days[5])), empty(a_unit(expiration=days[6]))]
    outside = stored(a_unit(expiration=date(2025, 1, 1)), holes=(a_gap(),))
    said = lines(*map(UnitRecorded, with_gaps), finished(verdict=Verdict.PARTIAL), outcomes=[*outcomes, outside])
    assert said.splitlines()[:5] == [
        (
            "! Partial 2024-01-16 SPXW greeks (12.3 MB, 1,363,808 records): "
            "5 gaps, 1 expiration refused, 1 expiration empty"
        ),
        "    exp 2024-01-16: 1 gap (4750 PUT: the whole day)",
        "    exp 2024-01-17: 1 gap (4750 PUT: the whole day)",
        "    exp 2024-01-18: 1 gap (4750 PUT: the whole day)",
        "    and 2 more expirations",
    ]


@pytest.mark.parametrize(
    ("max_dte", "words"), [(0, "no expirations within 0 days"), (1, "no expirations within 1 day")]
)
def test_a_day_without_expirations(max_dte: int, words: str) -> None:
    """It is not there already, and nobody has said that it has no data."""
    event = finished(verdict=Verdict.ABSENT, scope=a_scope(max_dte=max_dte), files=0, rows=0)
    assert lines(event) == f"∅ Empty 2024-01-16 SPXW greeks: {words}"


def test_a_day_without_the_expirations_asked_for() -> None:
    """They are named."""
    event = finished(verdict=Verdict.ABSENT, scope=a_scope(expirations=(TRADE_DATE,)), files=0, rows=0)
    assert lines(event) == "∅ Empty 2024-01-16 SPXW greeks: no contracts of 2024-01-16"


def test_a_partial_day_of_which_nothing_is_due_is_told_even_when_quiet() -> None:
    """The exit code is 1, and says no more than that."""
    holed = stored(holes=(a_gap(),), ask_again=date(2024, 2, 15))
    said = lines(finished(verdict=Verdict.PARTIAL), outcomes=[holed], quiet=True)
    assert said.startswith("→ Skipped 2024-01-16 SPXW greeks (already there, partial, ")


def test_found_files() -> None:
    """Files that the catalog did not know are told of."""
    said = lines(FileAdopted(a_unit(), "20240116/spxw_exp_20240119.parquet"), finished())
    assert said == "→ Skipped 2024-01-16 SPXW greeks (already complete, 1,363,808 records; 1 file found and recorded)"


def test_long_range_counts_its_weekends() -> None:
    """A year has a hundred weekend days: they are counted, holidays are named."""
    dates = [date(2024, 1, 1) + timedelta(days=n) for n in range(16)]
    closed = [DayClosed(dates[0], "New Year's Day")]
    closed += [DayClosed(day, "Saturday") for day in dates if day.weekday() == 5]
    closed += [DayClosed(day, "Sunday") for day in dates if day.weekday() == 6]
    closed += [DayClosed(dates[14], "Martin Luther King Jr. Day")]
    assert lines(*closed, through(), dates=dates).splitlines() == [
        f"{CLOSED} Closed 2024-01-01: New Year's Day",
        f"{CLOSED} Closed 2024-01-06: Saturday",
        f"{CLOSED} Closed 2024-01-13: Saturday",
        f"{CLOSED} Closed 2024-01-07: Sunday",
        f"{CLOSED} Closed 2024-01-14: Sunday",
        f"{CLOSED} Closed 2024-01-15: Martin Luther King Jr. Day",
    ]
    more = [DayClosed(date(2024, 1, 20), "Saturday")]
    dates.append(date(2024, 1, 20))
    assert (
        lines(*closed, *more, through(), dates=dates).splitlines()[0] == f"{CLOSED} Closed on 5 Saturdays and Sundays"
    )


def test_days_are_told_in_order() -> None:
    """The last day may be through first: its line waits for those before it, or for the end."""
    days = [a_day(trade_date=date(2024, 1, n)) for n in (16, 17, 18)]
    events = [finished(days[2]), finished(days[0]), through(skipped=2)]
    said = lines(*events, dates=[day.trade_date for day in days]).splitlines()
    assert [line.split()[2] for line in said[:2]] == ["2024-01-16", "2024-01-18"]
    assert said[-1] == "→ Skipped: 2 days (already there)"


def test_summary() -> None:
    """Every kind of day has its line, and how long it took."""
    days = [a_day(trade_date=date(2024, 1, n)) for n in (16, 17)]
    run = through(downloaded=18, failed=2, skipped=2, without_rows=1, bytes=21_600_000_000, rows=9_000_000)
    said = lines(*map(finished, days), run, dates=[day.trade_date for day in days]).splitlines()
    assert said[3:] == [
        "✓ Downloaded 18 days (21.6 GB, 9,000,000 records) in 1 min 15 s",
        "✗ Failed: 2 days",
        "→ Skipped: 2 days (already there)",
        "∅ Without rows: 1 day",
    ]


def test_quiet_tells_what_went_wrong_only() -> None:
    """A cron job sends no mail when all is well."""
    events = [UnitRecorded(stored()), finished(), through(downloaded=1)]
    closed = DayClosed(date(2024, 1, 15), "Martin Luther King Jr. Day")
    dates = (date(2024, 1, 15), TRADE_DATE)
    assert lines(closed, *events, dates=dates, quiet=True) == ""
    bad = lines(UnitRecorded(failed()), finished(verdict=None), through(failed=1), quiet=True)
    assert bad.startswith("✗ Failed 2024-01-16")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (10**16, "10000.0 TB")],
)
def test_size(count: int, words: str) -> None:
    """Decimal units, one digit after the point, never 1000.0 of one unit."""
    assert size(count) == words


def test_duration() -> None:
    """Seconds, minutes, hours."""
    assert [duration(seconds) for seconds in (2.04, 59.96, 192, 3599.4, 3720)] == [
        "2.0 s",
        "1 min 00 s",
        "3 min 12 s",
        "59 min 59 s",
        "1 h 02 min",
    ]


def test_counted() -> None:
    """One has no plural."""
    assert (counted(1, "day"), counted(2000, "day"), counted(2, "copy", "copies")) == (
        "1 day",
        "2,000 days",
        "2 copies",
    )


def test_table_knows_wide_marks() -> None:
    """⏳ takes two places on a terminal."""
    assert table([("⏳ queued", "1"), ("✓ success", "22")], right=(1,)) == ["⏳ queued   1", "✓ success  22"]
