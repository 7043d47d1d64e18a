"""The rows that travel from a market to the wire, and what a market must be able to tell."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
#: A column: whole numbers, or fractions.
Column = Ints | Floats

MS_A_MINUTE = 60_000


@dataclass(frozen=True, slots=True, order=True)
class Contract:
    """One option: what tells it apart within root and expiration.

    Attributes:
        strike: In thousandths of a dollar, so that it is exact.
        right: `C` or `P`.
    """

    strike: int
    right: str


class Placed(Protocol):
    """Rows of whole contracts, one contract after the other, times rising within each."""

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """The contracts in the order of their rows; none for rows that belong to no contract."""
        ...

    @property
    def which(self) -> Ints:
        """For every row, the position of its contract in `contracts`."""
        ...

    @property
    def minute(self) -> Ints:
        """Minute since midnight, New York."""
        ...

    def __len__(self) -> int: ...

    def pick(self, keep: Bools) -> Self:
        """Give the rows where `keep` holds."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Quotes of a few contracts, minute by minute or tick by tick.

    Attributes:
        contracts: The contracts in the order of their rows.
        which: For every row, the position of its contract in `contracts`.
        time: Milliseconds since midnight, New York.
        bid: In cents, as everything that is a price here: exact.
        ask: In cents.
        bid_size: Contracts bid for; 0 if and only if the bid is 0.
        ask_size: Contracts offered.
        spot: The index at that time, in dollars with two decimals; NaN where it is not known.
        deviation: Volatility times square root of time, as the market made the quote: a first guess for who inverts it.
    """

    contracts: tuple[Contract, ...]
    which: Ints
    time: Ints
    bid: Ints
    ask: Ints
    bid_size: Ints
    ask_size: Ints
    spot: Floats
    deviation: Floats | None = None

    def __len__(self) -> int:
        return len(self.which)

    @property
    def minute(self) -> Ints:
        """Minute since midnight, New York."""
        return self.time // MS_A_MINUTE

    def pick(self, keep: Bools | npt.NDArray[np.intp]) -> "Rows":
        """Give the rows where `keep` holds, or those at its places."""
        if keep.dtype == np.bool_ and keep.all():
            return self
        return Rows(
            self.contracts,
            self.which[keep],
            self.time[keep],
            self.bid[keep],
            self.ask[keep],
            self.bid_size[keep],
            self.ask_size[keep],
            self.spot[keep],
            None if self.deviation is None else self.deviation[keep],
        )


@dataclass(frozen=True, slots=True)
class Block:
    """Rows ready to be printed: columns by the names v3 has for them.

    Attributes:
        contracts: The contracts in the order of their rows; none for rows that belong to no contract.
        which: For every row, the position of its contract in `contracts`.
        time: Milliseconds since midnight, New York: what a row is placed by.
        columns: Times in milliseconds since midnight, prices in dollars, rounded as they are printed.
    """

    contracts: tuple[Contract, ...]
    which: Ints
    time: Ints
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.which)

    @property
    def minute(self) -> Ints:
        """Minute since midnight, New York."""
        return self.time // MS_A_MINUTE

    def pick(self, keep: Bools) -> "Block":
        """Give the rows where `keep` holds."""
        if keep.all():
            return self
        columns = {name: values[keep] for name, values in self.columns.items()}
        return Block(self.contracts, self.which[keep], self.time[keep], columns)


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of a few contracts, one contract after the other, times rising within each.

    Attributes:
        contracts: The contracts in the order of their rows.
        which: For every trade, the position of its contract in `contracts`.
        time: Milliseconds since midnight, New York; several trades may share one.
        sequence: Rises with time, and wraps from the highest signed 32-bit number to the lowest.
        condition: How it was traded: 130 and 131 are legs of packages.
        size: Contracts.
        exchange: Where.
        price: In cents, above 0.
    """

    contracts: tuple[Contract, ...]
    which: Ints
    time: Ints
    sequence: Ints
    condition: Ints
    size: Ints
    exchange: Ints
    price: Ints

    def __len__(self) -> int:
        return len(self.which)

    @property
    def minute(self) -> Ints:
        """Minute since midnight, New York."""
        return self.time // MS_A_MINUTE

    def pick(self, keep: Bools) -> "Trades":
        """Give the trades where `keep` holds."""
        if keep.all():
            return self
        return Trades(
            self.contracts,
            self.which[keep],
            self.time[keep],
            self.sequence[keep],
            self.condition[keep],
            self.size[keep],
            self.exchange[keep],
            self.price[keep],
        )


@dataclass(frozen=True, slots=True)
class Tape:
    """All that happened to a few contracts on one day.

    Attributes:
        asked: Positions in `contracts` of those asked for; only they have rows here.
        quotes: Their quotes at every minute of the session, the last being the closing one.
        ticks: Every quote of those that traded.
        trades: Their trades.
        reported: When the reports of the day were built, in milliseconds since midnight: usually one.
    """

    asked: Ints
    quotes: Rows
    ticks: Rows
    trades: Trades
    reported: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IndexReports:
    """The prices of an index on one day, as they were published.

    Attributes:
        time: Milliseconds since midnight, New York, rising.
        price: In dollars.
        first: From when on it can be asked for, in milliseconds since midnight; the price is 0 until the first report.
        last: Until when.
    """

    time: Ints
    price: Floats
    first: int
    last: int


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

    def ticks(self, root: str, day: date, expiration: date, wanted: Collection[Contract], step: int) -> Iterator[Rows]:
        """Give every quote of the wanted contracts, or the last one every so many milliseconds; none if unknown."""
        ...

    def tapes(self, root: str, day: date, expiration: date, wanted: Collection[Contract]) -> Iterator[Tape]:
        """Give quotes and trades of the wanted contracts, in blocks of whole contracts; none if trades are unknown."""
        ...

    def traded(self, root: str, day: date, expiration: date) -> list[Contract]:
        """Give the contracts of an expiration that trade on a day, in the order of their rows."""
        ...

    def trade_days(self, root: str, expiration: date | None) -> list[date]:
        """Give the days on which an expiration, or any expiration for None, has trades."""
        ...

    def open_interest(self, root: str, day: date, expiration: date) -> Block | None:
        """Give the open interest of an expiration, as sent on the morning of a day; None if it is unknown."""
        ...

    def has_index(self, root: str, day: date) -> bool:
        """Tell whether the index is known on a day, so that greeks can be computed."""
        ...

    def index_reports(self, symbol: str, day: date) -> IndexReports | None:
        """Give what is known of an index on a day; None for nothing."""
        ...
