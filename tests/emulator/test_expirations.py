import csv
from datetime import date
from pathlib import Path

import pytest

from spxdata.emulator import expirations, hours


def between(root: str, first: str, last: str) -> list[str]:
    """Dates of the expirations of a root within a range."""
    return [day.isoformat() for day in expirations.calendar(root) if first <= day.isoformat() <= last]


def test_weeklies_were_on_fridays_alone_before_2016() -> None:
    assert between("SPXW", "2013-03-01", "2013-03-31") == [
        "2013-03-01",
        "2013-03-08",
        "2013-03-22",
        "2013-03-28",  # Good Friday: a day earlier
    ]


def test_weeklies_were_on_three_days_a_week_in_2019() -> None:
    assert between("SPXW", "2019-06-24", "2019-07-08") == [
        "2019-06-24",
        "2019-06-26",
        "2019-06-28",
        "2019-07-01",
        "2019-07-03",
        "2019-07-05",
        "2019-07-08",
    ]


def test_every_trading_day_is_an_expiration_since_may_2022() -> None:
    first, last = date(2022, 5, 12), date(2031, 12, 31)
    days = [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]
    assert [day for day in expirations.calendar("SPXW") if day >= first] == [d for d in days if hours.is_trading_day(d)]


def test_tuesdays_came_before_thursdays() -> None:
    assert between("SPXW", "2022-04-18", "2022-04-22") == ["2022-04-18", "2022-04-19", "2022-04-20", "2022-04-22"]


@pytest.mark.parametrize(
    ("expiration", "last_day"),
    [
        ("2024-01-19", "2024-01-18"),
        ("2019-04-18", "2019-04-17"),  # the third Friday was Good Friday
        ("2014-12-20", "2014-12-18"),  # dated on a Saturday then
    ],
)
def test_an_am_settled_monthly_is_last_quoted_the_trading_day_before_it_settles(expiration: str, last_day: str) -> None:
    found = expirations.calendar("SPX")[date.fromisoformat(expiration)]
    assert (found.am_settled, found.last_day) == (True, date.fromisoformat(last_day))
    assert found.session(found.last_day) is not None
    assert found.session(hours.next_trading_day(found.last_day)) is None


def test_the_third_friday_exists_in_both_roots() -> None:
    third_friday = date(2024, 1, 19)
    assert third_friday in expirations.calendar("SPX")
    assert third_friday in expirations.calendar("SPXW")


def test_live_expirations_reach_sixty_days_ahead() -> None:
    found = [item.day for item in expirations.live("SPXW", date(2024, 1, 16))]
    assert (found[0], found[-1], len(found)) == (date(2024, 1, 16), date(2024, 3, 15), 43)


def test_an_unknown_root_has_no_expirations() -> None:
    assert expirations.calendar("XYZ") == {}


@pytest.mark.reference
def test_the_expirations_of_a_recorded_chain_within_a_month_are_all_known(reference: Path) -> None:
    with (reference / "realdata/chains/spxw20190626.csv").open(encoding="utf-8-sig") as file:
        recorded = sorted({row["expiration"] for row in csv.DictReader(file) if row["expiration"] <= "2019-07-31"})
    assert between("SPXW", "2019-06-26", "2019-07-31") == recorded
