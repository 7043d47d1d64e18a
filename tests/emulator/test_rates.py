from datetime import date

import pytest

from spxdata.emulator import rates


def test_the_rate_in_percent_is_the_one_the_greeks_are_computed_with() -> None:
    for year in range(2010, 2031):
        day = date(year, 6, 3)
        for rate_type in rates.SPREADS:
            assert rates.percent(day, rate_type) == pytest.approx(100 * rates.rate(day, rate_type), abs=5e-5)


def test_the_rate_in_percent_prints_exactly_with_four_decimals() -> None:
    for year in range(2010, 2031):
        percent = rates.percent(date(year, 6, 3))
        assert float(f"{percent:.4f}") == percent


def test_the_rate_in_percent_is_sofr_unless_another_is_asked_for() -> None:
    assert rates.percent(date(2024, 1, 16)) == 5.15
    assert rates.percent(date(2024, 1, 16), "treasury_y10") == 5.5
