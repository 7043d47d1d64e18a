"""`spxdata sessions`: the table of trading days and hours, for people and for programs."""

import json

import pytest

from spxdata.sessions import FIRST_DAY, LAST_DAY
from tests.cli.screens import Compare, Run


def test_a_year(run: Run, golden: Compare) -> None:
    """Days, hours of each root on usual and short days, holidays by name, early closes with the reason."""
    golden(
        "sessions",
        run("sessions", "--year", "2024"),
        run("sessions", "--root", "xsp", SPXDATA_NOW="2021-06-01T12:00"),
        run("sessions", "--year", "2012", "--root", "SPX"),
        run("sessions", "--year", "2011"),
        run("sessions", "--year", "2024", "--root", "S&P"),
    )


def test_a_year_in_json(run: Run) -> None:
    """One object a trading day with each root's hours, one a holiday, and the sums."""
    screen = run("sessions", "--year", "2024", "--json")
    records = [json.loads(line) for line in screen.out.splitlines()]
    days = {record["trade_date"]: record for record in records if record["event"] == "trading_day"}
    usual, short = days["2024-07-02"], days["2024-07-03"]
    assert usual["early_close"] is None
    assert usual["sessions"]["SPXW"] == {"open": "09:30", "close": "16:15", "expiring_close": "16:00"}
    assert short["early_close"] == "day before Independence Day"
    assert short["sessions"]["SPX"] == {"open": "09:30", "close": "13:15", "expiring_close": None}
    assert {"event": "holiday", "trade_date": "2024-03-29", "name": "Good Friday", "schema_version": 1} in records
    assert records[-1] == {
        "schema_version": 1,
        "event": "summary",
        "year": 2024,
        "trading_days": len(days),
        "holidays": 10,
        "early_closes": 3,
    }


@pytest.mark.parametrize("year", range(FIRST_DAY.year, LAST_DAY.year + 1))
def test_every_year_of_the_table(year: int, run: Run) -> None:
    """The first one, of which the table has a part, and the last one too."""
    screen = run("sessions", "--year", str(year))
    assert screen.code == 0
    assert "09:30-13:00" in screen.out
    assert "Thanksgiving Day" in screen.out
