"""The made-up market: every quote follows from the seed, the root and the date, whoever asks and in whatever order."""

from collections.abc import Collection, Iterator
from datetime import date, timedelta

import numpy as np

from spxdata.emulator import expirations, hours, ladders, quoting, surface, walk
from spxdata.emulator.expirations import Expiration
from spxdata.emulator.rows import Contract, Floats, Rows

#: Contracts made at a time: small enough for the processor's cache, and for a reply to start at once.
BLOCK = 32
#: How many expirations of each root the small chain has at a time.
SMALL = {"SPXW": 4, "SPX": 1}


class SyntheticMarket:
    """A market made up from a seed.

    Args:
        seed: Any number from 0 on.
        chain: `small` or `full`.
    """

    def __init__(self, seed: int, chain: str) -> None:
        self._seed = seed
        self._chain = chain

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
        if not expirations.FIRST <= day <= expirations.LAST:
            return []
        found = [expiration.day for expiration in expirations.live(root, day)]
        return found[: SMALL[root]] if found and self._chain == "small" else found

    def days(self, root: str, expiration: date | None) -> list[date]:
        """Give the days on which an expiration, or any expiration of the root, is quoted."""
        if expiration is None:
            since = expirations.FIRST
            ahead = (expirations.LAST - since).days
            return [day for day in _from(since, ahead) if hours.is_trading_day(day) and self.live(root, day)]
        since = expiration - timedelta(days=expirations.LISTED_FOR)
        return [day for day in _from(since, expirations.LISTED_FOR) if expiration in self.live(root, day)]

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
        minute=np.tile(np.arange(session.first, session.last + 1, dtype=np.int32), len(block)),
        bid=empty_first(made.bid),
        ask=empty_first(made.ask),
        bid_size=empty_first(made.bid_size),
        ask_size=empty_first(made.ask_size),
        spot=np.tile(spot[:length], len(block)),
        deviation=deviation[:, :length].ravel(),
    )
