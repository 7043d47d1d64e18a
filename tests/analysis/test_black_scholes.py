import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from QuantLib import BlackCalculator, Option, PlainVanillaPayoff

from spxdata.analysis.black_scholes import price
from spxdata.analysis.greeks import greeks
from tests.analysis.truth import SLOPES, exact, random_options, slope

#: In and out of the money, near and far, a week and three years, quiet and wild: spot, strike, years, rate, volatility.
BOARD = [
    (4750.0, strike, years, rate, sigma, call)
    for strike, (years, rate), sigma, call in itertools.product(
        (4000.0, 4740.0, 5300.0), ((7 / 365, 0.053), (3.0, -0.004)), (0.12, 0.8), (True, False)
    )
]


def columns_of_board() -> dict[str, Any]:
    names = ("spot", "strike", "years", "rate", "volatility", "right")
    return dict(zip(names, map(np.array, zip(*BOARD, strict=True)), strict=True))


@pytest.mark.parametrize("name", SLOPES)
def test_each_greek_is_the_slope_it_is_named_for(name: str) -> None:
    expected = np.array([slope(name, row) for row in BOARD])
    found = greeks(**columns_of_board(), columns=[name])[name]
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14 * scale)


def test_lambda_is_the_percentage_a_percent_of_the_underlying_makes() -> None:
    found = greeks(**columns_of_board())
    np.testing.assert_allclose(found["lambda"], found["delta"] * 4750.0 / found["price"], rtol=1e-15)


def test_d1_and_d2_lie_a_total_volatility_apart_around_moneyness() -> None:
    board = columns_of_board()
    found = greeks(**board, columns=["d1", "d2"])
    total = board["volatility"] * np.sqrt(board["years"])
    np.testing.assert_allclose(found["d1"] - found["d2"], total, rtol=1e-12)
    forward = np.log(board["spot"] / board["strike"]) + board["rate"] * board["years"]
    np.testing.assert_allclose((found["d1"] + found["d2"]) / 2 * total, forward, rtol=1e-11)


def test_the_price_has_its_digits_near_the_money_and_far_out_of_it() -> None:
    options = random_options(2_000, seed=11, widest=7)
    found = price(options.sigma, **options.terms)
    prices, _ = exact(options)
    errors = np.array([float(abs(a - b)) for a, b in zip(found.tolist(), prices, strict=True)])
    sizes = np.array([float(value) for value in prices])
    assert (errors / np.maximum(options.spot, options.strike)).max() < 1e-15
    out_of_the_money = np.where(options.call, options.strike > options.spot, options.strike < options.spot)
    far = out_of_the_money & (sizes > 0)
    assert sizes[far].min() < 1e-9
    assert (errors[far] / sizes[far]).max() < 1e-10


def quantlib(row: tuple[float, float, float, float, float, bool]) -> tuple[float, ...]:
    spot, strike, years, rate, sigma, call = row
    kind = Option.Call if call else Option.Put
    total, discount = sigma * years**0.5, np.exp(-rate * years)
    at = BlackCalculator(PlainVanillaPayoff(kind, strike), spot / discount, total, discount)
    return (
        at.value(),
        at.delta(spot),
        at.gamma(spot),
        at.theta(spot, years),
        at.vega(years),
        at.rho(years),
        at.dividendRho(years),
        at.strikeSensitivity(),
        at.strikeGamma(),
    )


QUANTLIB = ("price", "delta", "gamma", "theta", "vega", "rho", "epsilon", "dual_delta", "dual_gamma")


def test_100_000_random_options_are_as_quantlib_has_them() -> None:
    options = random_options(100_000, seed=5, widest=5)
    expected = dict(zip(QUANTLIB, np.array([quantlib(row) for row in options.rows()]).T, strict=True))
    found = greeks(**options.terms, volatility=options.sigma, columns=QUANTLIB)
    # d1 is a logarithm by the total volatility, and takes that much of the logarithm's rounding, here as there.
    total = options.sigma * np.sqrt(options.years)
    larger, rounding = np.maximum(options.spot, options.strike), 2e-15 * (1 + 1 / total)
    for name, tolerance in {
        "price": 2e-15 * larger,
        "delta": rounding,
        "gamma": rounding / (options.spot * total),
        "theta": rounding * larger * (options.sigma / np.sqrt(options.years) + 1 / options.years),
        "vega": rounding * options.spot * np.sqrt(options.years),
        "rho": rounding * larger * options.years,
        "epsilon": rounding * larger * options.years,
        "dual_delta": rounding,
        "dual_gamma": rounding / (options.strike * total),
    }.items():
        worst = (np.abs(found[name] - expected[name]) / tolerance).max()
        assert worst < 1, name


@st.composite
def some_option(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "spot": draw(st.floats(1, 10_000)),
        "strike": draw(st.floats(1, 10_000)),
        "years": draw(st.floats(1 / 24 / 365, 5)),
        "rate": draw(st.floats(-0.02, 0.1)),
        "volatility": draw(st.floats(0.01, 5)),
    }


@given(option=some_option())
def test_a_call_and_a_put_obey_parity(option: dict[str, Any]) -> None:
    call, put = price(**option, right="CALL"), price(**option, right="PUT")
    owed = option["strike"] * np.exp(-option["rate"] * option["years"])
    assert call - put == pytest.approx(option["spot"] - owed, abs=4e-16 * (option["spot"] + owed))


@given(option=some_option())
def test_a_call_is_the_put_of_exchanged_spot_and_strike(option: dict[str, Any]) -> None:
    option |= {"rate": 0.0}
    exchanged = option | {"spot": option["strike"], "strike": option["spot"]}
    call, put = price(**option, right="CALL"), price(**exchanged, right="PUT")
    assert call == pytest.approx(float(put), rel=1e-9, abs=1e-15 * (option["spot"] + option["strike"]))


@given(option=some_option(), right=st.sampled_from(["CALL", "PUT"]))
@example({"spot": 5950.0, "strike": 2194.5, "years": 1 / 8760, "rate": 0.0, "volatility": 2.4375}, "PUT")
def test_twice_the_money_is_twice_the_price(option: dict[str, Any], right: str) -> None:
    doubled = option | {"spot": 2 * option["spot"], "strike": 2 * option["strike"]}
    difference = price(**doubled, right=right) - 2 * price(**option, right=right)
    assert abs(difference) <= 2 * np.finfo(float).smallest_subnormal  # 1e-320 has four digits, which are rounded


@given(option=some_option(), right=st.sampled_from(["CALL", "PUT"]))
def test_a_forward_gives_what_its_spot_gives(option: dict[str, Any], right: str) -> None:
    by_spot = greeks(**option, right=right)
    grown = option["spot"] * np.exp(option["rate"] * option["years"])
    by_forward = greeks(**{name: value for name, value in option.items() if name != "spot"}, forward=grown, right=right)
    size = option["spot"] + option["strike"]
    assert by_forward["price"] == pytest.approx(float(by_spot["price"]), abs=1e-14 * size)
    # d1 takes the rounding of a logarithm, by the volatility.
    assert by_forward["delta"] == pytest.approx(float(by_spot["delta"]), abs=1e-11)


@pytest.mark.parametrize("sigma", [0.0, -0.2, np.nan])
def test_without_a_volatility_there_is_no_price(sigma: float) -> None:
    assert np.isnan(price(sigma, spot=100.0, strike=100.0, right="CALL", years=1.0))
