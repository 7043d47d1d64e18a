"""The Black-Scholes model without dividends: price, and every derivative of it to third order, in textbook units.

F. Black and M. Scholes, "The Pricing of Options and Corporate Liabilities", Journal of Political Economy 81 (1973); the
derivatives and their names as in E. G. Haug, "The Complete Guide to Option Pricing Formulas", 2nd edition (2007),
chapter 2. Derivatives by time are by the passing of time everywhere, the underlying (or the discounted forward)
standing still: theta, charm, veta and color are what a year adds, so that theta is negative as a rule.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from spxdata.analysis.normal import SQRT_2, Floats, cdf, density, erfcx
from spxdata.analysis.options import Batch, Options


def price(
    volatility: npt.ArrayLike,
    *,
    strike: npt.ArrayLike,
    right: npt.ArrayLike,
    years: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
    spot: npt.ArrayLike | None = None,
    forward: npt.ArrayLike | None = None,
) -> Floats:
    """Return the model's price of options in dollars.

    Everything may be a number, a list, a numpy array or a polars Series; all are broadcast to one shape.

    Args:
        volatility: A year, 1.00 is 100 %.
        strike: In dollars.
        right: CALL or PUT, C or P, or whether it is a call.
        years: To expiration.
        rate: Continuous interest rate a year as a fraction: 0.053 is 5.3 %.
        spot: The underlying's price in dollars, dividends left out of account.
        forward: Instead of spot: the underlying's price to be paid at expiration, in dollars.

    Returns:
        Dollars; NaN where the volatility is not above 0 or something else is no number.

    Raises:
        TypeError: Not exactly one of spot and forward is given.
        ValueError: A right is neither call nor put, or the shapes don't go together.
    """
    batch = Batch.of(strike, right, years, rate, spot, forward, volatility)
    found = np.empty(batch.count)
    with np.errstate(all="ignore"):
        for where, options, (volatilities,) in batch.pieces():
            found[where] = price_of(options, volatilities * np.sqrt(options.years))
    return found.reshape(batch.shape)


def price_of(options: Options, total: Floats) -> Floats:
    """Return the price in dollars.

    It is the intrinsic value and the price of the option out of the money at the same strike, so that a call and a put
    obey parity, and a price far out of the money keeps its digits.

    Args:
        options: What is priced.
        total: Volatility times the root of years; NaN where it is not above 0.
    """
    h = np.abs(options.moneyness) / total
    w = 0.5 * total - h
    half = 0.5 * np.exp(-0.5 * w * w)
    near, far = erfcx(np.abs(w) / SQRT_2), erfcx((0.5 * total + h) / SQRT_2)
    share = np.where(w < 0.0, half * (near - far), 1.0 - half * (near + far))
    return np.where(total > 0.0, options.intrinsic + options.bound * share, np.nan)


@dataclass(frozen=True, slots=True)
class Point:
    """Options at a volatility each, and what their derivatives share.

    Attributes:
        options: What is looked at.
        sigma: Volatility a year.
        root: Of the years to expiration.
        total: Sigma times root.
        d1: As in the textbook.
        d2: As in the textbook.
        peak: The normal density at d1.
        held: N(d1) of a call, N(-d1) of a put.
        used: N(d2) of a call, N(-d2) of a put: the probability that the option is exercised.
        price: Dollars.
        vega: Dollars per 1.00 of volatility.
        gamma: Delta per dollar of the underlying.
        drift: The derivative of d1 by years.
    """

    options: Options
    sigma: Floats
    root: Floats
    total: Floats
    d1: Floats
    d2: Floats
    peak: Floats
    held: Floats
    used: Floats
    price: Floats
    vega: Floats
    gamma: Floats
    drift: Floats

    @classmethod
    def of(cls, options: Options, sigma: Floats) -> "Point":
        """Look at options at a volatility each, NaN or above 0."""
        root = np.sqrt(options.years)
        total = sigma * root
        steps = options.moneyness / total
        d1, d2 = steps + 0.5 * total, steps - 0.5 * total
        peak = density(d1)
        return cls(
            options=options,
            sigma=sigma,
            root=root,
            total=total,
            d1=d1,
            d2=d2,
            peak=peak,
            held=cdf(options.sign * d1),
            used=cdf(options.sign * d2),
            price=price_of(options, total),
            vega=options.spot * peak * root,
            gamma=peak / (options.spot * total),
            drift=options.rate / total - d2 / (2.0 * options.years),
        )


def _theta(at: Point) -> Floats:
    decay = at.options.spot * at.peak * at.sigma / (2.0 * at.root)
    return -decay - at.options.sign * at.options.rate * at.options.discounted * at.used


def _ultima(at: Point) -> Floats:
    product = at.d1 * at.d2
    return -at.vega / (at.sigma * at.sigma) * (product * (1.0 - product) + at.d1 * at.d1 + at.d2 * at.d2)


#: A derivative: of a point, the numbers of all its options.
Derivative = Callable[[Point], Floats]

#: Every derivative by its name, in the order in which the vendor has them.
DERIVATIVES: Final[Mapping[str, Derivative]] = MappingProxyType(
    {
        "delta": lambda at: at.options.sign * at.held,
        "theta": _theta,
        "vega": lambda at: at.vega,
        "rho": lambda at: at.options.sign * at.options.discounted * at.options.years * at.used,
        "epsilon": lambda at: -at.options.sign * at.options.spot * at.options.years * at.held,
        "lambda": lambda at: at.options.sign * at.held * at.options.spot / at.price,
        "gamma": lambda at: at.gamma,
        "vanna": lambda at: -at.peak * at.d2 / at.sigma,
        "charm": lambda at: -at.peak * at.drift,
        "vomma": lambda at: at.vega * at.d1 * at.d2 / at.sigma,
        "veta": lambda at: at.vega * (at.d1 * at.drift - 0.5 / at.options.years),
        "vera": lambda at: -at.vega * at.d1 * at.root / at.sigma,
        "speed": lambda at: -at.gamma / at.options.spot * (at.d1 / at.total + 1.0),
        "zomma": lambda at: at.gamma * (at.d1 * at.d2 - 1.0) / at.sigma,
        "color": lambda at: at.gamma * (at.d1 * at.drift + 0.5 / at.options.years),
        "ultima": _ultima,
        "d1": lambda at: at.d1,
        "d2": lambda at: at.d2,
        "dual_delta": lambda at: -at.options.sign * at.options.discounted / at.options.strike * at.used,
        "dual_gamma": lambda at: at.gamma * (at.options.spot / at.options.strike) ** 2,
    }
)
