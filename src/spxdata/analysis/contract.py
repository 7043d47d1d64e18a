"""One contract's history: all datasets of it joined in time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import polars as pl

from spxdata.analysis.asof import CONTRACT
from spxdata.analysis.files import Shelf
from spxdata.analysis.wanted import as_right, wanted
from spxdata.errors import ConfigError
from spxdata.model import Right, parse_day
from spxdata.schema import STEP_MS

_NAME: Final = re.compile(
    r"(?P<root>[A-Z][A-Z0-9.]*)\s+(?P<expiration>\S+)\s+(?P<strike>\d+(?:\.\d+)?)\s*(?P<right>C|P|CALL|PUT)",
    re.IGNORECASE,
)
#: Datasets with a row for each point of a grid; of a number that several have, the first one's counts.
_GRIDS: Final = (
    "quote",
    "greeks_all",
    "greeks",
    "greeks_second_order",
    "greeks_third_order",
    "implied_volatility",
)
#: Datasets that tell what was traded, the best first.
_TRADED: Final = ("trade", "trade_quote", "ohlc")


class Named(NamedTuple):
    """A contract of a root."""

    root: str
    expiration: date
    strike: float
    right: Right

    @property
    def choice(self) -> dict[str, Any]:
        """The arguments of `wanted.wanted` that choose it."""
        return {"expiration": self.expiration, "strike": self.strike, "right": self.right}


def named(text: str) -> Named:
    """Read a contract's name.

    Raises:
        ConfigError: It is none.

    Example:
        >>> named("SPXW 2024-01-19 4750 C").strike
        4750.0
    """
    match = _NAME.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a contract.", hint='Write it as "SPXW 2024-01-19 4750 C".')
    expiration = parse_day(match["expiration"], "contract", "call")
    return Named(match["root"].upper(), expiration, float(match["strike"]), as_right("contract", match["right"]))


def history(
    shelf: Shelf, contract: Named, *, start: object = None, end: object = None, flags: object = "clean"
) -> pl.DataFrame:
    """Return a contract's rows by time; see `spxdata.analysis.archive.Archive.contract`.

    Raises:
        ConfigError: The archive has neither quotes nor greeks nor trades of it.
    """
    read = _Reader(shelf, contract, {"start": start, "end": end, "flags": flags})
    found = _grids(read)
    traded = next((_running(part) for name in _TRADED if (part := read(name)) is not None), None)
    if found is None:
        found = traded
    elif traded is not None:
        found = found.join_asof(traded, on="timestamp", by="trade_date", check_sortedness=False)
    if found is None:
        raise ConfigError(
            f"The archive has nothing of {contract.root} {contract.expiration} {contract.strike:g} {contract.right}.",
            hint="See what it has with `spxdata status`, or in Python with `archive.days`.",
        )
    interest, index = read("open_interest"), read("index_price", of_contract=False)
    if interest is not None:
        newest = interest.sort("timestamp").group_by("trade_date").last().select("trade_date", "open_interest")
        found = found.join(newest, on="trade_date", how="left")
    if index is not None:
        prices = index.select("trade_date", "timestamp", pl.col("price").alias("index_price")).sort("timestamp")
        found = found.join_asof(prices, on="timestamp", by="trade_date", check_sortedness=False)
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a contract's rows of one dataset after the other.

    Attributes:
        shelf: The archive's files.
        contract: Which contract.
        choice: Further arguments of `wanted.wanted`.
    """

    shelf: Shelf
    contract: Named
    choice: Mapping[str, Any]

    def __call__(self, name: str, *, of_contract: bool = True) -> pl.DataFrame | None:
        """Return the rows, of the finest interval that the archive has, by the time they are known; None for none."""
        which = self.contract.choice if of_contract else {}
        for interval in self.shelf.intervals(name):
            asked = wanted(name, interval=interval, root=self.contract.root, **self.choice, **which)
            if self.shelf.holding(asked):
                return _known_at(self.shelf.scan(asked), name, interval).collect()
        return None


def _grids(read: _Reader) -> pl.DataFrame | None:
    """Return quotes and greeks side by side."""
    found: pl.DataFrame | None = None
    for name in _GRIDS:
        part = read(name)
        if part is not None:
            part = part.drop("symbol", *CONTRACT).rename({"flags": f"{name}_flags"})
            found = part if found is None else _joined(found, part)
    return found


def _known_at(rows: pl.LazyFrame, name: str, interval: str) -> pl.LazyFrame:
    """Return rows by the time at which they are known, which of a bar is its end."""
    if name == "trade_quote":
        return rows.rename({"trade_timestamp": "timestamp"})
    if name == "ohlc":
        return rows.with_columns(pl.col("timestamp") + timedelta(milliseconds=STEP_MS[interval]))
    return rows


def _joined(found: pl.DataFrame, part: pl.DataFrame) -> pl.DataFrame:
    """Return two tables by the times of both; numbers that both have are the first one's."""
    fresh = [name for name in part.columns if name not in found.columns]
    key = ["trade_date", "timestamp"]
    joined = found.join(part.select(*key, *fresh), on=key, how="full", coalesce=True)
    return joined.sort(key)


def _running(trades: pl.DataFrame) -> pl.DataFrame:
    """Return the last price and the day's volume so far after each trade or bar."""
    price, size = ("close", "volume") if "close" in trades.columns else ("price", "size")
    return (
        trades.filter(pl.col(size) > 0)
        .sort("timestamp", maintain_order=True)
        .select(
            "trade_date",
            "timestamp",
            pl.col(price).alias("last"),
            pl.col(size).cast(pl.Int64).cum_sum().over("trade_date").alias("volume"),
        )
    )
