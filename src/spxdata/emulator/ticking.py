"""Every quote of a day: what happens between the minutes, and ends at each of them on the quote of that minute."""

import numpy as np
import numpy.typing as npt

from spxdata.emulator.quoting import COARSE_FROM
from spxdata.emulator.rows import MS_A_MINUTE, Bools, Ints, Rows

#: Quotes that one minute can have at most.
SLOTS = 5
#: How often a slot before the last is used.
_USED = 0.7
#: Quotes of the opening come within so many milliseconds.
_OPENING = 1500
#: Apart enough for every time of a day.
_A_DAY = 1 << 27


def ticks(random: np.random.Generator, minutes: Rows, contracts: int, chosen: Ints) -> Rows:
    """Give every quote of the chosen contracts of a block.

    Before the first minute is over there is a quote at once; at every later minute the last one says what the minute
    does. Quotes before that stand at the last minute's prices, at the next one's, or between.

    Args:
        random: Where the noise comes from; as much is drawn for contracts that are not chosen.
        minutes: The quotes of the whole block, minute by minute; every contract has the same minutes.
        contracts: How many contracts the block has.
        chosen: Positions of the contracts wanted.
    """
    shape = (contracts, len(minutes) // contracts - 1, SLOTS)
    late = np.sort(random.integers(1, MS_A_MINUTE + 1, shape, dtype=np.int32), axis=2)
    opening = random.integers(1, _OPENING, contracts, dtype=np.int32)
    used = random.random(shape, dtype=np.float32) < _USED
    between = random.random(shape, dtype=np.float32)
    jitter = np.exp(0.3 * random.standard_normal((2, *shape), dtype=np.float32))
    late[:, 0, 0] = np.minimum(opening, late[:, 0, 0])
    used[:, 0, 0] = True
    used[:, :, -1] = True
    between[:, 0] = 1.0  # there is nothing before the first quote
    between[:, :, -1] = 1.0

    used, between = used[chosen], between[chosen]
    last = used & (np.arange(SLOTS) == SLOTS - 1)
    length = shape[1] + 1
    begin = (minutes.time[: length - 1])[np.newaxis, :, np.newaxis]
    which = np.broadcast_to(chosen[:, np.newaxis, np.newaxis], used.shape)[used]
    weight = between[used]
    exact = last[used]

    def pair(values: Ints) -> tuple[Ints, Ints]:
        by_minute = values.reshape(contracts, length)[chosen]
        before = np.broadcast_to(by_minute[:, :-1, np.newaxis], used.shape)[used]
        after = np.broadcast_to(by_minute[:, 1:, np.newaxis], used.shape)[used]
        return before, after

    bid = _price(*pair(minutes.bid), weight)
    ask = _price(*pair(minutes.ask), weight)
    bid_size = _size(*pair(minutes.bid_size), weight, jitter[0][chosen][used], exact)
    ask_size = _size(*pair(minutes.ask_size), weight, jitter[1][chosen][used], exact)
    deviation = None if minutes.deviation is None else minutes.deviation.reshape(contracts, length)[chosen]
    return Rows(
        contracts=minutes.contracts,
        which=which,
        time=(begin + late[chosen])[used],
        bid=bid,
        ask=np.maximum(ask, 5),
        bid_size=np.where(bid == 0, 0, np.maximum(bid_size, 1)),
        ask_size=np.maximum(ask_size, 1),
        spot=np.full(len(which), np.nan),
        deviation=None if deviation is None else np.broadcast_to(deviation[:, 1:, np.newaxis], used.shape)[used],
    )


def _price(before: Ints, after: Ints, weight: npt.NDArray[np.float32]) -> Ints:
    """Give a price of the grid: the one before, the one after, or half way."""
    middle = (before + after) // 2
    middle -= middle % np.where(middle >= COARSE_FROM, 10, 5).astype(np.int32)
    return np.where(weight < 0.35, before, np.where(weight > 0.65, after, middle)).astype(np.int32)


def _size(
    before: Ints,
    after: Ints,
    weight: npt.NDArray[np.float32],
    jitter: npt.NDArray[np.float32],
    exact: Bools,
) -> Ints:
    drawn = np.rint(np.where(weight < 0.5, before, after) * jitter).astype(np.int32)
    return np.where(exact, after, drawn).astype(np.int32)


def in_force(ticks: Rows, which: Ints, time: Ints, *, exclusive: bool) -> npt.NDArray[np.intp]:
    """Give for every contract and time the place of the last quote before it, or -1; `exclusive`: not at it."""
    known = ticks.which.astype(np.int64) * _A_DAY + ticks.time
    asked = which.astype(np.int64) * _A_DAY + time
    places = np.searchsorted(known, asked, side="left" if exclusive else "right") - 1
    # A place may belong to the contract before.
    none = places < 0
    none[~none] = ticks.which[places[~none]] != which[~none]
    return np.where(none, -1, places)


def sampled(ticks: Rows, grid: Ints, contracts: Ints) -> Rows:
    """Give the last quote at each time of a grid; before the first one all is 0.

    Args:
        ticks: Every quote.
        grid: Milliseconds since midnight, rising.
        contracts: Positions of the contracts that have quotes.
    """
    which = np.repeat(contracts, len(grid))
    time = np.tile(grid, len(contracts))
    places = in_force(ticks, which, time, exclusive=False)
    known = places >= 0

    def at(values: Ints) -> Ints:
        return np.where(known, values[places], 0).astype(np.int32)

    return Rows(
        contracts=ticks.contracts,
        which=which,
        time=time,
        bid=at(ticks.bid),
        ask=at(ticks.ask),
        bid_size=at(ticks.bid_size),
        ask_size=at(ticks.ask_size),
        spot=np.full(len(which), np.nan),
        deviation=None if ticks.deviation is None else ticks.deviation[places],
    )
