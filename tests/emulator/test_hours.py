import csv
from datetime import date
from pathlib import Path

import pytest

from spxdata.emulator import hours


@pytest.mark.parametrize(
    "day",
    [
        "2012-10-29",  # Hurricane Sandy
        "2018-12-05",  # a president's funeral
        "2019-04-19",  # Good Friday
        "2021-12-24",  # Christmas Day on a Saturday
        "2022-06-20",  # Juneteenth on a Sunday
        "2023-01-02",  # New Year's Day on a Sunday
        "2024-01-15",  # Martin Luther King Jr. Day
        "2025-01-09",  # a president's funeral
        "2024-01-13",  # a Saturday
    ],
)
def test_the_exchange_is_shut(day: str) -> None:
    assert not hours.is_trading_day(date.fromisoformat(day))


@pytest.mark.parametrize(
    "day",
    [
        "2021-06-18",  # Juneteenth was no holiday yet
        "2021-12-31",  # New Year's Day on a Saturday is not made up for
        "2024-07-03",  # an early close is a trading day
        "2025-04-17",  # the day before Good Friday
    ],
)
def test_the_exchange_is_open(day: str) -> None:
    assert hours.is_trading_day(date.fromisoformat(day))


@pytest.mark.parametrize(
    ("day", "dying", "living"),
    [
        ("2024-01-16", 391, 406),
        ("2023-07-03", 211, 226),
        ("2023-11-24", 211, 226),
        ("2024-12-24", 211, 226),
        ("2020-07-02", 391, 406),  # the 4th was a Saturday: the 3rd was the holiday
    ],
)
def test_an_expiration_stops_a_quarter_of_an_hour_earlier_on_its_last_day(day: str, dying: int, living: int) -> None:
    on = date.fromisoformat(day)

    def minutes(*, expires_today: bool) -> int:
        session = hours.session(on, expires_today=expires_today)
        return session.last - session.first + 1

    assert (minutes(expires_today=True), minutes(expires_today=False)) == (dying, living)


@pytest.mark.reference
def test_days_and_early_closes_agree_with_two_calendar_libraries_from_2012_to_2026(reference: Path) -> None:
    with (reference / "realdata/calendar/us_sessions_close_new_york.csv").open() as file:
        rows = list(csv.DictReader(file))
    closes = {date.fromisoformat(row["date"]): row["pmc_nyse"] for row in rows}
    assert all(row["pmc_nyse"] == row["xc_xnys"] for row in rows)
    first, last = min(closes), max(closes)
    days = [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]
    assert [day for day in days if hours.is_trading_day(day)] == sorted(closes)
    assert [day for day in days if hours.is_early_close(day)] == sorted(d for d, at in closes.items() if at == "13:00")
