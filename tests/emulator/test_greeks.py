import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.emulator import greeks, normal
from spxdata.emulator.greeks import Floats, Terms


def terms(spot: float, strike: float, right: str, t: float, rate: float) -> Terms:
    return Terms(np.array([spot]), np.array([strike]), np.array([right == "C"]), np.array([t]), rate)


def test_the_normal_distribution_is_accurate_to_1e_12() -> None:
    x = np.linspace(-12, 12, 4801)
    exact = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x])
    assert np.abs(normal.cdf(x) - exact).max() < 1e-12


@given(
    strike=st.floats(3800, 5800),
    right=st.sampled_from("CP"),
    t=st.floats(1 / 24 / 365, 0.5),
    sigma=st.floats(0.05, 1.5),
    rate=st.floats(0, 0.06),
)
def test_implied_volatility_gives_back_the_price_it_was_found_from(
    strike: float, right: str, t: float, sigma: float, rate: float
) -> None:
    asked = terms(4750.0, strike, right, t, rate)
    price = greeks.first_order(asked, np.array([sigma])).price
    found = greeks.implied_volatility(asked, price)
    if found[0] > 0:
        assert greeks.first_order(asked, found).price[0] == pytest.approx(price[0], abs=2e-3)
    else:  # less than a hundredth of a cent of time value
        intrinsic = max((4750.0 - strike * math.exp(-rate * t)) * (1 if right == "C" else -1), 0.0)
        assert price[0] - intrinsic < 2e-4


def test_a_price_below_intrinsic_value_has_no_volatility_and_delta_one() -> None:
    asked = terms(4750.0, 4000.0, "C", 7 / 365, 0.05)
    row = greeks.columns(asked, np.array([750.0]))
    assert (row.implied_vol[0], row.delta[0], row.theta[0], row.vega[0]) == (0.0, 1.0, 0.0, 0.0)
    assert 0 < row.iv_error[0] < 0.01


def test_a_row_without_a_price_is_the_sentinel() -> None:
    for right, strike, delta in (("C", 4000.0, 1.0), ("C", 5000.0, 0.0), ("P", 5000.0, -1.0), ("P", 4000.0, 0.0)):
        row = greeks.columns(terms(4750.0, strike, right, 7 / 365, 0.05), np.array([0.0]))
        assert (row.delta[0], row.implied_vol[0], row.iv_error[0]) == (delta, 0.0, 100.0)


def test_the_mid_is_cut_to_whole_cents() -> None:
    bid, ask = np.array([870, 0, 1], dtype=np.int32), np.array([875, 5, 2], dtype=np.int32)
    assert greeks.cut_mid(bid, ask).tolist() == [8.72, 0.02, 0.01]


def test_time_is_whole_days_but_on_the_last_day_as_the_version_says() -> None:
    day, minutes = date(2024, 1, 16), np.array([570, 930, 960], dtype=np.int32)
    assert greeks.years_to_expiration(day, date(2024, 1, 19), minutes, "latest").tolist() == [3 / 365] * 3
    assert greeks.years_to_expiration(day, day, minutes, "1").tolist() == [0.15 / 365] * 3
    hours = greeks.years_to_expiration(day, day, minutes, "latest") * 365 * 24
    assert hours.tolist() == pytest.approx([6.5, 1.0, 1.0])  # never below an hour


def assert_vendor_rows(rows: list[dict[str, str]], days: int, rate: float, iv_error_within: float) -> None:
    """Compare our model at the vendor's volatility with what the vendor printed."""
    numbers = {
        name: np.array([float(row[name]) for row in rows])
        for name in rows[0]
        if name not in ("symbol", "expiration", "right", "timestamp", "underlying_timestamp")
    }
    asked = Terms(
        numbers["underlying_price"],
        numbers["strike"],
        np.array([row["right"] == "CALL" for row in rows]),
        np.full(len(rows), days / 365),
        rate,
    )
    model = greeks.first_order(asked, numbers["implied_vol"])
    cents = [np.rint(numbers[side] * 100).astype(np.int32) for side in ("bid", "ask")]
    price = greeks.cut_mid(cents[0], cents[1])
    assert np.abs(model.delta - numbers["delta"]).max() < 2e-4
    assert np.abs(model.theta - numbers["theta"]).max() < 2e-4
    assert np.abs(model.price - price).max() < 2e-3
    assert np.abs(model.vega - numbers["vega"]).max() < 3e-3
    assert np.abs(model.rho - numbers["rho"]).max() < 5e-4
    assert np.abs(model.epsilon - numbers["epsilon"]).max() < 5e-4
    assert np.abs(model.lambda_ / numbers["lambda"] - 1).max() < 5e-4
    assert np.abs(model.price / price - 1 - numbers["iv_error"]).max() < iv_error_within


@pytest.mark.reference
def test_the_vendors_printed_spy_rows_are_reproduced(reference: Path) -> None:
    text = (reference / "thetadata/samples/docs_greeks_first_order_SPY_420C.csv").read_text()
    rows = [row for row in csv.DictReader(io.StringIO(text)) if float(row["iv_error"]) < 100]
    assert len(rows) == 30
    assert_vendor_rows(rows, days=28, rate=0.0414, iv_error_within=1e-4)


@pytest.mark.reference
@pytest.mark.parametrize(("path", "count"), [("first_order", 4), ("all", 3)])
def test_the_vendors_printed_aapl_rows_are_reproduced(reference: Path, path: str, count: int) -> None:
    endpoints = json.loads((reference / "thetadata/v3-endpoints.json").read_text())["endpoints"]
    text = endpoints[f"/option/history/greeks/{path}"]["csv_example"]
    rows = [row for row in csv.DictReader(io.StringIO(text)) if float(row["iv_error"]) < 100]
    assert len(rows) == count
    # 4 days; SOFR was 4.82 % that Monday. A cent of price and four decimals of volatility leave iv_error 2e-3 open.
    assert_vendor_rows(rows, days=4, rate=0.0482, iv_error_within=2e-3)


FIRST = ["delta", "theta", "vega", "rho", "epsilon", "lambda"]
SECOND = ["gamma", "vanna", "charm", "vomma", "veta", "vera"]
THIRD = ["speed", "zomma", "color", "ultima"]
#: The greeks of a reply with all of them, in its order.
GREEKS = [*FIRST, *SECOND, *THIRD, "d1", "d2", "dual_delta", "dual_gamma"]
ALWAYS_ZERO = ("vera", "speed", "zomma", "dual_gamma")
SAME_FOR_BOTH_RIGHTS = ("gamma", "vanna", "charm", "vomma", "veta", "color", "ultima", "d1", "d2")


def board(right: str) -> tuple[Terms, Floats]:
    """Give options in and out of the money, near and far, with their volatilities."""
    strike, t, sigma = (
        axis.ravel() for axis in np.meshgrid([80.0, 95.0, 100.0, 104.0, 130.0], [2 / 365, 0.25, 2.0], [0.15, 0.6])
    )
    asked = Terms(np.full(len(strike), 100.0), strike, np.full(len(strike), right == "C"), t, 0.045)
    return asked, sigma


def model(name: str, asked: Terms, sigma: Floats) -> Floats:
    if name in ("price", "delta", "vega"):
        return np.asarray(getattr(greeks.first_order(asked, sigma), name))
    return greeks.higher_orders(asked, sigma)[name]


def moved(by: str, asked: Terms, sigma: Floats, share: float) -> tuple[Terms, Floats, Floats]:
    """Give the options with one of their terms larger by a share of it, and how much larger it is."""
    if by == "sigma":
        return asked, sigma * (1 + share), sigma * share
    term = getattr(asked, by)
    return replace(asked, **{by: term * (1 + share)}), sigma, term * share


@pytest.mark.parametrize("right", ["C", "P"])
@pytest.mark.parametrize(
    ("name", "of", "by", "sign"),
    [
        ("delta", "price", "spot", 1),
        ("vega", "price", "sigma", 1),
        ("dual_delta", "price", "strike", 1),
        ("gamma", "delta", "spot", 1),
        ("vanna", "delta", "sigma", 1),
        ("vanna", "vega", "spot", 1),
        ("charm", "delta", "t", -1),
        ("vomma", "vega", "sigma", 1),
        ("veta", "vega", "t", 1),
        ("color", "gamma", "t", 1),
        ("ultima", "vomma", "sigma", 1),
    ],
)
def test_each_greek_is_the_slope_it_is_named_for(name: str, of: str, by: str, sign: int, right: str) -> None:
    asked, sigma = board(right)
    more, more_sigma, step = moved(by, asked, sigma, 1e-5)
    less, less_sigma, _ = moved(by, asked, sigma, -1e-5)
    slope = sign * (model(of, more, more_sigma) - model(of, less, less_sigma)) / (2 * step)
    if name == "ultima":
        slope = np.clip(slope, -100, 100)
    found = model(name, asked, sigma)
    assert np.abs(found).max() > 0.01
    np.testing.assert_allclose(found, slope, rtol=1e-5, atol=1e-6)


def test_a_put_has_the_calls_higher_orders_and_the_forwards_deltas_less() -> None:
    calls, sigma = board("C")
    puts = board("P")[0]
    call, put = greeks.higher_orders(calls, sigma), greeks.higher_orders(puts, sigma)
    for name in (*SAME_FOR_BOTH_RIGHTS, *ALWAYS_ZERO):
        np.testing.assert_array_equal(call[name], put[name])
    np.testing.assert_allclose(put["dual_delta"] - call["dual_delta"], np.exp(-calls.rate * calls.t), rtol=1e-12)
    np.testing.assert_array_equal(model("vega", calls, sigma), model("vega", puts, sigma))
    np.testing.assert_allclose(model("delta", calls, sigma) - model("delta", puts, sigma), 1.0, rtol=1e-12)


def one_option(draw: Callable[..., float]) -> tuple[Terms, Floats]:
    asked = terms(
        draw(st.floats(0.5, 50_000)),
        draw(st.floats(0.5, 50_000)),
        "C" if draw(st.booleans()) else "P",
        draw(st.floats(1 / 24 / 365, 10)),
        draw(st.floats(-0.01, 0.2)),
    )
    return asked, np.array([draw(st.integers(0, 10_000_000)) / 100])


OPTIONS = st.composite(one_option)()


def assert_printable(columns: dict[str, Floats]) -> None:
    for name, values in columns.items():
        assert np.isfinite(values).all(), name
        assert not (np.signbit(values) & (values == 0)).any(), name
        np.testing.assert_array_equal(values, np.round(values, 4), err_msg=name)


@given(option=OPTIONS)
def test_all_greeks_are_finite_and_within_their_bounds_whatever_the_option(option: tuple[Terms, Floats]) -> None:
    found = greeks.all_greeks(*option)
    assert_printable(found)
    assert np.abs(found["ultima"]).max() <= 100
    assert np.abs(found["delta"]).max() <= 1
    assert found["gamma"].min() >= 0
    assert found["d1"] >= found["d2"]
    assert all(found[name] == 0 for name in ALWAYS_ZERO)


@given(option=OPTIONS)
def test_all_greeks_have_the_first_order_of_a_reply_that_has_only_it(option: tuple[Terms, Floats]) -> None:
    found, alone = greeks.all_greeks(*option), greeks.columns(*option)
    assert list(found) == [*GREEKS, "implied_vol", "iv_error"]
    for name in (*FIRST, "implied_vol", "iv_error"):
        np.testing.assert_array_equal(found[name], getattr(alone, "lambda_" if name == "lambda" else name))


@pytest.mark.parametrize(
    ("strike", "right", "delta"), [(4000.0, "C", 1.0), (5000.0, "C", 0.0), (5000.0, "P", -1.0), (4000.0, "P", 0.0)]
)
def test_a_row_without_a_volatility_has_a_delta_and_nothing_else(strike: float, right: str, delta: float) -> None:
    found = greeks.all_greeks(terms(4750.0, strike, right, 7 / 365, 0.05), np.array([0.0]))
    assert found.pop("delta").tolist() == [delta]
    assert found.pop("iv_error").tolist() == [100.0]
    assert all(values.tolist() == [0.0] for values in found.values())


def test_a_guess_of_the_volatility_changes_no_greek() -> None:
    asked, sigma = board("C")
    price = np.round(model("price", asked, sigma), 2)
    blind, guided = greeks.all_greeks(asked, price), greeks.all_greeks(asked, price, sigma * np.sqrt(asked.t))
    for name, values in blind.items():
        np.testing.assert_array_equal(values, guided[name], err_msg=name)


def test_ultima_is_cut_off_at_100() -> None:
    # At the money and far out of it, a year to go: the textbook has more on both sides of 0.
    asked = Terms(np.full(2, 5000.0), np.array([5000.0, 9000.0]), np.array([True, True]), np.full(2, 1.0), 0.05)
    assert greeks.higher_orders(asked, np.array([0.2, 0.1]))["ultima"].tolist() == [-100.0, 100.0]


def test_the_documented_figures_beyond_the_first_order_are_reproduced() -> None:
    # A call on 2024-11-04 with 4 days to go and a put on 2025-08-20 with 148; printed are the volatility's first four
    # decimals, and some greeks change by a thousandth within the fifth.
    call = greeks.higher_orders(terms(222.06, 262.5, "C", 4 / 365, 0.0482), np.array([0.5625]))
    printed = {
        "gamma": 0.0006,
        "vanna": 0.0399,
        "charm": -1.0319,
        "vomma": 2.6034,
        "ultima": 23.2345,
        "d1": -2.8027,
        "d2": -2.8616,
        "dual_delta": -0.0021,
    }
    put = greeks.higher_orders(terms(225.74, 275.0, "P", 148 / 365, 0.0439), np.array([0.3106]))
    printed_put = {"gamma": 0.0064, "vanna": 0.9320, "charm": -0.4210, "vomma": 108.3415, "ultima": -100.0}
    for found, expected in ((call, printed), (put, printed_put)):
        assert {name: found[name][0] for name in expected} == pytest.approx(expected, rel=1.5e-3, abs=1e-4)


def documented(reference: Path, path: str) -> list[dict[str, str]]:
    endpoints = json.loads((reference / "thetadata/v3-endpoints.json").read_text())["endpoints"]
    return list(csv.DictReader(io.StringIO(endpoints[f"/option/history/{path}"]["csv_example"])))


def column(rows: list[dict[str, str]], name: str) -> Floats:
    return np.array([float(row[name]) for row in rows])


@pytest.mark.reference
@pytest.mark.parametrize(
    ("path", "rate"), [("greeks/all", 0.0482), ("trade_greeks/all", 0.0532), ("greeks/eod", 0.0482)]
)
def test_the_vendors_documented_rows_of_all_greeks_are_reproduced(reference: Path, path: str, rate: float) -> None:
    rows = [row for row in documented(reference, path) if float(row["iv_error"]) < 100]
    days = [(date.fromisoformat(row["expiration"]) - date.fromisoformat(row["timestamp"][:10])).days for row in rows]
    right = np.array([row["right"] == "CALL" for row in rows])
    asked = Terms(column(rows, "underlying_price"), column(rows, "strike"), right, np.array(days) / 365, rate)
    found = greeks.higher_orders(asked, column(rows, "implied_vol"))
    for name in found.keys() - {"veta", "color"}:
        np.testing.assert_allclose(found[name], column(rows, name), rtol=1.5e-3, atol=3e-4, err_msg=name)


@pytest.mark.reference
def test_a_recorded_answer_has_the_textbooks_veta_and_color(reference: Path) -> None:
    with (reference / "realdata/recorded/option_history_trade_greeks_all.csv").open() as text:
        rows = list(csv.DictReader(text))
    days = (date(2026, 1, 16) - date(2025, 5, 2)).days
    asked = Terms(
        column(rows, "underlying_price"), column(rows, "strike"), np.array([True]), np.array([days / 365]), 0.0436
    )
    found = greeks.higher_orders(asked, column(rows, "implied_vol"))
    for name in ("gamma", "vanna", "charm", "vomma", "veta", "color", "d1", "d2", "dual_delta"):
        np.testing.assert_allclose(found[name], column(rows, name), rtol=1.5e-3, atol=2e-4, err_msg=name)


@pytest.mark.reference
def test_the_vendors_recorded_unsolved_rows_are_reproduced(reference: Path) -> None:
    with (reference / "realdata/recorded/option_history_greeks_all.csv").open() as text:
        rows = list(csv.DictReader(text))
    asked = Terms(
        column(rows, "underlying_price"),
        column(rows, "strike"),
        np.full(len(rows), fill_value=True),
        np.full(len(rows), 7 / 365),
        0.0531,
    )
    cents = [np.rint(column(rows, side) * 100).astype(np.int32) for side in ("bid", "ask")]
    found = greeks.all_greeks(asked, greeks.cut_mid(cents[0], cents[1]))
    below_intrinsic = found["implied_vol"] == 0
    assert below_intrinsic.sum() > 50
    for name in GREEKS:
        np.testing.assert_allclose(found[name][below_intrinsic], column(rows, name)[below_intrinsic], atol=1e-4)


def test_each_price_of_a_quote_has_its_own_volatility() -> None:
    asked, sigma = board("C")
    mid = np.round(model("price", asked, sigma), 2)
    found = greeks.implied_volatilities(asked, np.maximum(mid - 0.05, 0.0), mid, mid + 0.05)
    assert list(found) == ["bid_implied_vol", "implied_vol", "ask_implied_vol", "iv_error"]
    assert (found["bid_implied_vol"] <= found["implied_vol"]).all()
    assert (found["implied_vol"] <= found["ask_implied_vol"]).all()
    alone = greeks.columns(asked, mid)
    np.testing.assert_array_equal(found["implied_vol"], alone.implied_vol)
    np.testing.assert_array_equal(found["iv_error"], alone.iv_error)


def test_a_price_of_zero_has_no_volatility_and_a_mid_of_zero_the_sentinel() -> None:
    asked = Terms(np.full(3, 4750.0), np.full(3, 5000.0), np.full(3, fill_value=True), np.full(3, 7 / 365), 0.05)
    bid, mid, ask = np.array([0.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.02]), np.array([0.0, 0.01, 0.05])
    found = greeks.implied_volatilities(asked, bid, mid, ask)
    assert found["bid_implied_vol"].tolist() == [0.0, 0.0, 0.0]
    assert (found["implied_vol"] > 0).tolist() == [False, False, True]
    assert (found["ask_implied_vol"] > 0).tolist() == [False, True, True]
    assert (found["iv_error"] == 100).tolist() == [True, True, False]


@given(option=OPTIONS, wider=st.integers(0, 500))
def test_volatilities_are_finite_and_within_their_bounds_whatever_the_option(
    option: tuple[Terms, Floats], wider: int
) -> None:
    asked, mid = option
    found = greeks.implied_volatilities(asked, np.maximum(mid - wider / 100, 0), mid, mid + wider / 100)
    assert_printable(found)
    for name in ("bid_implied_vol", "implied_vol", "ask_implied_vol"):
        assert 0 <= found[name] <= 8


@pytest.mark.reference
def test_the_vendors_documented_volatilities_of_bid_mid_and_ask_are_reproduced(reference: Path) -> None:
    rows = [row for row in documented(reference, "greeks/implied_volatility") if float(row["iv_error"]) < 100]
    asked = Terms(
        column(rows, "underlying_price"),
        column(rows, "strike"),
        np.full(len(rows), fill_value=True),
        np.full(len(rows), 4 / 365),
        0.0482,
    )
    found = greeks.implied_volatilities(asked, column(rows, "bid"), column(rows, "midpoint"), column(rows, "ask"))
    assert len(rows) == 4
    # The underlying's price is printed in cents: half of one is 3e-4 of volatility here.
    for name in ("bid_implied_vol", "implied_vol", "ask_implied_vol"):
        np.testing.assert_allclose(found[name], column(rows, name), atol=5e-4)
