"""The made-up market: every quote follows from the seed, the root and the date, whoever asks and in whatever order."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from spxdata.emulator import activity, expirations, hours, ladders, quoting, surface, ticking, trading, walk
from spxdata.emulator.expirations import Expiration
from spxdata.emulator.rows import MS_A_MINUTE, Block, Contract, Floats, IndexReports, Ints, Rows, Tape, Trades

#: Contracts made at a time: small enough for the processor's cache, and for a reply to start at once.
BLOCK = 32
#: How many expirations of each root the small chain has at a time.
SMALL = {"SPXW": 4, "SPX": 1}
#: The index whose options these are.
INDEX = "SPX"

_OPEN = hours.OPEN * MS_A_MINUTE
#: Open interest of the evening before is sent from 06:30 on.
_MORNING = (6 * 60 + 30) * MS_A_MINUTE
#: Reports of the day are built from 17:15 to 17:33.
_EVENING = (17 * 60 + 15) * MS_A_MINUTE
_EVENING_LASTS = 18 * MS_A_MINUTE


class SyntheticMarket:
    """A market made up from a seed.

    Args:
        seed: Any number from 0 on.
        chain: `small` or `full`.
        doubled_eod: Whether the reports of the day are built twice.
    """

    def __init__(self, seed: int, chain: str, *, doubled_eod: bool = False) -> None:
        self._seed = seed
        self._chain = chain
        self._doubled_eod = doubled_eod

    def roots(self) -> list[str]:
        """Give every root."""
        return list(expirations.ROOTS)

    def expirations(self, root: str) -> list[date]:
        """Give every expiration, and one that never was."""
        known = list(expirations.calendar(root))
        return [*known, expirations.BOGUS] if known else []

    def strikes(self, root: str, expiration: date) -> list[int]:
        """Give the strikes of an expiration, unsorted."""
        if expiration not in expirations.calendar(root):
            return []
        return list(ladders.strikes(self._seed, self._chain, root, expiration))

    def live(self, root: str, day: date) -> list[date]:
        """Give the expirations quoted on a day: all within 60 days, or the nearest few."""
        return list(_live(self._chain, root, day))

    def days(self, root: str, expiration: date | None) -> list[date]:
        """Give the days on which an expiration, or any expiration of the root, is quoted."""
        if expiration is None:
            since = expirations.FIRST
            ahead = (expirations.LAST - since).days
            return [day for day in _from(since, ahead) if hours.is_trading_day(day) and self.live(root, day)]
        return list(_quoted_days(self._chain, root, expiration))

    def contracts(self, root: str, day: date, expiration: date) -> list[Contract]:
        """Give the contracts of an expiration, in the order of their rows."""
        if expiration not in self.live(root, day):
            return []
        return list(ladders.contracts(self._seed, self._chain, root, expiration))

    def has_index(self, root: str, day: date) -> bool:
        """Tell whether the index is known, as it is on every trading day."""
        return bool(self.live(root, day))

    def quotes(self, root: str, day: date, expiration: date, wanted: Collection[Contract]) -> Iterator[Rows]:
        """Make the rows of the wanted contracts, block by block; a block is made whole, then the wanted are kept."""
        everything = self.contracts(root, day, expiration)
        chosen = frozenset(wanted)
        for start in range(0, len(everything), BLOCK):
            block = tuple(everything[start : start + BLOCK])
            if chosen.isdisjoint(block):
                continue
            rows = self._block(expirations.calendar(root)[expiration], day, block, start)
            keep = np.array([contract in chosen for contract in block])
            yield rows.pick(keep[rows.which])

    def ticks(self, root: str, day: date, expiration: date, wanted: Collection[Contract], step: int) -> Iterator[Rows]:
        """Make every quote of the wanted contracts, or the last one every so many milliseconds; 0 is for every one."""
        everything = self.contracts(root, day, expiration)
        chosen = frozenset(wanted)
        spots = walk.seconds(self._seed, day) if everything else np.zeros(1)
        for start in range(0, len(everything), BLOCK):
            block = tuple(everything[start : start + BLOCK])
            if chosen.isdisjoint(block):
                continue
            minutes = self._block(expirations.calendar(root)[expiration], day, block, start)
            places = _places(block, chosen)
            rows = self._ticks(root, day, expiration, minutes, start, places)
            if step:
                grid = np.arange(_OPEN, int(minutes.time[-1]) + 1, step, dtype=np.int32)
                rows = ticking.sampled(rows, grid, places)
            second = np.minimum((rows.time - _OPEN) // 1000, len(spots) - 1)
            yield replace(rows, spot=spots[second])

    def tapes(self, root: str, day: date, expiration: date, wanted: Collection[Contract]) -> Iterator[Tape]:
        """Make quotes and trades of the wanted contracts."""
        everything = self.contracts(root, day, expiration)
        if not everything:
            return
        chosen = frozenset(wanted)
        traded = activity.of_day(self._seed, self._chain, root, day, expiration)
        before = np.concatenate(([0], np.cumsum(traded.count)))
        reported = self._reported(root, day, expiration)
        for start in range(0, len(everything), BLOCK):
            block = tuple(everything[start : start + BLOCK])
            if chosen.isdisjoint(block):
                continue
            minutes = self._block(expirations.calendar(root)[expiration], day, block, start)
            count = traded.count[start : start + BLOCK]
            size = traded.size[before[start] : before[start + len(block)]]
            ticks = self._ticks(root, day, expiration, minutes, start, np.flatnonzero(count).astype(np.int32))
            trades = self._trades(root, day, expiration, ticks, start, count, size)
            keep = np.array([contract in chosen for contract in block])
            yield Tape(
                asked=np.flatnonzero(keep).astype(np.int32),
                quotes=minutes.pick(keep[minutes.which]),
                ticks=ticks.pick(keep[ticks.which]),
                trades=trades.pick(keep[trades.which]),
                reported=reported,
            )

    def traded(self, root: str, day: date, expiration: date) -> list[Contract]:
        """Give the contracts of an expiration that trade on a day."""
        everything = self.contracts(root, day, expiration)
        if not everything:
            return []
        count = activity.of_day(self._seed, self._chain, root, day, expiration).count
        return [contract for contract, many in zip(everything, count.tolist(), strict=True) if many]

    def trade_days(self, root: str, expiration: date | None) -> list[date]:
        """Give the days on which an expiration, or any expiration of the root, has trades."""
        return [
            day
            for day in self.days(root, expiration)
            if any(
                activity.of_day(self._seed, self._chain, root, day, live).count.any()
                for live in (self.live(root, day) if expiration is None else [expiration])
            )
        ]

    def open_interest(self, root: str, day: date, expiration: date) -> Block | None:
        """Give the open interest of the evening before, where there is any."""
        everything = self.contracts(root, day, expiration)
        if not everything:
            return None
        days = _quoted_days(self._chain, root, expiration)
        held = activity.open_interest(self._seed, self._chain, root, expiration, days)[day]
        random = walk.generator(self._seed, "sent", self._chain, root, day.toordinal(), expiration.toordinal())
        time = _MORNING + 1000 * random.integers(0, 10, len(everything), dtype=np.int32)
        which = np.arange(len(everything), dtype=np.int32)
        rows = Block(tuple(everything), which, time, {"timestamp": time, "open_interest": held})
        return rows.pick(held > 0)

    def index_reports(self, symbol: str, day: date) -> IndexReports | None:
        """Give the index second by second, but for the seconds in which it stands still."""
        if symbol != INDEX or not self.live(INDEX, day):
            return None
        price = walk.seconds(self._seed, day)
        last = _OPEN + (len(price) - 1) * 1000
        moved = np.flatnonzero(np.diff(price[1:], prepend=0.0)) + 1
        return IndexReports((_OPEN + moved * 1000).astype(np.int32), price[moved], _OPEN, last)

    def _reported(self, root: str, day: date, expiration: date) -> tuple[int, ...]:
        random = walk.generator(self._seed, "reports", root, day.toordinal(), expiration.toordinal())
        after = int(random.integers(_EVENING_LASTS // 3, _EVENING_LASTS))
        earlier = int(after * random.uniform(0.1, 0.9))
        return (_EVENING + earlier, _EVENING + after) if self._doubled_eod else (_EVENING + after,)

    def _ticks(self, root: str, day: date, expiration: date, minutes: Rows, start: int, places: Ints) -> Rows:
        if len(places) == 0:
            return minutes.pick(np.zeros(len(minutes), dtype=np.bool_))
        random = walk.generator(self._seed, "ticks", self._chain, root, day.toordinal(), expiration.toordinal(), start)
        return ticking.ticks(random, minutes, len(minutes.contracts), places)

    def _trades(
        self, root: str, day: date, expiration: date, ticks: Rows, start: int, count: Ints, size: Ints
    ) -> Trades:
        random = walk.generator(self._seed, "trades", self._chain, root, day.toordinal(), expiration.toordinal(), start)
        close = hours.EARLY_CLOSE if hours.is_early_close(day) else hours.CLOSE
        floor = trading.Floor(
            session=hours.session(day, expires_today=expiration == day),
            passed=walk.minutes(self._seed, day).passed,
            close=close,
            base=trading.base_sequence(self._seed, day.toordinal()),
        )
        return trading.trade(random, ticks, count, size, floor)

    def _block(self, expiration: Expiration, day: date, block: tuple[Contract, ...], start: int) -> Rows:
        state = walk.minutes(self._seed, day)
        priced = surface.slice_of(self._seed, day, expiration)
        strike = np.array([contract.strike / 1000.0 for contract in block])
        call = np.array([contract.right == "C" for contract in block])
        fair, deviation, moneyness = surface.worth(priced, strike, call)
        random = walk.generator(
            self._seed, "quotes", self._chain, expiration.root, day.toordinal(), expiration.day.toordinal(), start
        )
        haste = _haste(random, day, expires_today=expiration.day == day)
        made = quoting.quote(random, fair, moneyness, haste, float(priced.deviation.mean()))
        return _flat(block, hours.session(day, expires_today=expiration.day == day), made, state.spot, deviation)


@lru_cache(maxsize=65_536)
def _live(chain: str, root: str, day: date) -> list[date]:
    """Give the expirations of a root quoted on a day."""
    if not expirations.FIRST <= day <= expirations.LAST:
        return []
    found = expirations.live(root, day)
    if found and chain == "small":  # the nearest ones, and those that are there all year
        found = found[: SMALL[root]] + [far for far in found[SMALL[root] :] if far.is_long_dated]
    return [expiration.day for expiration in found]


@lru_cache(maxsize=4096)
def _quoted_days(chain: str, root: str, expiration: date) -> tuple[date, ...]:
    """Give the days on which an expiration is quoted."""
    known = expirations.calendar(root).get(expiration)
    if known is None:
        return ()
    ahead = known.listed_for
    since = expiration - timedelta(days=ahead)
    return tuple(day for day in _from(since, ahead) if expiration in _live(chain, root, day))


def _places(block: tuple[Contract, ...], chosen: frozenset[Contract]) -> Ints:
    return np.array([place for place, contract in enumerate(block) if contract in chosen], dtype=np.int32)


def _from(day: date, ahead: int) -> list[date]:
    return [day + timedelta(days=offset) for offset in range(ahead + 1)]


def _haste(random: np.random.Generator, day: date, *, expires_today: bool) -> Floats:
    """Give by how much spreads are wider than usual: at the opening, after the close, and as an expiration dies."""
    minute = np.arange(walk.ALL_MINUTES)
    haste = 1.0 + 2.5 * np.exp(-minute / 3.0)
    close = hours.session(day, expires_today=True).last - hours.OPEN
    haste[close + 1 :] *= 1.4
    if expires_today:
        dying = np.clip((minute - (close - 15)) / 15.0, 0.0, 1.0)
        haste *= 1.0 + 9.0 * dying**3 * np.exp(0.5 * random.standard_normal(len(minute)))
    return np.asarray(haste, dtype=np.float64)


def _flat(
    block: tuple[Contract, ...], session: hours.Session, made: quoting.Quotes, spot: Floats, deviation: Floats
) -> Rows:
    """Turn contracts by minutes into rows, cut to the session; the first row of each contract is empty."""
    length = session.last - session.first + 1

    def empty_first(values: quoting.Ints) -> quoting.Ints:
        # What the vendor sends at 09:30, before the first quote of the day.
        cut = values[:, :length].copy()
        cut[:, 0] = 0
        return cut.ravel()

    return Rows(
        contracts=block,
        which=np.repeat(np.arange(len(block), dtype=np.int32), length),
        time=np.tile(np.arange(session.first, session.last + 1, dtype=np.int32) * MS_A_MINUTE, len(block)),
        bid=empty_first(made.bid),
        ask=empty_first(made.ask),
        bid_size=empty_first(made.bid_size),
        ask_size=empty_first(made.ask_size),
        spot=np.tile(spot[:length], len(block)),
        deviation=deviation[:, :length].ravel(),
    )
