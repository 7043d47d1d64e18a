"""The rows that travel from a market to the wire, and what a market must be able to tell."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, order=True)
class Contract:
    """One option: what tells it apart within root and expiration.

    Attributes:
        strike: In thousandths of a dollar, so that it is exact.
        right: `C` or `P`.
    """

    strike: int
    right: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Minute quotes of a few contracts, one contract after the other, minutes rising within each.

    Attributes:
        contracts: The contracts in the order of their rows.
        which: For every row, the position of its contract in `contracts`.
        minute: Minute since midnight, New York.
        bid: In cents, as everything that is a price here: exact.
        ask: In cents.
        bid_size: Contracts bid for; 0 if and only if the bid is 0.
        ask_size: Contracts offered.
        spot: The index at that minute, in dollars with two decimals; NaN where it is not known.
        deviation: Volatility times square root of time, as the market made the quote: a first guess for who inverts it.
    """

    contracts: tuple[Contract, ...]
    which: Ints
    minute: Ints
    bid: Ints
    ask: Ints
    bid_size: Ints
    ask_size: Ints
    spot: Floats
    deviation: Floats | None = None

    def __len__(self) -> int:
        return len(self.which)

    def pick(self, keep: npt.NDArray[np.bool_]) -> "Rows":
        """Give the rows where `keep` holds."""
        if keep.all():
            return self
        return Rows(
            self.contracts,
            self.which[keep],
            self.minute[keep],
            self.bid[keep],
            self.ask[keep],
            self.bid_size[keep],
            self.ask_size[keep],
            self.spot[keep],
            None if self.deviation is None else self.deviation[keep],
        )


class Market(Protocol):
    """Where quotes come from: made up (`synthetic`) or recorded (`replay`)."""

    def roots(self) -> list[str]:
        """Give every root."""
        ...

    def expirations(self, root: str) -> list[date]:
        """Give every expiration of a root there ever was; none if the root is unknown."""
        ...

    def strikes(self, root: str, expiration: date) -> list[int]:
        """Give the strikes of an expiration in thousandths, unsorted; none if it is unknown."""
        ...

    def live(self, root: str, day: date) -> list[date]:
        """Give the expirations that have rows on a day, nearest first."""
        ...

    def days(self, root: str, expiration: date | None) -> list[date]:
        """Give the days on which an expiration, or any expiration for None, has rows; none if it is unknown."""
        ...

    def contracts(self, root: str, day: date, expiration: date) -> list[Contract]:
        """Give the contracts of an expiration that have rows on a day, in the order of their rows."""
        ...

    def quotes(self, root: str, day: date, expiration: date, wanted: Collection[Contract]) -> Iterator[Rows]:
        """Give the rows of the wanted contracts, in blocks of whole contracts."""
        ...

    def has_index(self, root: str, day: date) -> bool:
        """Tell whether the index is known on a day, so that greeks can be computed."""
        ...
