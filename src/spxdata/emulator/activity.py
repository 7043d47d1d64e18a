"""How much is traded: counts, sizes and open interest of every contract, known without making a single quote."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from spxdata.emulator import hours, ladders, walk
from spxdata.emulator.rows import Floats, Ints

#: Trades of the liveliest contract on its last day, more or less.
BUSIEST = {"small": 60.0, "full": 600.0}
_TRADING_DAYS = 252.0
#: How many days before the last one halve the trades.
_DAYS_TO_HALF = 1.5
#: Orders above this many contracts are the work of packages, and split.
_LARGEST = 500


@dataclass(frozen=True, slots=True)
class Activity:
    """What is traded of one expiration on one day; contracts in the order of their ladder.

    Attributes:
        count: Trades of each contract.
        size: Contracts of each trade, one contract's trades after the other's.
    """

    count: Ints
    size: Ints

    def volume(self) -> Ints:
        """Add up the contracts traded of each."""
        owner = np.repeat(np.arange(len(self.count)), self.count)
        return np.bincount(owner, weights=self.size, minlength=len(self.count)).astype(np.int32)


@lru_cache(maxsize=256)
def of_day(seed: int, chain: str, root: str, day: date, expiration: date) -> Activity:
    """Say what is traded: most near the money and near expiration, nothing in many far contracts.

    Every expiration has a trade a day, in the contract out of the money next to it.
    """
    contracts = ladders.contracts(seed, chain, root, expiration)
    random = walk.generator(seed, "activity", chain, root, day.toordinal(), expiration.toordinal())
    strike = np.array([contract.strike / 1000.0 for contract in contracts])
    call = np.array([contract.right == "C" for contract in contracts])
    before = walk.close_before(seed, day)
    walked = walk.history(seed)
    ahead = (expiration - day).days
    deviation = walked.volatility[walked.position[day]] * np.sqrt(max(ahead * 5 / 7, 0.6) / _TRADING_DAYS)
    inside = np.where(call, 1.0, -1.0) * np.log(before / strike) / deviation  # above 0 in the money
    lively = np.exp(-0.5 * np.minimum(np.abs(inside) / 1.1, 1.0) ** 2 - 0.9 * np.maximum(np.abs(inside) - 1.1, 0.0))
    lively *= np.exp(-1.3 * np.maximum(inside, 0.0))
    taste = np.exp(0.6 * random.standard_normal(len(contracts)) - 0.18)
    # Round strikes are what people trade.
    taste *= np.where(strike % 50 == 0, 2.0, np.where(strike % 25 == 0, 1.3, 0.8))
    expected = BUSIEST[chain] * lively * taste / (1.0 + ahead / _DAYS_TO_HALF)
    count = random.poisson(expected).astype(np.int32)
    nearest = int(np.argmin(np.where(inside <= 0, -inside, np.inf)))
    count[nearest] = max(count[nearest], 1)
    drawn = np.exp(0.35 + 1.15 * random.standard_normal(int(count.sum())))
    return Activity(count, np.clip(drawn.astype(np.int32), 1, _LARGEST))


@lru_cache(maxsize=256)
def open_interest(seed: int, chain: str, root: str, expiration: date, days: Sequence[date]) -> dict[date, Ints]:
    """Give the open interest of every contract on the morning of every day, and on the one after the last.

    What was open when the chain was first quoted lies on round strikes. From then on each day's trades open or close
    some of it: by no more than was traded, and never below 0.

    Args:
        seed: Of the market.
        chain: Of the market.
        root: Option root.
        expiration: Expiration date.
        days: Every day on which it is quoted, in order; a tuple.
    """
    contracts = ladders.contracts(seed, chain, root, expiration)
    random = walk.generator(seed, "interest", chain, root, expiration.toordinal())
    strike = np.array([contract.strike for contract in contracts])
    held = np.exp(5.0 + 1.5 * random.standard_normal(len(contracts))) * np.where(strike % 100_000 == 0, 4.0, 1.0)
    kept = random.random(len(contracts)) < np.where(strike % 50_000 == 0, 0.9, 0.35)
    now = np.where(kept, held, 0.0).astype(np.int32)
    found = {}
    for day in days:
        found[day] = now
        volume = of_day(seed, chain, root, day, expiration).volume()
        now = _after(now, volume, random, near=(expiration - day).days < 3)
    if days:
        found[hours.next_trading_day(days[-1])] = now
    return found


def _after(now: Ints, volume: Ints, random: np.random.Generator, *, near: bool) -> Ints:
    """Open or close what the day's trades did; near the end more is closed."""
    tendency: Floats = random.uniform(-0.75 if near else -0.4, 0.35 if near else 0.8, len(now))
    return np.maximum(now + np.trunc(volume * tendency).astype(np.int32), 0)
