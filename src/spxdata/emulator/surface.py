"""What emulated options are worth: a volatility surface with skew and term structure that moves with the index."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from spxdata.emulator import hours, walk
from spxdata.emulator.expirations import Expiration
from spxdata.emulator.normal import cdf
from spxdata.emulator.rates import rate

Floats = npt.NDArray[np.float64]

DIVIDEND_YIELD = 0.013
_TRADING_DAYS = 252.0
#: Less variance than this is never left, so that nothing divides by 0 at the close.
_LEAST_VARIANCE_DAYS = 2e-4


@dataclass(frozen=True, slots=True)
class Slice:
    """One expiration on one day, minute by minute: all that strikes have in common.

    Attributes:
        forward: Of the index for the expiration.
        deviation: Volatility at the money times the square root of the variance time left.
        discount: From the expiration to now.
    """

    forward: Floats
    deviation: Floats
    discount: float


def slice_of(seed: int, day: date, expiration: Expiration) -> Slice:
    """Work out the part of the surface that belongs to one expiration on one day."""
    state = walk.minutes(seed, day)
    years = (expiration.day - day).days / 365.0
    interest = rate(day)
    left = _variance_days(day, expiration, state.passed)
    calendar_month = np.sqrt(min(years * 12.0, 4.0))
    calm = np.clip(1.0 - state.volatility / 0.22, -0.6, 0.6)  # contango in calm markets, backwardation in wild ones
    at_money = state.volatility * (1.0 + 0.16 * calm * (calendar_month - 1.0))
    return Slice(
        forward=state.fair * np.exp((interest - DIVIDEND_YIELD) * years),
        deviation=at_money * np.sqrt(left / _TRADING_DAYS),
        discount=float(np.exp(-interest * years)),
    )


def _variance_days(day: date, expiration: Expiration, passed: Floats) -> Floats:
    """Count trading days of variance left at each minute: what is left of today, and the days after it."""
    walked = 0
    following = day
    while following < expiration.last_day:
        following = hours.next_trading_day(following)
        walked += 1
    today = (1.0 - walk.OVERNIGHT) * (1.0 - passed)
    settlement = walk.OVERNIGHT if expiration.am_settled else 0.0
    return np.maximum(today + walked + settlement, _LEAST_VARIANCE_DAYS)


def smile(distance: Floats) -> Floats:
    """Give volatility as a multiple of the one at the money; distance is log-moneyness in standard deviations."""
    bounded = np.clip(distance, -14.0, 8.0)
    return 1.0 - 0.085 * bounded + 0.105 * (np.sqrt(bounded * bounded + 1.0) - 1.0)


def worth(slice_: Slice, strike: Floats, call: npt.NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Give fair value, total deviation and moneyness of contracts (down) at every minute (across).

    Moneyness is in standard deviations, positive in the money.
    """
    forward = slice_.forward[np.newaxis, :]
    k = strike[:, np.newaxis]
    log_moneyness = np.log(k / forward)
    distance = log_moneyness / slice_.deviation
    deviation = slice_.deviation * smile(distance)
    d1 = -log_moneyness / deviation + 0.5 * deviation
    sign = np.where(call, 1.0, -1.0)[:, np.newaxis]
    value = slice_.discount * sign * (forward * cdf(sign * d1) - k * cdf(sign * (d1 - deviation)))
    return np.maximum(value, 0.0), deviation, -sign * distance
