import mpmath
import numpy as np
import pytest

from spxdata.analysis import normal
from spxdata.analysis.normal import Floats
from tests.analysis.truth import DIGITS

TAILS = np.concatenate([np.linspace(0, 30, 600), np.geomspace(1e-8, 1e8, 200)])


def relative(found: Floats, exact: list[mpmath.mpf]) -> float:
    return max(float(abs(mpmath.mpf(a) / b - 1)) for a, b in zip(found.tolist(), exact, strict=True))


def scaled(y: float) -> mpmath.mpf:
    """Return exp(y²)·erfc(y), by its asymptotic series where erfc is too small to compute."""
    number = mpmath.mpf(y)
    if y < 100:
        return mpmath.exp(number**2) * mpmath.erfc(number)
    series = mpmath.fsum((-1) ** n * mpmath.fac2(2 * n - 1) / (2 * number**2) ** n for n in range(12))
    return series / (number * mpmath.sqrt(mpmath.pi))


def test_the_scaled_error_function_has_all_its_digits() -> None:
    with mpmath.workdps(DIGITS):
        assert relative(normal.erfcx(TAILS), [scaled(y) for y in TAILS.tolist()]) < 1e-15


def test_the_scaled_error_function_ends_at_0() -> None:
    assert normal.erfcx(np.array([np.inf])).tolist() == [0.0]


def test_the_distribution_keeps_its_digits_in_the_lower_tail() -> None:
    x = np.linspace(-37, 8, 500)
    with mpmath.workdps(DIGITS):
        exact = [mpmath.erfc(-mpmath.mpf(value) / mpmath.sqrt(2)) / 2 for value in x.tolist()]
        assert relative(normal.cdf(x), exact) < 3e-13  # of which the square of -37 has its share
        assert relative(normal.cdf(x[x > -5]), [value for value, at in zip(exact, x, strict=True) if at > -5]) < 1e-14


def test_the_density_is_the_slope_of_the_distribution() -> None:
    x = np.linspace(-5, 5, 101)
    slope = (normal.cdf(x + 1e-5) - normal.cdf(x - 1e-5)) / 2e-5
    np.testing.assert_allclose(normal.density(x), slope, atol=1e-10)


def test_the_rough_quantile_is_as_close_as_it_says() -> None:
    z = np.linspace(0, 37, 1000)
    assert np.abs(normal.rough_quantile(normal.cdf(-z)) - z).max() == pytest.approx(4.5e-4, rel=0.02)
