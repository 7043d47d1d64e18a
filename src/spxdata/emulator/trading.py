"""Who trades, when and at what price: mostly inside the quote in force, packages on cents, a few of them outside."""

from dataclasses import dataclass

import numpy as np

from spxdata.emulator import ticking, walk
from spxdata.emulator.hours import OPEN, Session
from spxdata.emulator.rows import MS_A_MINUTE, Bools, Floats, Ints, Rows, Trades

#: Condition codes of single trades, and how often they come.
_SINGLE = ((18, 125, 126), (0.55, 0.33, 0.12))
#: Condition codes of legs of packages.
_PACKAGE = ((130, 131), (0.7, 0.3))
_EXCHANGES = ((5, 6, 31, 22, 1), (0.86, 0.05, 0.04, 0.03, 0.02))
_PACKAGES = 0.40
#: Packages are priced as a whole: so many of their legs lie outside the quote of their own contract.
_OUTSIDE = 0.18
#: So many trades come in the same millisecond as the one before.
_TOGETHER = 0.08
#: Of what trades on after the index has closed.
_LATE = 0.02
#: Sequence numbers a millisecond: contracts and trades of one have room in them.
_SEQUENCES_A_MS = 64


@dataclass(frozen=True, slots=True)
class Floor:
    """What the trades of one day have in common.

    Attributes:
        session: When they may happen.
        passed: How much of the day's variance is over at each minute from 09:30: trades come as it does.
        close: The minute in which the index closes.
        base: Sequence number at midnight.
    """

    session: Session
    passed: Floats
    close: int
    base: int


def base_sequence(seed: int, day: int) -> int:
    """Give the sequence number of midnight: numbers wrap to negative ones in the course of every session."""
    return int(walk.generator(seed, "sequence", day).integers(-1_400_000_000, -200_000_000))


def trade(random: np.random.Generator, ticks: Rows, count: Ints, size: Ints, floor: Floor) -> Trades:
    """Let the contracts of a block trade.

    Args:
        random: Where the noise comes from.
        ticks: Every quote of the contracts that trade.
        count: Trades of each contract of the block.
        size: Contracts of each trade.
        floor: What the day's trades have in common.
    """
    length = int(count.sum())
    which = np.repeat(np.arange(len(count), dtype=np.int32), count)
    time = _times(random, which, floor)
    # Nobody trades before there is a quote.
    opening = np.zeros(len(count), dtype=np.int32)
    first = np.flatnonzero(np.diff(ticks.which, prepend=-1))
    opening[ticks.which[first]] = ticks.time[first]
    time = np.maximum(time, opening[which] + 1)
    package = random.random(length) < _PACKAGES
    quote = ticking.in_force(ticks, which, time, exclusive=True)
    return Trades(
        contracts=ticks.contracts,
        which=which,
        time=time,
        sequence=_sequences(random, which, time, floor.base, len(count)),
        condition=np.where(package, _drawn(random, _PACKAGE, length), _drawn(random, _SINGLE, length)).astype(np.int32),
        size=size,
        exchange=_drawn(random, _EXCHANGES, length),
        price=_prices(random, ticks.bid[quote], ticks.ask[quote], package),
    )


def _drawn(random: np.random.Generator, choice: tuple[tuple[int, ...], tuple[float, ...]], length: int) -> Ints:
    codes, shares = choice
    places = np.searchsorted(np.cumsum(shares), random.random(length), side="right")
    return np.array(codes, dtype=np.int32)[np.minimum(places, len(codes) - 1)]


def _times(random: np.random.Generator, which: Ints, floor: Floor) -> Ints:
    """Give times that rise within each contract: as the day's variance does, with a few after the close."""
    length = len(which)
    minute = np.interp(random.random(length), floor.passed, np.arange(len(floor.passed)))
    after = floor.session.last - floor.close
    late = random.random(length) < (_LATE if after > 0 else 0.0)
    minute = np.where(late, floor.close - OPEN + after * random.random(length), minute)
    end = (floor.session.last - OPEN) * MS_A_MINUTE - 1
    time = np.minimum((minute * MS_A_MINUTE).astype(np.int32), end) + OPEN * MS_A_MINUTE
    time = time[np.lexsort((time, which))]
    together = random.random(length) < _TOGETHER
    together[np.flatnonzero(np.diff(which, prepend=-1))] = False
    return time[np.maximum.accumulate(np.where(together, 0, np.arange(length)))].astype(np.int32)


def _sequences(random: np.random.Generator, which: Ints, time: Ints, base: int, contracts: int) -> Ints:
    """Number trades so that numbers rise with time, in 32 bits with a sign."""
    fresh = (np.diff(which, prepend=-1) != 0) | (np.diff(time, prepend=-1) != 0)
    places = np.arange(len(which))
    rank = places - np.maximum.accumulate(np.where(fresh, places, 0))
    own = random.integers(0, _SEQUENCES_A_MS // 2, contracts)
    number = np.int64(base) + time.astype(np.int64) * _SEQUENCES_A_MS + own[which] + rank
    return number.astype(np.uint64).astype(np.uint32).view(np.int32)


def _prices(random: np.random.Generator, bid: Ints, ask: Ints, package: Bools) -> Ints:
    """Price trades: at the bid, the ask or between on the grid; packages anywhere on cents, some of them outside."""
    low, high = np.minimum(bid, ask), np.maximum(bid, ask)
    share = random.random(len(bid))
    # Single trades lift an offer or hit a bid, or meet in the middle.
    step = np.where(low >= 300, 10, 5)
    middle = low + (high - low) // 2 // step * step
    single = np.where(share < 0.4, low, np.where(share < 0.8, high, middle))
    inside = low + np.rint((high - low) * share).astype(np.int32)
    away = 1 + (np.minimum(low // 50, 40) * share).astype(np.int32)
    outside = np.where(random.random(len(bid)) < 0.5, high + away, low - away)
    leg = np.where(random.random(len(bid)) < _OUTSIDE, outside, inside)
    price = np.where(package, leg, single)
    # Where nobody bids only the offer can be traded, and nothing is given away.
    return np.where(price <= 0, np.maximum(high, 1), price).astype(np.int32)
