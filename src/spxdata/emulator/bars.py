"""What trades add up to: bars, and the report of the day."""

from dataclasses import dataclass

import numpy as np

from spxdata.emulator.rows import Floats, Ints, Trades


@dataclass(frozen=True, slots=True)
class Bars:
    """Sums of trades; all is 0 where there was none.

    Attributes:
        open: Price of the first, in cents.
        high: Highest price.
        low: Lowest price.
        close: Price of the last.
        volume: Contracts.
        count: Trades.
        worth: Price times contracts, added up.
        time: Of the last trade, in milliseconds since midnight.
    """

    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    count: Ints
    worth: Floats
    time: Ints


def summed(trades: Trades, place: Ints, places: int) -> Bars:
    """Add up trades.

    Args:
        trades: The trades.
        place: Which bar each belongs to; never falls from one trade to the next.
        places: How many bars there are.
    """
    begin = np.flatnonzero(np.diff(place, prepend=-1))
    filled = place[begin]
    end = np.append(begin[1:], len(place)) - 1

    def spread(values: Ints) -> Ints:
        bars = np.zeros(places, dtype=np.int32)
        bars[filled] = values
        return bars

    if len(begin) == 0:
        empty = np.zeros(places, dtype=np.int32)
        return Bars(empty, empty, empty, empty, empty, empty, np.zeros(places), empty)
    worth = np.zeros(places)
    worth[filled] = np.add.reduceat(trades.price * trades.size.astype(np.float64), begin)
    return Bars(
        open=spread(trades.price[begin]),
        high=spread(np.maximum.reduceat(trades.price, begin)),
        low=spread(np.minimum.reduceat(trades.price, begin)),
        close=spread(trades.price[end]),
        volume=spread(np.add.reduceat(trades.size, begin)),
        count=spread((end - begin + 1).astype(np.int32)),
        worth=worth,
        time=spread(trades.time[end]),
    )


def average(bars: Bars, contracts: int) -> Floats:
    """Give the average price of the day so far at each bar, in dollars and cents; 0 before the first trade."""
    worth = np.cumsum(bars.worth.reshape(contracts, -1), axis=1)
    volume = np.cumsum(bars.volume.reshape(contracts, -1), axis=1, dtype=np.float64)
    return np.asarray(np.round(worth / np.maximum(volume, 1.0) / 100.0, 2).ravel(), dtype=np.float64)
