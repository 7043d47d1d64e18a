from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from QuantLib import Option, blackFormula

from spxdata.analysis.black_scholes import price
from spxdata.analysis.implied_vol import implied_volatility, total_volatility
from spxdata.analysis.normal import Floats
from spxdata.analysis.options import PIECE
from tests.analysis.truth import exact, random_options

#: Units in the last place of a price that the inversion may be off by, where that matters more than 1e-8.
ULPS = 4


def allowed(prices: Floats, vegas: Floats) -> Floats:
    """Return how far off a volatility may be: 1e-8, or where vega is too small what rounding the price makes of it."""
    return np.maximum(1e-8, ULPS * np.spacing(prices) / vegas)


def test_the_volatility_is_right_to_1e_8_wherever_vega_allows_it() -> None:
    options = random_options(4_000, seed=7, widest=7)
    prices, vegas = exact(options)
    given_price, vega = np.array([float(p) for p in prices]), np.array([float(v) for v in vegas])
    found = implied_volatility(given_price, **options.terms)
    limit = allowed(given_price, vega)
    determined = limit < 1e-3  # where less is known, the price is its intrinsic value to the last digit or two
    assert determined.mean() > 0.9
    assert (np.abs(found - options.sigma) <= limit)[determined].all()
    told = limit == 1e-8
    assert told.mean() > 0.85
    assert np.abs(found - options.sigma)[told].max() < 5e-9


def test_100_000_prices_of_quantlib_are_inverted() -> None:
    options = random_options(100_000, seed=3, widest=5)
    discount = np.exp(-options.rate * options.years)
    rows = zip(
        options.call.tolist(),
        options.strike.tolist(),
        (options.spot / discount).tolist(),
        (options.sigma * np.sqrt(options.years)).tolist(),
        discount.tolist(),
        strict=True,
    )
    prices = np.array([blackFormula(Option.Call if call else Option.Put, *terms) for call, *terms in rows])
    step = 1e-4 * options.sigma
    up, down = (price(options.sigma + by, **options.terms) for by in (step, -step))
    vega = (up - down) / (2 * step)
    # QuantLib's price is exact to some units in the last place of spot and strike.
    error = 16 * np.spacing(np.maximum(options.spot, options.strike))
    determined = error < 1e-4 * vega
    assert determined.mean() > 0.9
    limit = np.maximum(1e-8, error[determined] / vega[determined])
    found = implied_volatility(prices, **options.terms)
    assert (np.abs(found - options.sigma)[determined] <= limit).all()


@pytest.mark.parametrize("moneyness", [0.0, 1e-12, 1e-6, 1e-3, 0.1, 1.0, 10.0, 50.0])
def test_every_share_of_the_upper_bound_is_solved(moneyness: float) -> None:
    share = np.concatenate([np.geomspace(1e-280, 0.4, 500), 1 - np.geomspace(0.6, 1e-15, 500)])
    s = total_volatility(np.full(share.shape, moneyness), share)
    assert np.isfinite(s).all()
    assert (s > 0).all()
    resolved = s > 1e-6  # below that the digits of s are those of the rounding
    assert (np.diff(s[resolved]) >= 0).all()


@given(
    moneyness=st.floats(0, 20),
    total=st.floats(1e-3, 10),
    right=st.sampled_from(["CALL", "PUT"]),
)
def test_a_price_out_of_the_money_gives_its_volatility_back(moneyness: float, total: float, right: str) -> None:
    strike = np.exp(moneyness if right == "CALL" else -moneyness)
    terms: dict[str, Any] = {"spot": 1.0, "strike": strike, "right": right, "years": 1.0}
    found = price(total, **terms)
    vega = (price(total * 1.0001, **terms) - price(total * 0.9999, **terms)) / (2e-4 * total)
    # A price near its upper bound says next to nothing, and one of which the logarithm is huge loses digits by that.
    if found > 1e-300 and vega > 1e-6 * found:
        assert implied_volatility(found, **terms) == pytest.approx(total, rel=1e-9, abs=4e-16 * min(1, strike) / vega)


@given(prices=st.lists(st.floats(0.01, 400), min_size=2, max_size=20))
def test_a_higher_price_has_a_higher_volatility(prices: list[float]) -> None:
    found = implied_volatility(sorted(prices), spot=4750.0, strike=4800.0, right="CALL", years=0.1, rate=0.05)
    assert (np.diff(found) >= -1e-12).all()


UNSOLVABLE = {
    "no price": 0.0,
    "a negative price": -1.0,
    "no number": np.nan,
    "below intrinsic value": 749.0,
    "the upper bound": 4750.0,
    "above the upper bound": 5000.0,
    "infinite": np.inf,
}


@pytest.mark.parametrize("given_price", UNSOLVABLE.values(), ids=UNSOLVABLE)
def test_a_price_that_no_volatility_has_gives_nan(given_price: float) -> None:
    assert np.isnan(implied_volatility(given_price, spot=4750.0, strike=4000.0, right="CALL", years=0.1, rate=0.05))


@pytest.mark.parametrize(
    "wrong",
    [{"spot": 0.0}, {"spot": np.nan}, {"strike": 0.0}, {"years": 0.0}, {"years": -1.0}, {"rate": np.nan}],
    ids=str,
)
def test_what_is_no_option_gives_nan(wrong: dict[str, Any]) -> None:
    terms: dict[str, Any] = {"spot": 100.0, "strike": 100.0, "years": 0.1, "rate": 0.05, **wrong}
    assert np.isnan(implied_volatility(5.0, **terms, right="CALL"))


@given(numbers=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=5, max_size=5))
def test_no_numbers_raise_or_warn(numbers: list[float]) -> None:
    given_price, spot, strike, years, rate = numbers
    for right in ("CALL", "PUT"):
        found = implied_volatility(given_price, spot=spot, strike=strike, right=right, years=years, rate=rate)
        assert np.isnan(found) or found > 0


def test_shapes_and_kinds_of_columns_are_kept() -> None:
    frame = pl.DataFrame({"mid": [10.0, 20.0, None], "strike": [4800.0, 4790.0, 4780.0], "right": ["CALL"] * 3})
    found = implied_volatility(
        frame["mid"], spot=4750.0, strike=frame["strike"], right=frame["right"], years=0.1, rate=0.05
    )
    assert found.dtype == np.float64
    assert np.isfinite(found).tolist() == [True, True, False]
    grid = implied_volatility(
        [[10.0, 20.0]], spot=4750.0, strike=[[4800.0], [4790.0]], right="CALL", years=0.1, rate=0.05
    )
    assert grid.shape == (2, 2)
    assert (grid[0, 0], grid[1, 1]) == (found[0], found[1])
    assert implied_volatility(10.0, spot=4750.0, strike=4800.0, right="CALL", years=0.1, rate=0.05).shape == ()


def test_a_batch_of_many_pieces_is_what_its_options_are_alone() -> None:
    options = random_options(PIECE + 100, seed=1, widest=2)
    prices = price(options.sigma, **options.terms)
    whole = implied_volatility(prices, **options.terms)
    few = {name: values[-200:] for name, values in options.terms.items()}
    np.testing.assert_array_equal(implied_volatility(prices[-200:], **few), whole[-200:])
