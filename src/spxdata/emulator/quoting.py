"""How a market maker quotes: the tick grid, spreads that breathe, bids that vanish, sizes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

#: Prices step by 5 cents below 3.00 and by 10 from there on.
COARSE_FROM = 300
#: The widest quote in dollars.
_WIDEST = 70.0
#: How often quotes that meet stay locked.
_LOCKED = 0.5
#: A bid left standing crosses the ask by so many cents at most.
_CROSSED_BY = 10


@dataclass(frozen=True, slots=True)
class Quotes:
    """Two-sided quotes, contracts down, minutes across; prices in cents.

    Attributes:
        bid: 0 where nobody bids.
        ask: Never 0.
        bid_size: 0 if and only if the bid is 0.
        ask_size: Never 0.
    """

    bid: Ints
    ask: Ints
    bid_size: Ints
    ask_size: Ints


def quote(random: np.random.Generator, fair: Floats, moneyness: Floats, haste: Floats, variance: float) -> Quotes:
    """Quote contracts around their fair values.

    Args:
        random: Where the noise comes from.
        fair: Fair value in dollars, contracts down, minutes across.
        moneyness: In standard deviations, positive in the money.
        haste: By how much spreads are wider than usual, minute by minute.
        variance: How far the expiration is, as the mean deviation left: far ones are quoted wider.
    """
    shape = fair.shape
    spread = np.minimum(_spread(random, fair, moneyness, variance) * haste, _WIDEST)
    # Wide quotes are wide on both sides: their mid is no less exact than that of narrow ones.
    noise = np.minimum(spread, 1.5) * 0.13 * random.standard_normal((2, *shape), dtype=np.float32)
    bid = on_grid(fair - 0.5 * spread - noise[0])
    ask = np.maximum(on_grid(fair + 0.5 * spread + noise[1]), 5)
    # One tick apart at least, but for a lock now and then where the market is tight.
    apart = random.random(shape, dtype=np.float32) > _LOCKED
    ask = np.where((ask <= bid) & apart, bid + np.where(bid >= COARSE_FROM, 10, 5), np.maximum(ask, bid))
    bid_size, ask_size = _sizes(random, fair, moneyness)
    bid_size = np.where(bid == 0, 0, bid_size)
    forgotten = _forgotten(random, fair)
    bid = np.minimum(np.take_along_axis(bid, forgotten, axis=1), ask + _CROSSED_BY)
    bid_size = np.take_along_axis(bid_size, forgotten, axis=1)
    return Quotes(
        bid=bid.astype(np.int32),
        ask=ask.astype(np.int32),
        bid_size=bid_size.astype(np.int32),
        ask_size=ask_size.astype(np.int32),
    )


def _forgotten(random: np.random.Generator, fair: Floats) -> npt.NDArray[np.intp]:
    """Give for every quote the minute its bid dates from: in a few cheap contracts one bid is left standing for long.

    This is how recorded chains come by their crossed quotes.
    """
    contracts, minutes = fair.shape
    here = np.arange(minutes)
    start = random.integers(1, minutes, (contracts, 1))
    length = random.integers(30, 200, (contracts, 1))
    happens = random.random((contracts, 1)) < np.where(fair.mean(axis=1, keepdims=True) < 1.0, 0.4, 0.0)
    return np.where(happens & (here >= start) & (here < start + length), start, here)


def on_grid(dollars: Floats) -> Ints:
    """Give the nearest price of the grid, in cents; never below 0."""
    cents = np.maximum(dollars, 0.0) * 100.0
    fine = np.rint(cents / 5.0).astype(np.int32) * 5
    coarse = np.rint(cents / 10.0).astype(np.int32) * 10
    return np.asarray(np.where(fine >= COARSE_FROM, np.maximum(coarse, COARSE_FROM), fine), dtype=np.int32)


def _spread(random: np.random.Generator, fair: Floats, moneyness: Floats, variance: float) -> Floats:
    """Give the width of each quote: by price, wider in the money and far out in time, with bursts that last."""
    contracts, minutes = fair.shape
    base = 0.05 + 0.085 * np.power(fair, 0.42)
    deep = 1.0 + 1.5 * np.clip(moneyness - 1.0, 0.0, 3.0)
    far = 1.0 + 4.0 * variance
    return base * deep * far * _bursts(random, contracts, minutes)


def _bursts(random: np.random.Generator, contracts: int, minutes: int) -> Floats:
    """Give factors near 1 that jump, stay for a while and jump again."""
    levels = np.exp(0.35 * random.standard_normal((contracts, minutes)))
    return _held(levels, random.random((contracts, minutes), dtype=np.float32) < 0.08)


def _held(values: Floats, fresh: npt.NDArray[np.bool_]) -> Floats:
    """Repeat the last fresh value along each row."""
    places = np.where(fresh, np.arange(values.shape[1]), 0)
    return np.take_along_axis(values, np.maximum.accumulate(places, axis=1), axis=1)


def _sizes(random: np.random.Generator, fair: Floats, moneyness: Floats) -> tuple[Floats, Floats]:
    """Give sizes: hundreds where options cost a few dollars, a score at the money, few and sticky deep in it."""
    contracts, minutes = fair.shape
    typical = 12.0 + 260.0 / (1.0 + np.power(fair / 4.0, 1.6))
    taste = np.exp(0.35 * random.standard_normal((2, contracts, 1)))
    noise = np.exp(0.75 * random.standard_normal((2, contracts, minutes), dtype=np.float32))
    sizes = np.maximum(np.rint(typical * taste * noise), 1.0)
    stickiness = 0.05 + 0.45 * np.clip(moneyness.mean(axis=1, keepdims=True) - 0.7, 0.0, 1.0)
    fresh = random.random((2, contracts, minutes), dtype=np.float32) >= stickiness
    return _held(sizes[0], fresh[0]), _held(sizes[1], fresh[1])
