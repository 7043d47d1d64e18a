"""Every dataset's columns, types, keys, sort order and request shape: the only place a column is named."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Literal, NamedTuple

from spxdata.errors import ConfigError


class Kind(StrEnum):
    """What a column holds, and so how it is parsed, stored and hashed."""

    TEXT = "text"
    DATE = "date"
    TIME = "time"  # New York wall clock, microseconds
    INTEGER = "integer"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the vendor's v3 documentation names it.

    Attributes:
        name: Canonical name.
        kind: What it holds.
        unit: What it counts, for people and for file metadata.
    """

    name: str
    kind: Kind
    unit: str = ""


class Form(StrEnum):
    """How a cell is written on the wire, and so how it becomes a canonical value."""

    TEXT = "text"
    ISO_DAY = "2024-01-16"
    COMPACT_DAY = "20240116"
    ISO_TIME = "2024-01-16T09:31:00.000"
    MS_OF_DAY = "34260000"  # on the day of the column `date`
    INTEGER = "12"
    NUMBER = "4750.5"
    TENTH_CENTS = "4750500"
    RIGHT_WORD = "CALL"
    RIGHT_LETTER = "C"


class WireColumn(NamedTuple):
    """A column as a dialect sends it; `canonical` is None for one that only helps to read others."""

    name: str
    form: Form
    canonical: str | None


@dataclass(frozen=True, slots=True)
class Wire:
    """How a dialect asks for and sends a dataset.

    Attributes:
        dialect: v2 or v3.
        path: Path below the dialect's base.
        parameters: Names of the settings-dependent parameters it takes.
        columns: What comes, in the dialect's order.
    """

    dialect: str
    path: str
    parameters: tuple[str, ...]
    columns: tuple[WireColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in the dialect's order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Dataset:
    """One kind of data; adding one is an entry of `DATASETS`.

    Attributes:
        name: The word for it everywhere.
        columns: The vendor's columns in v3 order.
        key: What identifies a row within a unit; also the sort order.
        path: v3 path below the base.
        parameters: Names of the settings-dependent v3 parameters it takes.
        v2_path: v2 path below the base.
        v2_parameters: Names of the settings-dependent v2 parameters it takes.
        tier: The lowest v3 subscription that has it.
        intervals: The intervals that may be asked for; the first is the default.
        publication: When its rows are final (see `spxdata.sessions.published`).
        contract_list: Which of the Terminal's lists says what to expect.
        required_to: Up to which close every minute is required of every contract.
        version: Version of these columns; part of every file.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    path: str
    parameters: tuple[str, ...]
    v2_path: str
    v2_parameters: tuple[str, ...]
    tier: str
    intervals: tuple[str, ...]
    publication: Literal["intraday", "eod", "open_interest"]
    contract_list: Literal["quote", "trade"]
    required_to: Literal["core_close", "close"]
    version: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The vendor's column names in v3 order."""
        return tuple(column.name for column in self.columns)

    def of(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of the columns of one kind."""
        return tuple(column.name for column in self.columns if column.kind is kind)


_CONTRACT = (
    Column("symbol", Kind.TEXT, "option root"),
    Column("expiration", Kind.DATE, "day"),
    Column("strike", Kind.NUMBER, "dollars"),
    Column("right", Kind.TEXT, "CALL or PUT"),
    Column("timestamp", Kind.TIME, "New York"),
)

_GREEKS = (
    *_CONTRACT,
    Column("bid", Kind.NUMBER, "dollars"),
    Column("ask", Kind.NUMBER, "dollars"),
    Column("delta", Kind.NUMBER, "per dollar of the underlying"),
    Column("theta", Kind.NUMBER, "dollars per calendar day"),
    Column("vega", Kind.NUMBER, "dollars per 1.00 of volatility"),
    Column("rho", Kind.NUMBER, "dollars per 1.00 of rate"),
    Column("epsilon", Kind.NUMBER, "dollars per 1.00 of dividend yield"),
    Column("lambda", Kind.NUMBER, "ratio"),
    Column("implied_vol", Kind.NUMBER, "per year, 1.00 = 100 %"),
    Column("iv_error", Kind.NUMBER, "model price / price used - 1"),
    Column("underlying_timestamp", Kind.TIME, "New York"),
    Column("underlying_price", Kind.NUMBER, "index points"),
)

_QUOTE = (
    *_CONTRACT,
    Column("bid_size", Kind.INTEGER, "contracts"),
    Column("bid_exchange", Kind.INTEGER, "vendor's exchange code"),
    Column("bid", Kind.NUMBER, "dollars"),
    Column("bid_condition", Kind.INTEGER, "vendor's quote condition"),
    Column("ask_size", Kind.INTEGER, "contracts"),
    Column("ask_exchange", Kind.INTEGER, "vendor's exchange code"),
    Column("ask", Kind.NUMBER, "dollars"),
    Column("ask_condition", Kind.INTEGER, "vendor's quote condition"),
)

_KEY = ("strike", "right", "timestamp")

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="greeks",
            columns=_GREEKS,
            key=_KEY,
            path="/option/history/greeks/first_order",
            parameters=("interval", "version", "rate_type"),
            v2_path="/bulk_hist/option/greeks",
            v2_parameters=("ivl", "rth", "rate"),
            tier="standard",
            intervals=("1m",),
            publication="intraday",
            contract_list="quote",
            required_to="core_close",
        ),
        Dataset(
            name="quote",
            columns=_QUOTE,
            key=_KEY,
            path="/option/history/quote",
            parameters=("interval",),
            v2_path="/bulk_hist/option/quote",
            v2_parameters=("ivl",),
            tier="value",
            intervals=("1m",),
            publication="intraday",
            contract_list="quote",
            required_to="close",
        ),
    )
}

#: The default dataset: its files carry the brief's name, without the dataset in it.
DEFAULT_DATASET = "greeks"

#: Minutes between two rows of a contract, by the vendor's name of the interval.
STEP_MINUTES: dict[str, int] = {"1m": 1}

#: Columns that we add to the vendor's, in every file: the first and the last one.
TRADE_DATE = Column("trade_date", Kind.DATE, "New York trading day")
FLAGS = Column("flags", Kind.INTEGER, "bits of spxdata.flags")


#: The generations of the Terminal, the newest first.
DIALECTS = ("v3", "v2")

#: How v3 writes each kind of column; a right is a word there.
_V3_FORMS: dict[Kind, Form] = {
    Kind.TEXT: Form.TEXT,
    Kind.DATE: Form.ISO_DAY,
    Kind.TIME: Form.ISO_TIME,
    Kind.INTEGER: Form.INTEGER,
    Kind.NUMBER: Form.NUMBER,
}
#: What v2 writes differently, by canonical name. Its column `date`, the last one, is the day of all times of the row.
_V2_COLUMNS: dict[str, tuple[str, Form]] = {
    "symbol": ("root", Form.TEXT),
    "expiration": ("expiration", Form.COMPACT_DAY),
    "strike": ("strike", Form.TENTH_CENTS),
    "right": ("right", Form.RIGHT_LETTER),
    "timestamp": ("ms_of_day", Form.MS_OF_DAY),
    "underlying_timestamp": ("ms_of_day2", Form.MS_OF_DAY),
}
V2_DATE = WireColumn("date", Form.COMPACT_DAY, None)


@cache
def wire(of: Dataset, dialect: str) -> Wire:
    """Return how a dialect asks for and sends a dataset.

    Example:
        >>> wire(DATASETS["quote"], "v2").names[:5]
        ('root', 'expiration', 'strike', 'right', 'ms_of_day')
    """
    if dialect == "v3":
        forms = {"right": Form.RIGHT_WORD}
        columns = [WireColumn(c.name, forms.get(c.name, _V3_FORMS[c.kind]), c.name) for c in of.columns]
        return Wire(dialect, of.path, of.parameters, tuple(columns))
    columns = [
        WireColumn(*_V2_COLUMNS.get(column.name, (column.name, _V3_FORMS[column.kind])), column.name)
        for column in of.columns
    ]
    return Wire(dialect, of.v2_path, of.v2_parameters, (*columns, V2_DATE))


def dataset(name: str, key: str = "dataset", origin: str = "command line") -> Dataset:
    """Return a dataset by its name.

    Raises:
        ConfigError: There is none of that name.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise ConfigError(
            f"{key}: {name!r} (from {origin}) is not a dataset.", hint=f"Known are: {', '.join(DATASETS)}."
        ) from None
