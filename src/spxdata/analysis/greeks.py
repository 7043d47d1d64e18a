"""Implied volatility and greeks of many options at once, in textbook units or as the vendor prints them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from spxdata.analysis.black_scholes import DERIVATIVES, Derivative, Point
from spxdata.analysis.implied_vol import volatility as implied
from spxdata.analysis.normal import Floats, density
from spxdata.analysis.options import Batch, Options

#: The units greeks come in: the textbook's, or the vendor's as its documentation prints them, or as its servers sent
#: them when they were recorded.
Conventions = Literal["plain", "vendor", "vendor_recorded"]

#: Everything that can be computed, in the order of the vendor's columns, the model's price and the volatility first.
COLUMNS: Final = ("price", "implied_vol", "iv_error", *DERIVATIVES)

#: Calendar days of the vendor's year.
DAYS_A_YEAR: Final = 365.0
#: The vendor's iv_error of an option without a price.
NO_PRICE: Final = 100.0
#: Where the documented ultima is cut off, on both sides of 0.
_MOST_ULTIMA: Final = 100.0
#: Digits after the point that the vendor sends.
VENDOR_DIGITS: Final = 4

_PLAIN: Final = DERIVATIVES
# By the vendor's calendar day; and by years to expiration instead of by the passing of time.
_RECORDED: Final[Mapping[str, Derivative]] = MappingProxyType(
    {
        **_PLAIN,
        "theta": lambda at: _PLAIN["theta"](at) / DAYS_A_YEAR,
        "veta": lambda at: -_PLAIN["veta"](at),
        "color": lambda at: -_PLAIN["color"](at),
    }
)


# The documented numbers of three greeks are the textbook's formulas typed without the brackets of their denominators,
# so that what should divide multiplies: a/2T became a/2·T. docs/greeks.md shows both side by side.
def _typed_veta(at: Point) -> Floats:
    inner = at.options.rate * at.d1 / at.sigma * at.root - (1.0 + at.d1 * at.d2) / 2.0 * at.options.years
    return -at.vega * inner


def _typed_color(at: Point) -> Floats:
    inner = 1.0 + 2.0 * at.options.rate * at.options.years - at.d2 * at.options.years * at.d1
    return -at.peak / 2.0 * at.options.spot * at.options.years * at.total * inner


def _typed_dual_gamma(at: Point) -> Floats:
    return at.options.discounted / at.options.strike * density(at.d2) / at.options.strike * at.total


def _zero(at: Point) -> Floats:
    return np.zeros_like(at.sigma)


_DOCUMENTED: Final[Mapping[str, Derivative]] = MappingProxyType(
    {
        **_RECORDED,
        "veta": _typed_veta,
        "vera": _zero,
        "speed": _zero,
        "zomma": _zero,
        "color": _typed_color,
        "ultima": lambda at: np.clip(_PLAIN["ultima"](at), -_MOST_ULTIMA, _MOST_ULTIMA),
        "dual_gamma": _typed_dual_gamma,
    }
)

_DERIVATIVES: Final[Mapping[Conventions, Mapping[str, Derivative]]] = MappingProxyType(
    {"plain": _PLAIN, "vendor": _DOCUMENTED, "vendor_recorded": _RECORDED}
)


def greeks(
    *,
    strike: npt.ArrayLike,
    right: npt.ArrayLike,
    years: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
    spot: npt.ArrayLike | None = None,
    forward: npt.ArrayLike | None = None,
    price: npt.ArrayLike | None = None,
    volatility: npt.ArrayLike | None = None,
    conventions: Conventions = "plain",
    digits: int | None = None,
    columns: Sequence[str] = COLUMNS,
) -> dict[str, Floats]:
    """Compute implied volatility and greeks of options from their prices, or greeks from volatilities.

    Everything but the last three may be a number, a list, a numpy array or a polars Series; all are broadcast to one
    shape. The units are those of docs/greeks.md. There are no dividends: an underlying that pays them is best given by
    its forward, and the greeks are then those by its discounted forward.

    Args:
        strike: In dollars.
        right: CALL or PUT, C or P, or whether it is a call.
        years: To expiration; `spxdata.analysis.expiry` has the vendor's.
        rate: Continuous interest rate a year as a fraction: 0.053 is 5.3 %.
        spot: The underlying's price in dollars, dividends left out of account.
        forward: Instead of spot: the underlying's price to be paid at expiration, in dollars.
        price: The option's price in dollars; the vendor takes the mid cut to cents, see `cut_mid`.
        volatility: A year, 1.00 is 100 %: if it is given, it is not sought. NaN and numbers not above 0 stand for none.
        conventions: "plain", "vendor" as its documentation prints them, or "vendor_recorded" as its servers sent them.
        digits: Digits after the point to cut the numbers to, as the vendor does with 4; None cuts nothing.
        columns: Names of what is wanted, of COLUMNS.

    Returns:
        The columns asked for, as float64 arrays. An option without a volatility has NaN everywhere in plain
        conventions; in the vendor's it has implied_vol 0, delta 1, 0 or -1, its intrinsic value as price, an iv_error
        that compares with it, or of 100 where there is no price, and 0 elsewhere. Without prices iv_error is NaN.

    Raises:
        TypeError: Not exactly one of spot and forward is given, or neither price nor volatility.
        ValueError: A right is neither call nor put, a column or the conventions are not known, or the shapes don't go
            together.
    """
    if price is None and volatility is None:
        raise TypeError("Give price or volatility.")
    if conventions not in _DERIVATIVES:
        raise ValueError(f"Conventions are {', '.join(_DERIVATIVES)}; not {conventions!r}.")
    if unknown := set(columns) - set(COLUMNS):
        raise ValueError(f"No greek is called {', '.join(sorted(unknown))}.")
    nothing = np.float64(np.nan)
    others = (nothing if price is None else price, nothing if volatility is None else volatility)
    batch = Batch.of(strike, right, years, rate, spot, forward, *others)
    found = {name: np.empty(batch.count) for name in columns}
    with np.errstate(all="ignore"):
        for where, options, (prices, volatilities) in batch.pieces():
            sigma = implied(options, prices) if volatility is None else volatilities
            sigma = np.where((sigma > 0.0) & (options.years > 0.0), sigma, np.nan)
            rows = _rows(options, prices, sigma, conventions, columns)
            for name, values in rows.items():
                found[name][where] = values if digits is None else cut(values, digits)
    return {name: values.reshape(batch.shape) for name, values in found.items()}


def _rows(
    options: Options, prices: Floats, sigma: Floats, conventions: Conventions, columns: Sequence[str]
) -> dict[str, Floats]:
    """Compute the columns of some options."""
    at = Point.of(options, sigma)
    derivatives = _DERIVATIVES[conventions]
    own = {"price": at.price, "implied_vol": sigma, "iv_error": at.price / prices - 1.0}
    rows = {name: own[name] if name in own else derivatives[name](at) for name in columns}
    if conventions != "plain":
        unsolved = np.isnan(at.price)
        for name, values in _unsolved(options, prices, columns).items():
            rows[name] = np.where(unsolved, values, rows[name])
    return rows


def _unsolved(options: Options, prices: Floats, columns: Sequence[str]) -> dict[str, Floats | float]:
    """Give what the vendor has where there is no volatility."""
    rows: dict[str, Floats | float] = dict.fromkeys(columns, 0.0)
    worth = options.intrinsic
    own = {
        "price": worth,
        "delta": np.where(worth > 0.0, options.sign, 0.0),
        "iv_error": np.where(prices > 0.0, worth / prices - 1.0, np.where(prices <= 0.0, NO_PRICE, np.nan)),
    }
    return rows | {name: values for name, values in own.items() if name in rows}


def cut(values: npt.ArrayLike, digits: int = VENDOR_DIGITS) -> Floats:
    """Cut numbers to some digits after the point, toward 0, as the vendor does.

    What is within a millionth of the next step counts as there: 0.0003 is stored as slightly less, and stays.

    Args:
        values: Numbers of any unit.
        digits: Digits after the point that stay.
    """
    scale = 10.0**digits
    return np.trunc(np.round(np.asarray(values, dtype=np.float64) * scale, 6)) / scale + 0.0


def cut_mid(bid: npt.ArrayLike, ask: npt.ArrayLike) -> Floats:
    """Return the price the vendor computes from: the middle of bid and ask, cut to whole cents.

    Args:
        bid: In dollars.
        ask: In dollars.
    """
    return cut((np.asarray(bid, dtype=np.float64) + np.asarray(ask, dtype=np.float64)) / 2.0, digits=2)
