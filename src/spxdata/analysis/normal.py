"""The normal distribution on arrays, with full relative accuracy in its tails, and nothing but numpy."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SQRT_2: Final = math.sqrt(2)
SQRT_2PI: Final = math.sqrt(2 * math.pi)

# (1 + 2y)·erfcx(y) is smooth in t = (y - 3.75)/(y + 3.75), which runs from -1 to 1 as y runs from 0 to infinity: the
# form and the constant are those of M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation of
# (1 + 2x)exp(x²)erfc x in 0 <= x < ∞", Mathematics of Computation 36 (1981). These are the coefficients of its
# Chebyshev series to degree 22, computed with 80 digits and written out as powers of t, the highest first; their
# absolute values sum to 1.76, so that nothing is lost by that. Largest relative error: 5.1e-16.
_CENTRE: Final = 3.75
_POWERS: Final = (
    -2.623107347133476e-09,
    -1.9551358868985616e-09,
    3.197926671666804e-08,
    1.879082322370048e-08,
    -2.4857126248016745e-07,
    -5.084465378687302e-08,
    1.7419821586224816e-06,
    -9.792625707303523e-07,
    -1.1438048033346894e-05,
    2.2387565714911816e-05,
    5.164652974177416e-05,
    -0.00029015535246077655,
    0.000293714378044958,
    0.0017556261651970652,
    -0.009746579683265262,
    0.02836227737211114,
    -0.05869339857664934,
    0.09230432116428125,
    -0.10880393014244462,
    0.08227673848999506,
    0.0035854154854790257,
    -0.14024059858554525,
    1.2375126308378275,
)


def erfcx(y: Floats) -> Floats:
    """Return the scaled complementary error function exp(y²)·erfc(y).

    Args:
        y: From 0 to infinity. Slightly negative numbers, as rounding leaves them, do no harm.
    """
    t = 1.0 - 2.0 * _CENTRE / (y + _CENTRE)
    value = t * _POWERS[0]
    for power in _POWERS[1:-1]:
        value += power
        value *= t
    value += _POWERS[-1]
    value /= 1.0 + 2.0 * y
    return value


def density(x: Floats) -> Floats:
    """Return the density of the standard normal distribution."""
    return np.asarray(np.exp(-0.5 * x * x) / SQRT_2PI)


def cdf(x: Floats) -> Floats:
    """Return the standard normal distribution function, with full relative accuracy in the lower tail."""
    tail = 0.5 * np.exp(-0.5 * x * x) * erfcx(np.abs(x) / SQRT_2)
    return np.where(x < 0, tail, 1.0 - tail)


def rough_quantile(tail: Floats) -> Floats:
    """Return the z of which about the given probability lies above, within 4.5e-4: a first guess, not a result.

    M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions", 26.2.23.

    Args:
        tail: Above 0, at most a half.
    """
    t = np.sqrt(-2.0 * np.log(tail))
    above = (0.010328 * t + 0.802853) * t + 2.515517
    below = ((0.001308 * t + 0.189269) * t + 1.432788) * t + 1.0
    return np.asarray(t - above / below)
