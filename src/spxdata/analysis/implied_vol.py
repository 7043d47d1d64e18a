"""Implied volatility, to the last digits that the price determines.

The way is that of Peter Jäckel, "Let's Be Rational", Wilmott, January 2015, pages 40 to 53: the price is normalised
and made that of an option out of the money, compared with the model through an objective function that is almost
straight (1/ln B below the point where price turns from convex to concave in volatility, the logarithm of what is left
to the upper bound above it), and solved with Householder's method of third order, evaluated with the scaled
complementary error function. His first guess interpolates within four branches; here there are two, each with a guess
in closed form and steps enough to make up for it, which suits arrays better.

Written with s, the volatility times the root of years, x = |ln(spot/discounted strike)|, w = s/2 - x/s and
v = s/2 + x/s, the time value as a share of its upper bound min(spot, discounted strike) is

    B(x, s) = Φ(w) - exp(x)·Φ(-v) = Φ(w) - φ(w)·Φ(-v)/φ(v),    ∂B/∂s = φ(w),

and w = 0, s = √(2x), is the point where it turns.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from spxdata.analysis.normal import SQRT_2, SQRT_2PI, Floats, erfcx, rough_quantile
from spxdata.analysis.options import Batch, Options

# One or two steps fewer reach the last digit for every x from 1e-10 to 100; these cost next to nothing.
_STEPS_BELOW: Final = 4
_STEPS_ABOVE: Final = 3
_SQRT_3: Final = math.sqrt(3)
_SMALLEST: Final = float(np.finfo(np.float64).tiny)


def implied_volatility(
    price: npt.ArrayLike,
    *,
    strike: npt.ArrayLike,
    right: npt.ArrayLike,
    years: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
    spot: npt.ArrayLike | None = None,
    forward: npt.ArrayLike | None = None,
) -> Floats:
    """Return the volatility at which the Black-Scholes model has the price.

    Everything may be a number, a list, a numpy array or a polars Series; all are broadcast to one shape.

    Args:
        price: Of the option, in dollars.
        strike: In dollars.
        right: CALL or PUT, C or P, or whether it is a call.
        years: To expiration, above 0.
        rate: Continuous interest rate a year as a fraction: 0.053 is 5.3 %.
        spot: The underlying's price in dollars, dividends left out of account.
        forward: Instead of spot: the underlying's price to be paid at expiration, in dollars.

    Returns:
        Volatility a year, 1.00 is 100 %. NaN where there is none: no price, a price not above intrinsic value or not
        below the upper bound (spot of a call, discounted strike of a put), an expiration that is past.

    Raises:
        TypeError: Not exactly one of spot and forward is given.
        ValueError: A right is neither call nor put, or the shapes don't go together.
    """
    batch = Batch.of(strike, right, years, rate, spot, forward, price)
    found = np.empty(batch.count)
    with np.errstate(all="ignore"):
        for where, options, (prices,) in batch.pieces():
            found[where] = volatility(options, prices)
    return found.reshape(batch.shape)


def volatility(options: Options, price: Floats) -> Floats:
    """Return the implied volatility of options, NaN where there is none; numpy's warnings are the caller's to mute."""
    share = (price - options.intrinsic) / options.bound
    years = np.where(options.years > 0.0, options.years, np.nan)
    return np.asarray(total_volatility(np.abs(options.moneyness), share) / np.sqrt(years))


def total_volatility(moneyness: Floats, share: Floats) -> Floats:
    """Solve B(x, s) = share for s.

    Args:
        moneyness: x, the absolute logarithm of spot by discounted strike.
        share: The time value as a share of its upper bound.

    Returns:
        s, volatility times the root of years; NaN where the share is not between 0 and 1.
    """
    found = np.full(len(share), np.nan)
    turn = 0.5 * (1.0 - erfcx(np.sqrt(moneyness)))  # B(x, √(2x))
    solvable = (share > 0.0) & (share < 1.0)
    for within, solve in ((share < turn, _below), (share >= turn, _above)):
        chosen = np.flatnonzero(solvable & within)
        found[chosen] = solve(moneyness[chosen], share[chosen], turn[chosen])
    return found


def _below(x: Floats, share: Floats, turn: Floats) -> Floats:
    """Solve below the turning point, with 1/ln B as the objective."""
    wanted = np.log(share)
    # Two upper bounds. The tangent at the turning point, below which the convex curve never lies:
    tangent = np.sqrt(2.0 * x) + SQRT_2PI * (share - turn)
    # and Jäckel's lower map, which B·exp(-x/2) approaches as s goes to 0, here with the factor exp(-s²/8).
    shrunk = np.exp(wanted - 0.5 * x) * (math.sqrt(27.0) / (2.0 * math.pi)) / x
    s = np.minimum(tangent, _lower_map_inverse(x, shrunk))
    guess = s = np.minimum(tangent, _lower_map_inverse(x, shrunk * np.exp(s * s / 8.0)))
    for _ in range(_STEPS_BELOW):
        h = x / s
        w = 0.5 * s - h
        scaled = 0.5 * (erfcx(w / -SQRT_2) - erfcx((0.5 * s + h) / SQRT_2))  # B·exp(w²/2)
        log_share = np.log(scaled) - 0.5 * w * w
        slope = 1.0 / (SQRT_2PI * scaled)  # ∂B/∂s by B
        newton = (wanted - log_share) * log_share / (wanted * slope)
        second, third = _bends(h, s)
        bent = slope * (1.0 + 2.0 / log_share)
        bent_twice = 2.0 * slope * slope * (1.0 + 3.0 / log_share * (1.0 + 1.0 / log_share))
        s = s + _householder(newton, second - bent, third + bent_twice - 3.0 * second * bent)
    return np.where(s > 0.0, s, guess)  # what is left of the guess: prices so close to 0 that rounding hides them


def _above(x: Floats, share: Floats, turn: Floats) -> Floats:
    """Solve above the turning point, with the logarithm of 1 - B as the objective."""
    wanted = np.log1p(-share)
    # 1 - B = Φ(-w) + exp(x)·Φ(-v), of which the first part is 1/(1 + erfcx(√x)) at the turning point. The tangent there
    # is a lower bound on s, and close where w is almost 0.
    w = np.maximum(rough_quantile((1.0 - share) / (1.0 + erfcx(np.sqrt(x)))), 0.0)
    guess = s = np.maximum(w + np.sqrt(w * w + 2.0 * x), np.sqrt(2.0 * x) + SQRT_2PI * (share - turn))
    for _ in range(_STEPS_ABOVE):
        h = x / s
        w = 0.5 * s - h
        scaled = 0.5 * (erfcx(w / SQRT_2) + erfcx((0.5 * s + h) / SQRT_2))  # (1 - B)·exp(w²/2)
        slope = 1.0 / (SQRT_2PI * scaled)  # ∂B/∂s by 1 - B
        newton = (np.log(scaled) - 0.5 * w * w - wanted) / slope
        second, third = _bends(h, s)
        s = s + _householder(newton, second + slope, third + slope * (3.0 * second + 2.0 * slope))
    return np.asarray(np.where(s > 0.0, s, guess))


def _lower_map_inverse(x: Floats, cube: Floats) -> Floats:
    """Return the s of which Φ(-x/(s√3))³ is the cube; very large where none is."""
    z = rough_quantile(np.minimum(np.cbrt(cube), 0.5))
    return np.asarray(x / (_SQRT_3 * np.maximum(z, _SMALLEST)))


def _bends(h: Floats, s: Floats) -> tuple[Floats, Floats]:
    """Return the second and the third derivative of B by s, both by the first; h is x/s."""
    per_s = h / s
    second = h * per_s - 0.25 * s
    return second, second * second - 3.0 * per_s * per_s - 0.25


def _householder(newton: Floats, second: Floats, third: Floats) -> Floats:
    """Return the step of third order from Newton's step and the objective's derivatives, both by its first."""
    return np.asarray(newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0)))
