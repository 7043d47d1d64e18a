"""Implied volatility and greeks as the vendor computes them: Black-Scholes, no dividends, from the mid."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from spxdata.emulator import hours
from spxdata.emulator.normal import density_and_cdf

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DAYS_A_YEAR = 365.0
#: `iv_error` of a row without a price.
NO_PRICE = 100.0
#: Time value in dollars below which no volatility is found: the vendor answers 0 there.
_LEAST_TIME_VALUE = 1e-4
_HIGHEST_VOLATILITY = 8.0
_DECIMALS = 4
#: Where the vendor cuts ultima off, on both sides of 0.
_HIGHEST_ULTIMA = 100.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known of many options besides their prices.

    Attributes:
        spot: The underlying's price.
        strike: In dollars.
        call: Whether it is a call.
        t: Years to expiration, above 0.
        rate: Continuous interest rate as a fraction.
    """

    spot: Floats
    strike: Floats
    call: Bools
    t: Floats
    rate: float


@dataclass(frozen=True, slots=True)
class FirstOrder:
    """The greeks of many options, unrounded, in the vendor's units.

    Attributes:
        price: Model price.
        delta: Per dollar of the underlying.
        theta: Per calendar day.
        vega: Per 1.00 of volatility.
        rho: Per 1.00 of rate.
        epsilon: Per 1.00 of dividend yield.
        lambda_: Elasticity, delta·S/price.
    """

    price: Floats
    delta: Floats
    theta: Floats
    vega: Floats
    rho: Floats
    epsilon: Floats
    lambda_: Floats


def years_to_expiration(day: date, expiration: date, minute: npt.NDArray[np.int32], version: str) -> Floats:
    """Give T of every row.

    Whole calendar days by 365; on the expiration day a fixed 0.15 day (version `1`), or the time to the close, but
    an hour at least (`latest`).
    """
    days = (expiration - day).days
    if days > 0:
        return np.full(len(minute), days / DAYS_A_YEAR)
    if version == "1":
        return np.full(len(minute), 0.15 / DAYS_A_YEAR)
    close = hours.session(day, expires_today=True).last
    return np.asarray(np.maximum(close - minute, 60) / (24 * 60 * DAYS_A_YEAR), dtype=np.float64)


def cut_mid(bid: npt.NDArray[np.int32], ask: npt.NDArray[np.int32]) -> Floats:
    """Give the mid in dollars, cut (not rounded) to whole cents; bid and ask are in cents."""
    return np.asarray((bid + ask) // 2 / 100.0, dtype=np.float64)


def first_order(terms: Terms, sigma: Floats) -> FirstOrder:
    """Compute price and first-order greeks at volatilities above 0."""
    spot, t, rate = terms.spot, terms.t, terms.rate
    root_t = np.sqrt(t)
    d1, deviation = _distances(terms, sigma)
    density, n1 = density_and_cdf(d1)
    n2 = density_and_cdf(d1 - deviation)[1]
    # A put is a call less the forward: N(d) - 1 stands for N(d) in every formula below.
    n1 = np.where(terms.call, n1, n1 - 1.0)
    n2 = np.where(terms.call, n2, n2 - 1.0)
    held = spot * n1
    owed = terms.strike * np.exp(-rate * t) * n2
    price = held - owed
    vega = spot * density * root_t
    with np.errstate(divide="ignore", invalid="ignore"):
        elasticity = np.where(price > 0, held / price, 0.0)
    return FirstOrder(
        price=price,
        delta=n1,
        theta=-(vega * sigma / (2 * t) + rate * owed) / DAYS_A_YEAR,
        vega=vega,
        rho=owed * t,
        epsilon=-held * t,
        lambda_=elasticity,
    )


def _distances(terms: Terms, sigma: Floats) -> tuple[Floats, Floats]:
    """Give d1 and volatility times square root of time, which it lies above d2."""
    deviation = sigma * np.sqrt(terms.t)
    return (np.log(terms.spot / terms.strike) + terms.rate * terms.t) / deviation + 0.5 * deviation, deviation


def implied_volatility(terms: Terms, price: Floats, deviation: Floats | None = None) -> Floats:
    """Find the volatility at which the model gives the price; 0 where there is none.

    `deviation` is a first guess of volatility times square root of time. All is turned into the out-of-the-money
    option of the same strike, in units of sqrt(forward·strike): one formula for both rights, and no digits lost deep
    in the money.
    """
    growth = np.exp(terms.rate * terms.t)
    forward = terms.spot * growth
    in_money = np.where(terms.call, forward - terms.strike, terms.strike - forward)
    value = price * growth - np.maximum(in_money, 0.0)
    result = np.zeros(len(price))
    rows = np.flatnonzero((price > 0) & (value > _LEAST_TIME_VALUE))
    if len(rows) == 0:
        return result
    root_t = np.sqrt(terms.t[rows])
    moneyness = -np.abs(np.log(forward[rows] / terms.strike[rows]))
    target = np.log(value[rows] / np.sqrt(forward[rows] * terms.strike[rows]))
    # Without a guess: near the inflection point, where Newton's steps are safe.
    start = np.sqrt(-2 * moneyness) + 0.1 * root_t if deviation is None else deviation[rows]
    result[rows] = _solve(moneyness, target, start, _HIGHEST_VOLATILITY * root_t, 1e-6 * root_t) / root_t
    return result


def _solve(moneyness: Floats, target: Floats, start: Floats, highest: Floats, tolerance: Floats) -> Floats:
    """Newton on the logarithm of the price, kept inside a bracket that halves when Newton leaves it."""
    low = np.zeros_like(start)
    high = highest.copy()
    now = np.clip(start, 1e-3 * highest, 0.999 * highest)
    result = now.copy()
    left = np.arange(len(now))
    for _ in range(60):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            log_price, slope = _log_price(moneyness, now)
            below = ~(log_price >= target)  # a price that underflows has no logarithm: it is too low
            low = np.where(below, now, low)
            high = np.where(below, high, now)
            step = now - (log_price - target) / slope
        # The comparison also catches NaN, where the price underflows.
        following = np.where((step > low) & (step < high), step, 0.5 * (low + high))
        result[left] = following
        open_ = np.abs(following - now) > tolerance
        if not open_.any():
            break
        if open_.mean() < 0.75:
            left, moneyness, target, tolerance = left[open_], moneyness[open_], target[open_], tolerance[open_]
            low, high, following = low[open_], high[open_], following[open_]
        now = following
    return result


def _log_price(moneyness: Floats, deviation: Floats) -> tuple[Floats, Floats]:
    """Give the logarithm of the normalised out-of-the-money price and its slope; moneyness is not above 0."""
    centre = moneyness / deviation
    half = 0.5 * deviation
    density, upper = density_and_cdf(centre + half)
    lower = density_and_cdf(centre - half)[1]
    tilt = np.exp(0.5 * moneyness)
    price = tilt * upper - lower / tilt
    return np.log(price), tilt * density / price


@dataclass(frozen=True, slots=True)
class GreekColumns:
    """The computed columns of a greeks reply, rounded as they are printed.

    Attributes:
        delta: See `FirstOrder`.
        theta: See `FirstOrder`.
        vega: See `FirstOrder`.
        rho: See `FirstOrder`.
        epsilon: See `FirstOrder`.
        lambda_: See `FirstOrder`.
        implied_vol: 0 where the price has none.
        iv_error: Model price by price used, less 1; 100 where there is no price.
    """

    delta: Floats
    theta: Floats
    vega: Floats
    rho: Floats
    epsilon: Floats
    lambda_: Floats
    implied_vol: Floats
    iv_error: Floats


def columns(terms: Terms, price: Floats, deviation: Floats | None = None) -> GreekColumns:
    """Compute the columns of a greeks reply from the price used.

    The greeks belong to the volatility as printed, with its four decimals; what that costs shows in iv_error. Where
    there is no volatility, an option in the money has delta 1 or -1, and everything else is 0.
    """
    sigma = _printed(implied_volatility(terms, price, deviation))
    solved = sigma > 0
    model = first_order(terms, np.where(solved, sigma, 1.0))
    sign = np.where(terms.call, 1.0, -1.0)
    intrinsic = np.maximum(sign * (terms.spot - terms.strike * np.exp(-terms.rate * terms.t)), 0.0)
    worth = np.where(solved, model.price, intrinsic)
    paid = price > 0
    error = np.where(paid, worth / np.where(paid, price, 1.0) - 1.0, NO_PRICE)

    def solved_only(values: Floats) -> Floats:
        return _printed(np.where(solved, values, 0.0))

    return GreekColumns(
        delta=_printed(np.where(solved, model.delta, np.where(intrinsic > 0, sign, 0.0))),
        theta=solved_only(model.theta),
        vega=solved_only(model.vega),
        rho=solved_only(model.rho),
        epsilon=solved_only(model.epsilon),
        lambda_=solved_only(model.lambda_),
        implied_vol=sigma,
        iv_error=_printed(error),
    )


def higher_orders(terms: Terms, sigma: Floats) -> dict[str, Floats]:
    """Compute what a reply with all greeks has beyond the first order, unrounded, at volatilities above 0.

    gamma, vanna, vomma and ultima are derivatives by the underlying's price and by volatility, per 1.00 of it; charm
    is what delta changes by while a year passes; veta and color are what vega and gamma change by for a year more to
    expiration. These two are the textbook's (Wikipedia, "Greeks (finance)", which the vendor names as its source),
    and so in what its servers were recorded to answer; the examples of its documentation have other figures there.
    Like those examples, and unlike the textbook, ultima stays within 100 of 0, and vera, speed, zomma and dual_gamma
    are 0.
    """
    spot, t, rate = terms.spot, terms.t, terms.rate
    d1, deviation = _distances(terms, sigma)
    d2 = d1 - deviation
    density = density_and_cdf(d1)[0]
    n2 = density_and_cdf(d2)[1]
    vega = spot * density * np.sqrt(t)
    gamma = density / (spot * deviation)
    product = d1 * d2
    half_t = 0.5 / t
    d1_by_t = rate / deviation - d2 * half_t
    ultima = -vega / sigma**2 * (product * (1.0 - product) + d1**2 + d2**2)
    nothing = np.zeros(len(sigma))
    return {
        "gamma": gamma,
        "vanna": -density * d2 / sigma,
        "charm": -density * d1_by_t,
        "vomma": vega * product / sigma,
        "veta": vega * (half_t - d1 * d1_by_t),
        "vera": nothing,
        "speed": nothing,
        "zomma": nothing,
        "color": -gamma * (half_t + d1 * d1_by_t),
        "ultima": np.clip(ultima, -_HIGHEST_ULTIMA, _HIGHEST_ULTIMA),
        "d1": d1,
        "d2": d2,
        "dual_delta": -np.exp(-rate * t) * np.where(terms.call, n2, n2 - 1.0),
        "dual_gamma": nothing,
    }


def all_greeks(terms: Terms, price: Floats, deviation: Floats | None = None) -> dict[str, Floats]:
    """Compute every column of a reply with all greeks from the price used: by its name and in its order there.

    They are rounded as printed. The first-order columns, implied_vol and iv_error are those of `columns`; the others
    are those of `higher_orders`, and 0 where there is no volatility.
    """
    first = columns(terms, price, deviation)
    solved = first.implied_vol > 0
    higher = higher_orders(terms, np.where(solved, first.implied_vol, 1.0))
    return {
        "delta": first.delta,
        "theta": first.theta,
        "vega": first.vega,
        "rho": first.rho,
        "epsilon": first.epsilon,
        "lambda": first.lambda_,
        **{name: _printed(np.where(solved, values, 0.0)) for name, values in higher.items()},
        "implied_vol": first.implied_vol,
        "iv_error": first.iv_error,
    }


def implied_volatilities(
    terms: Terms, bid: Floats, mid: Floats, ask: Floats, deviation: Floats | None = None
) -> dict[str, Floats]:
    """Compute the columns of an implied-volatility reply, rounded as printed; prices in dollars, the mid cut to cents.

    A price that has no volatility has 0; iv_error belongs to the mid and is 100 where there is none.
    """
    found = columns(terms, mid, deviation)
    return {
        "bid_implied_vol": _printed(implied_volatility(terms, bid, deviation)),
        "implied_vol": found.implied_vol,
        "ask_implied_vol": _printed(implied_volatility(terms, ask, deviation)),
        "iv_error": found.iv_error,
    }


def _printed(values: Floats) -> Floats:
    # Adding 0 turns -0.0 into 0.0, which would print with its sign.
    return np.asarray(np.round(values, _DECIMALS) + 0.0, dtype=np.float64)
