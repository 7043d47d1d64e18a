"""The recorded market: a directory of minute quotes in the v2 bulk form, and the index where it lies beside it."""

import re
from collections.abc import Collection, Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from spxdata.emulator.rows import MS_A_MINUTE, Block, Contract, Floats, IndexReports, Ints, Rows, Tape
from spxdata.errors import ConfigError

_NAME = re.compile(r"(?P<root>[A-Z]+)_(?P<day>\d{8})_(?P<expiration>\d{8})\.csv")
_NEEDED = ("strike", "right", "ms_of_day", "bid_size", "bid", "ask_size", "ask")
_INDEX_FOLDER = "theta_v2_index_price"
_INTEREST_FOLDER = "theta_v2_open_interest"
_INDEX = "SPX"


class RecordedMarket:
    """A market read from files.

    Args:
        directory: Holds `ROOT_TRADEDATE_EXPIRATION.csv` files.

    Raises:
        ConfigError: There is no such directory, or no such file in it.
    """

    def __init__(self, directory: Path) -> None:
        self._files: dict[tuple[str, date, date], Path] = {}
        for path in sorted(directory.glob("*.csv")) if directory.is_dir() else ():
            if found := _NAME.fullmatch(path.name):
                key = (found["root"], date.fromisoformat(found["day"]), date.fromisoformat(found["expiration"]))
                self._files[key] = _with_columns(path)
        if not self._files:
            raise ConfigError(
                f"emulator replay directory {str(directory)!r} holds no recorded quotes",
                hint="It must be a directory with files named ROOT_TRADEDATE_EXPIRATION.csv, "
                "such as SPXW_20210104_20210108.csv.",
            )
        self._index = directory.resolve().parent / _INDEX_FOLDER
        self._interest = directory.resolve().parent / _INTEREST_FOLDER

    def roots(self) -> list[str]:
        """Give every root there is a file of."""
        return sorted({root for root, _, _ in self._files})

    def expirations(self, root: str) -> list[date]:
        """Give every expiration there is a file of."""
        return sorted({expiration for owner, _, expiration in self._files if owner == root})

    def strikes(self, root: str, expiration: date) -> list[int]:
        """Give the strikes recorded on any day, in the order in which they turn up."""
        found: dict[int, None] = {}
        for owner, day, expires in self._files:
            if (owner, expires) == (root, expiration):
                found.update(dict.fromkeys(contract.strike for contract in self.contracts(root, day, expiration)))
        return list(found)

    def live(self, root: str, day: date) -> list[date]:
        """Give the expirations recorded on a day."""
        return sorted(expiration for owner, on, expiration in self._files if (owner, on) == (root, day))

    def days(self, root: str, expiration: date | None) -> list[date]:
        """Give the days recorded of an expiration, or of the root."""
        found = {day for owner, day, expires in self._files if owner == root and expiration in (None, expires)}
        return sorted(found)

    def contracts(self, root: str, day: date, expiration: date) -> list[Contract]:
        """Give the contracts recorded on a day, in the order of their rows."""
        path = self._files.get((root, day, expiration))
        return [] if path is None else list(_read(path, _index_file(self._index, day)).contracts)

    def has_index(self, root: str, day: date) -> bool:
        """Tell whether an index file of that day lies beside the directory."""
        return bool(self.live(root, day)) and _index_file(self._index, day) is not None

    def quotes(self, root: str, day: date, expiration: date, wanted: Collection[Contract]) -> Iterator[Rows]:
        """Give the recorded rows of the wanted contracts, as one block."""
        path = self._files.get((root, day, expiration))
        if path is None:
            return
        rows = _read(path, _index_file(self._index, day))
        chosen = frozenset(wanted)
        keep = np.array([contract in chosen for contract in rows.contracts], dtype=np.bool_)
        yield rows.pick(keep[rows.which])

    def ticks(self, root: str, day: date, expiration: date, wanted: Collection[Contract], step: int) -> Iterator[Rows]:
        """Give nothing: only minutes are recorded."""
        del root, day, expiration, wanted, step
        yield from ()

    def tapes(self, root: str, day: date, expiration: date, wanted: Collection[Contract]) -> Iterator[Tape]:
        """Give nothing: no trades are recorded."""
        del root, day, expiration, wanted
        yield from ()

    def traded(self, root: str, day: date, expiration: date) -> list[Contract]:
        """Give nothing: no trades are recorded."""
        del root, day, expiration
        return []

    def trade_days(self, root: str, expiration: date | None) -> list[date]:
        """Give nothing: no trades are recorded."""
        del root, expiration
        return []

    def open_interest(self, root: str, day: date, expiration: date) -> Block | None:
        """Give the recorded open interest, where a file of it lies beside the directory."""
        path = self._interest / f"{root}_{day:%Y%m%d}_{expiration:%Y%m%d}.csv"
        return _read_interest(path) if path.is_file() else None

    def index_reports(self, symbol: str, day: date) -> IndexReports | None:
        """Give the recorded index, where a file of it lies beside the directory."""
        path = _index_file(self._index, day)
        if symbol != _INDEX or path is None:
            return None
        table = pl.read_csv(path)
        time = _ints(table["ms_of_day"])
        return IndexReports(time, table["price"].cast(pl.Float64).to_numpy(), int(time[0]), int(time[-1]))


def _with_columns(path: Path) -> Path:
    """Give the file back if its header has what is needed."""
    with path.open(encoding="utf-8") as file:
        names = file.readline().strip().split(",")
    if missing := [name for name in _NEEDED if name not in names]:
        raise ConfigError(
            f"emulator replay file {str(path)!r} lacks the columns {', '.join(missing)}",
            hint=f"A recorded quote file has at least {', '.join(_NEEDED)}.",
        )
    return path


def _index_file(folder: Path, day: date) -> Path | None:
    path = folder / f"SPX_{day:%Y%m%d}.csv"
    return path if path.is_file() else None


@lru_cache(maxsize=64)
def _read(path: Path, index: Path | None) -> Rows:
    """Read one file; its rows become contract by contract, as a reply brings them."""
    try:
        table = pl.read_csv(path, schema_overrides={"bid": pl.Decimal(12, 4), "ask": pl.Decimal(12, 4)})
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"emulator replay file {str(path)!r} cannot be read: {error}") from error
    pairs = table.select("strike", "right").unique(maintain_order=True)
    contracts = tuple(Contract(strike, right) for strike, right in pairs.iter_rows())
    table = table.join(pairs.with_row_index("which"), on=["strike", "right"], how="left", maintain_order="left")
    table = table.sort("which", maintain_order=True)
    minute = _ints(table["ms_of_day"] // MS_A_MINUTE)
    return Rows(
        contracts=contracts,
        which=_ints(table["which"]),
        time=minute * MS_A_MINUTE,
        bid=_cents(path, table["bid"]),
        ask=_cents(path, table["ask"]),
        bid_size=_ints(table["bid_size"]),
        ask_size=_ints(table["ask_size"]),
        spot=np.full(len(minute), np.nan) if index is None else _spots(index)[minute],
    )


@lru_cache(maxsize=64)
def _read_interest(path: Path) -> Block:
    """Read one file of open interest."""
    try:
        table = pl.read_csv(path)
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"emulator replay file {str(path)!r} cannot be read: {error}") from error
    contracts = tuple(Contract(strike, right) for strike, right in table.select("strike", "right").iter_rows())
    time = _ints(table["ms_of_day"])
    which = np.arange(len(contracts), dtype=np.int32)
    return Block(contracts, which, time, {"timestamp": time, "open_interest": _ints(table["open_interest"])})


def _ints(values: pl.Series) -> Ints:
    return values.cast(pl.Int32).to_numpy()


def _cents(path: Path, prices: pl.Series) -> Ints:
    """Give prices in cents, exactly or not at all."""
    ten_thousandths = prices.cast(pl.Decimal(12, 4)).to_physical().cast(pl.Int64)
    if (ten_thousandths % 100 != 0).any():
        raise ConfigError(f"emulator replay file {str(path)!r} has prices with more than two decimals")
    return _ints(ten_thousandths // 100)


@lru_cache(maxsize=64)
def _spots(path: Path) -> Floats:
    """Give the index by minute of the day, NaN where it is not recorded."""
    table = pl.read_csv(path)
    spots = np.full(24 * 60, np.nan)
    spots[_ints(table["ms_of_day"] // MS_A_MINUTE)] = table["price"].cast(pl.Float64).to_numpy()
    return spots
