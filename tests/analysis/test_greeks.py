from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.analysis.black_scholes import DERIVATIVES
from spxdata.analysis.greeks import COLUMNS, Conventions, cut, cut_mid, greeks
from spxdata.analysis.implied_vol import implied_volatility
from tests.analysis.vendor import (
    AAPL_RATE,
    PRINTED,
    SPY_RATE,
    TRADE_RATE,
    UNSOLVED_RATE,
    Printed,
    aapl,
    numbers,
    price_used,
    printed,
    recorded,
    spy,
    terms_of,
    volatility_differences,
)

CALL: dict[str, Any] = {"spot": 4750.0, "strike": 4800.0, "right": "CALL", "years": 7 / 365, "rate": 0.053}
DEEP: dict[str, Any] = {**CALL, "strike": 4000.0}
VENDORS: tuple[Conventions, ...] = ("vendor", "vendor_recorded")


def test_the_greeks_of_a_price_are_those_at_its_volatility() -> None:
    found = greeks(**CALL, price=25.0)
    assert tuple(found) == COLUMNS
    assert found["implied_vol"] == implied_volatility(25.0, **CALL)
    assert found["price"] == pytest.approx(25.0, rel=1e-12)
    assert found["iv_error"] == pytest.approx(0.0, abs=1e-12)
    at = greeks(**CALL, volatility=found["implied_vol"])
    assert np.isnan(at.pop("iv_error"))
    for name, values in at.items():
        np.testing.assert_array_equal(values, found[name], err_msg=name)


def test_a_volatility_that_is_given_is_kept_and_its_price_compared() -> None:
    found = greeks(**CALL, price=25.0, volatility=0.2)
    assert found["implied_vol"] == 0.2
    assert found["iv_error"] == pytest.approx(float(found["price"]) / 25.0 - 1, rel=1e-12)


def test_only_what_is_asked_for_comes_and_in_that_order() -> None:
    assert list(greeks(**CALL, price=25.0, columns=["vega", "gamma"])) == ["vega", "gamma"]


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({}, TypeError, "price or volatility"),
        ({"price": 1.0, "columns": ["gama"]}, ValueError, "called gama"),
        ({"price": 1.0, "conventions": cast("Conventions", "other")}, ValueError, "not 'other'"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        greeks(**CALL, **wrong)


UNSOLVABLE: Mapping[str, tuple[dict[str, Any], float, float]] = {
    "no price, in the money": ({**DEEP, "price": 0.0}, 1.0, 100.0),
    "no price, out of it": ({**CALL, "price": 0.0}, 0.0, 100.0),
    "no price, a put in the money": ({**CALL, "right": "PUT", "price": 0.0}, -1.0, 100.0),
    "below intrinsic value": ({**DEEP, "price": 750.0}, 1.0, (4750 - 4000 * np.exp(-0.053 * 7 / 365)) / 750 - 1),
}


@pytest.mark.parametrize(("option", "delta", "iv_error"), UNSOLVABLE.values(), ids=UNSOLVABLE)
def test_an_option_without_a_volatility_is_nan_or_the_vendors_zeros(
    option: dict[str, Any], delta: float, iv_error: float
) -> None:
    assert all(np.isnan(values) for values in greeks(**option).values())
    for conventions in VENDORS:
        found = greeks(**option, conventions=conventions)
        assert found.pop("delta") == delta
        assert found.pop("iv_error") == pytest.approx(iv_error, rel=1e-12)
        assert found.pop("price") == pytest.approx(750 * (1 + iv_error) if iv_error < 1 else 4753.05 - 4000, abs=754)
        assert set(map(float, found.values())) == {0.0}


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan])
def test_a_volatility_not_above_0_stands_for_none(sigma: float) -> None:
    assert all(np.isnan(values) for values in greeks(**CALL, volatility=sigma).values())
    assert greeks(**CALL, price=1.0, volatility=sigma, conventions="vendor")["implied_vol"] == 0.0


def test_the_recorded_units_differ_from_the_textbooks_by_time_alone() -> None:
    plain, recorded = (greeks(**CALL, price=25.0, conventions=name) for name in ("plain", "vendor_recorded"))
    assert recorded["theta"] == plain["theta"] / 365
    for name in ("veta", "color"):
        assert recorded[name] == -plain[name]
    for name in set(COLUMNS) - {"theta", "veta", "color"}:
        assert recorded[name] == plain[name], name


def test_the_documented_numbers_differ_from_the_recorded_ones_in_seven_greeks() -> None:
    recorded, documented = (greeks(**CALL, price=25.0, conventions=name) for name in ("vendor_recorded", "vendor"))
    different = {name for name in COLUMNS if documented[name] != recorded[name]}
    assert different == {"veta", "vera", "speed", "zomma", "color", "ultima", "dual_gamma"}
    assert [float(documented[name]) for name in ("vera", "speed", "zomma")] == [0, 0, 0]
    assert abs(documented["ultima"]) == 100


@given(numbers=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=5, max_size=5))
def test_no_numbers_raise_or_warn(numbers: list[float]) -> None:
    price, spot, strike, years, rate = numbers
    for conventions in ("plain", *VENDORS):
        for right in ("CALL", "PUT"):
            terms: dict[str, Any] = {"spot": spot, "strike": strike, "years": years, "rate": rate, "right": right}
            greeks(**terms, price=price, conventions=conventions, digits=4)


@pytest.mark.parametrize(
    ("value", "cut_to"), [(0.26789, 0.2678), (-0.26789, -0.2678), (0.0003, 0.0003), (0.00007, 0.0), (-0.00007, 0.0)]
)
def test_numbers_are_cut_toward_0(value: float, cut_to: float) -> None:
    assert cut(value) == cut_to
    assert not np.signbit(cut(-0.00007))


@pytest.mark.parametrize(
    ("bid", "ask", "mid"),
    [
        (8.70, 8.75, 8.72),
        (0.01, 0.02, 0.01),
        (40.91, 41.98, 41.44),
        (0.0, 0.01, 0.0),
        (4.10, 4.20, 4.15),
        (0.28, 0.3, 0.29),
    ],
)
def test_the_mid_is_cut_to_whole_cents(bid: float, ask: float, mid: float) -> None:
    assert cut_mid(bid, ask) == mid


def assert_same_volatility(rows: Sequence[dict[str, str]], rate: float) -> None:
    found = greeks(**terms_of(rows, rate), price=price_used(rows))
    assert volatility_differences(rows, found).max() < 2e-3
    assert np.abs(found["delta"] - numbers(rows, "delta")).max() < 1e-3


@pytest.mark.reference
def test_the_30_documented_rows_of_spy_are_reproduced(reference: Path) -> None:
    rows = spy(reference)
    assert len(rows) == 30
    assert_same_volatility(rows, SPY_RATE)
    sigma = numbers(rows, "implied_vol")
    terms = terms_of(rows, SPY_RATE)
    found = greeks(**terms, price=price_used(rows), volatility=sigma, conventions="vendor", digits=4)
    for name, tolerance in {
        "delta": 1.01e-4,
        "theta": 1.01e-4,
        "vega": 3e-3,
        "rho": 5e-4,
        "epsilon": 5e-4,
        "lambda": 1.01e-4,
        "iv_error": 1e-9,
    }.items():
        assert np.abs(found[name] - numbers(rows, name)).max() < tolerance, name


@pytest.mark.reference
def test_the_7_documented_rows_of_aapl_are_reproduced(reference: Path) -> None:
    rows = aapl(reference)
    assert len(rows) == 7
    assert_same_volatility(rows, AAPL_RATE)


@pytest.mark.reference
@pytest.mark.parametrize("example", PRINTED, ids=[example.path for example in PRINTED])
def test_every_documented_greek_is_reproduced_at_the_vendors_volatility(example: Printed, reference: Path) -> None:
    rows = printed(reference, example.path)
    assert len(rows) == example.rows
    terms, sigma = terms_of(rows, example.rate, example.fewer_days), numbers(rows, "implied_vol")
    found = greeks(**terms, volatility=sigma, conventions="vendor", digits=4)
    names = [name for name in DERIVATIVES if name in rows[0]]
    assert names
    for name in names:
        np.testing.assert_allclose(found[name], numbers(rows, name), rtol=3e-3, atol=1.5e-4, err_msg=name)


@pytest.mark.reference
def test_a_recorded_row_of_all_greeks_is_reproduced_at_the_vendors_volatility(reference: Path) -> None:
    rows = recorded(reference, "trade_greeks_all")
    terms, sigma = terms_of(rows, TRADE_RATE), numbers(rows, "implied_vol")
    found = greeks(**terms, volatility=sigma, conventions="vendor_recorded", digits=4)
    for name in DERIVATIVES:
        np.testing.assert_allclose(found[name], numbers(rows, name), rtol=2e-3, atol=1.5e-4, err_msg=name)


@pytest.mark.reference
def test_the_79_recorded_rows_without_a_volatility_stay_without_one(reference: Path) -> None:
    rows = recorded(reference, "greeks_all")
    assert len(rows) == 79
    terms, price = terms_of(rows, UNSOLVED_RATE), price_used(rows)
    assert np.isnan(greeks(**terms, price=price, columns=["implied_vol"])["implied_vol"]).all()
    for conventions in VENDORS:
        found = greeks(**terms, price=price, conventions=conventions, digits=4)
        for name in (*DERIVATIVES, "implied_vol", "iv_error"):  # to the last digit; the vendor's first delta is 0.99999
            np.testing.assert_allclose(found[name], numbers(rows, name), rtol=0, atol=1.1e-5, err_msg=name)
