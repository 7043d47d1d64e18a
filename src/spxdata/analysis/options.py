"""Many options as flat arrays: what is known of them besides their prices."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spxdata.analysis.normal import Floats

#: Options that are worked on at once: the arrays of a computation then stay in the processor's cache.
PIECE: Final = 16_384

#: How calls and puts are spelled, in both dialects.
_CALLS: Final = ("CALL", "C")
_PUTS: Final = ("PUT", "P")


@dataclass(frozen=True, slots=True)
class Options:
    """What is known of many options besides their prices, one element an option.

    Attributes:
        sign: 1 of a call, -1 of a put.
        spot: The underlying's price in dollars, or the discounted forward: the spot less the dividends to come.
        strike: In dollars.
        discounted: The strike's present value in dollars.
        years: To expiration.
        rate: Continuous interest rate a year as a fraction.
        moneyness: The logarithm of spot by discounted strike.
        exercise: Spot less discounted strike, in dollars, accurate also where they are close.
    """

    sign: Floats
    spot: Floats
    strike: Floats
    discounted: Floats
    years: Floats
    rate: Floats
    moneyness: Floats
    exercise: Floats

    @classmethod
    def at_spot(cls, sign: Floats, spot: Floats, strike: Floats, years: Floats, rate: Floats) -> "Options":
        """Make options of the price of an underlying that pays no dividends."""
        growth = rate * years
        discounted = strike * np.exp(-growth)
        exercise = (spot - strike) - strike * np.expm1(-growth)
        return cls(sign, spot, strike, discounted, years, rate, np.log(spot / strike) + growth, exercise)

    @classmethod
    def at_forward(cls, sign: Floats, forward: Floats, strike: Floats, years: Floats, rate: Floats) -> "Options":
        """Make options of the underlying's forward price to expiration."""
        discount = np.exp(-rate * years)
        return cls(
            sign=sign,
            spot=forward * discount,
            strike=strike,
            discounted=strike * discount,
            years=years,
            rate=rate,
            moneyness=np.log(forward / strike),
            exercise=(forward - strike) * discount,
        )

    @property
    def intrinsic(self) -> Floats:
        """The least that an option can be worth, in dollars."""
        return np.maximum(self.sign * self.exercise, 0.0)

    @property
    def bound(self) -> Floats:
        """What the time value, which a call and a put share, stays below, in dollars."""
        return np.minimum(self.spot, self.discounted)


@dataclass(frozen=True, slots=True)
class Batch:
    """Options as a caller gave them, broadcast to one shape and flattened.

    Attributes:
        shape: The shape they had.
        numbers: Sign, spot or forward, strike, years, rate, and what else was given.
        is_forward: Whether the second is the forward.
    """

    shape: tuple[int, ...]
    numbers: tuple[Floats, ...]
    is_forward: bool

    @classmethod
    def of(
        cls,
        strike: npt.ArrayLike,
        right: npt.ArrayLike,
        years: npt.ArrayLike,
        rate: npt.ArrayLike,
        spot: npt.ArrayLike | None,
        forward: npt.ArrayLike | None,
        *others: npt.ArrayLike,
    ) -> "Batch":
        """Take what a caller gave.

        Raises:
            TypeError: Not exactly one of spot and forward is given.
            ValueError: A right is neither call nor put, or the shapes don't go together.
        """
        underlying = forward if spot is None else spot
        if underlying is None or (spot is not None and forward is not None):
            raise TypeError("Give either spot or forward.")
        given = (sign_of(right), underlying, strike, years, rate, *others)
        numbers = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in given))
        flat = tuple(array.reshape(-1) for array in numbers)
        return cls(numbers[0].shape, flat, spot is None)

    @property
    def count(self) -> int:
        """How many options there are."""
        return len(self.numbers[0])

    def pieces(self) -> Iterator[tuple[slice, Options, tuple[Floats, ...]]]:
        """Yield piece by piece: where it lies, its options, and what else was given."""
        make = Options.at_forward if self.is_forward else Options.at_spot
        for start in range(0, self.count, PIECE):
            where = slice(start, start + PIECE)
            piece = [array[where] for array in self.numbers]
            yield where, make(*piece[:5]), tuple(piece[5:])


def sign_of(right: npt.ArrayLike) -> Floats:
    """Return 1 for calls and -1 for puts.

    Args:
        right: CALL or PUT, C or P, or whether it is a call.

    Raises:
        ValueError: Some are neither.
    """
    rights = np.asarray(right)
    if rights.dtype == np.bool_:
        return np.where(rights, 1.0, -1.0)
    call, put = (np.isin(rights, names) for names in (_CALLS, _PUTS))
    if not (call | put).all():
        raise ValueError(f"A right is CALL or PUT, C or P, or whether it is a call; not {rights[~(call | put)][0]}.")
    return np.where(call, 1.0, -1.0)
