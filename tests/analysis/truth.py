"""Prices, and derivatives of them by difference, to fifty digits: the oracle of our own formulas."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import mpmath
import numpy as np

from spxdata.analysis.normal import Floats

DIGITS = 50

#: The derivative each greek is: how often by spot, strike, years, rate, dividend yield, volatility; and its sign.
SLOPES: Mapping[str, tuple[int, tuple[int, int, int, int, int, int]]] = {
    "price": (1, (0, 0, 0, 0, 0, 0)),
    "delta": (1, (1, 0, 0, 0, 0, 0)),
    "theta": (-1, (0, 0, 1, 0, 0, 0)),
    "vega": (1, (0, 0, 0, 0, 0, 1)),
    "rho": (1, (0, 0, 0, 1, 0, 0)),
    "epsilon": (1, (0, 0, 0, 0, 1, 0)),
    "gamma": (1, (2, 0, 0, 0, 0, 0)),
    "vanna": (1, (1, 0, 0, 0, 0, 1)),
    "charm": (-1, (1, 0, 1, 0, 0, 0)),
    "vomma": (1, (0, 0, 0, 0, 0, 2)),
    "veta": (-1, (0, 0, 1, 0, 0, 1)),
    "vera": (1, (0, 0, 0, 1, 0, 1)),
    "speed": (1, (3, 0, 0, 0, 0, 0)),
    "zomma": (1, (2, 0, 0, 0, 0, 1)),
    "color": (-1, (2, 0, 1, 0, 0, 0)),
    "ultima": (1, (0, 0, 0, 0, 0, 3)),
    "dual_delta": (1, (0, 1, 0, 0, 0, 0)),
    "dual_gamma": (1, (0, 2, 0, 0, 0, 0)),
}


class Random(NamedTuple):
    """Options drawn at random: from an hour to five years, volatilities from 1 % to 500 %."""

    strike: Floats
    call: np.ndarray[Any, np.dtype[np.bool_]]
    years: Floats
    rate: Floats
    spot: Floats
    sigma: Floats

    @property
    def terms(self) -> dict[str, Any]:
        """What our functions take besides price or volatility."""
        return {
            "strike": self.strike,
            "right": self.call,
            "years": self.years,
            "rate": self.rate,
            "spot": self.spot,
        }

    def part(self, where: slice) -> "Random":
        """Return some of them."""
        strike, call, years, rate, spot, sigma = self
        return Random(strike[where], call[where], years[where], rate[where], spot[where], sigma[where])

    def rows(self) -> Iterator[tuple[float, float, float, float, float, bool]]:
        """Yield spot, strike, years, rate, volatility, and whether it is a call."""
        columns = (self.spot, self.strike, self.years, self.rate, self.sigma, self.call)
        return zip(*(column.tolist() for column in columns), strict=True)


def random_options(count: int, seed: int, widest: float) -> Random:
    """Draw options; strikes lie up to so many standard deviations from spot, in cents, within a factor of 150."""
    chance = np.random.default_rng(seed)
    spot = np.round(chance.uniform(500, 7000, count), 2)
    years = np.exp(chance.uniform(np.log(1 / 24 / 365), np.log(5), count))
    sigma = np.exp(chance.uniform(np.log(0.01), np.log(5), count))
    away = np.clip(chance.uniform(-widest, widest, count) * sigma * np.sqrt(years), -5, 5)
    strike = np.maximum(np.round(spot * np.exp(away), 2), 0.01)
    return Random(strike, chance.random(count) < 0.5, years, chance.uniform(-0.01, 0.08, count), spot, sigma)


def price(spot: Any, strike: Any, years: Any, rate: Any, dividends: Any, sigma: Any, *, call: bool) -> Any:
    """Return the price with a continuous dividend yield; nothing is rounded before the last of fifty digits."""
    total = sigma * mpmath.sqrt(years)
    held, owed = spot * mpmath.exp(-dividends * years), strike * mpmath.exp(-rate * years)
    d1 = mpmath.log(held / owed) / total + total / 2
    root = mpmath.sqrt(2)
    if call:
        return (held * mpmath.erfc(-d1 / root) - owed * mpmath.erfc((total - d1) / root)) / 2
    return (owed * mpmath.erfc((d1 - total) / root) - held * mpmath.erfc(d1 / root)) / 2


def exact(options: Random) -> tuple[list[Any], list[Any]]:
    """Return price and vega of options to fifty digits."""
    prices, vegas = [], []
    with mpmath.workdps(DIGITS):
        for *terms, call in options.rows():
            spot, strike, years, rate, sigma = map(mpmath.mpf, terms)
            prices.append(price(spot, strike, years, rate, 0, sigma, call=call))
            total = sigma * mpmath.sqrt(years)
            d1 = (mpmath.log(spot / strike) + rate * years) / total + total / 2
            vegas.append(spot * mpmath.npdf(d1) * mpmath.sqrt(years))
    return prices, vegas


def slope(name: str, row: tuple[float, float, float, float, float, bool]) -> float:
    """Return a greek of an option by difference quotients of its price."""
    sign, times = SLOPES[name]
    *terms, call = row
    spot, strike, years, rate, sigma = map(mpmath.mpf, terms)
    with mpmath.workdps(DIGITS):
        at = (spot, strike, years, rate, mpmath.mpf(0), sigma)
        if not any(times):
            return float(price(*at, call=call))
        by = [place for place, count in enumerate(times) if count]

        def moved(*values: Any) -> Any:
            changed = dict(zip(by, values, strict=True))
            return price(*(changed.get(place, value) for place, value in enumerate(at)), call=call)

        return sign * float(mpmath.diff(moved, tuple(at[place] for place in by), tuple(times[place] for place in by)))
