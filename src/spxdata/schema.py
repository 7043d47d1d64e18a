"""Every dataset's columns, types, keys, sort order and request shape: the only place a column is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Final, Literal, NamedTuple

from spxdata.errors import ConfigError, NotInDialect


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
        scale: Digits after the point that a number is stored with where numbers are decimals.
        repeats: Whether its values repeat so often that a dictionary of them is smallest.
    """

    name: str
    kind: Kind
    unit: str = ""
    scale: int = 5
    repeats: bool = False


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
    """A column as a dialect sends it; `canonical` is None for one that is not stored."""

    name: str
    form: Form
    canonical: str | None


@dataclass(frozen=True, slots=True)
class Wire:
    """How a dialect asks for and sends a dataset.

    Attributes:
        dialect: v2 or v3.
        path: Path below the dialect's base; None where only single contracts may be asked for.
        single: Path for a single contract, of option datasets that have one.
        parameters: Names of the parameters that are sent, beside the root and the form of the reply.
        columns: What comes, in the dialect's order.
        unnamed: Whether rows of a single contract come without the columns that name it.
    """

    dialect: str
    path: str | None
    single: str | None
    parameters: tuple[str, ...]
    columns: tuple[WireColumn, ...]
    unnamed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in the dialect's order."""
        return tuple(column.name for column in self.columns)


class Subject(StrEnum):
    """What a dataset is about, and so which subscription and which symbol it needs."""

    OPTION = "option"
    INDEX = "index"
    RATE = "rate"


class Rows(StrEnum):
    """What a row stands for."""

    GRID = "grid"  # a point of the interval's grid: each contract has each point once
    TICKS = "ticks"  # an event: no key tells two of a contract apart, so the order in which they came is kept
    DAILY = "daily"  # a report on a day: the newest of a contract counts


@dataclass(frozen=True, slots=True)
class V2:
    """What v2 does its own way.

    Attributes:
        path: Path of a whole chain, or of an index; None where it gives single contracts only.
        single: Path of a single contract, if there is one.
        parameters: Names of the parameters that are sent, beside the root and the form of the reply.
        tier: The lowest v2 subscription that has it.
        lacks: Canonical columns that v2 does not send; they are null.
        extra: Columns that only v2 sends and v3 dropped, by the canonical column they follow; they are not stored.
    """

    path: str | None
    single: str | None
    parameters: tuple[str, ...]
    tier: str
    lacks: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """One kind of data; adding one is an entry of `DATASETS`.

    Attributes:
        name: The word for it everywhere.
        what: What it is, in a few words.
        columns: The vendor's columns in v3 order.
        rows: What a row stands for, at intervals other than tick.
        series: What tells apart the series of rows within a unit; the beginning of the sort order.
        time: The columns that tell apart rows of a series; the end of the sort order where rows have a key.
        dated: The column whose day must be the trade date.
        path: v3 path below the base.
        parameters: Names of the v3 parameters that are sent, beside the symbol and the form of the reply.
        v2: How v2 does it; None if it does not have it.
        tier: The lowest v3 subscription that has it.
        since: The first trade date the vendor has at all, whatever the subscription.
        intervals: The intervals that may be asked for; the first is the default.
        publication: When its rows are final (see `spxdata.sessions.published`).
        contract_list: Which of the Terminal's lists says what to expect; None for none.
        unit_of: Whether a unit is one expiration, or all of the day.
        subject: What it is about.
        absent: How bad it is when a listed contract has no rows.
        required_to: Up to which close every point of a grid is required of every contract.
        version: Version of these columns; part of every file.
    """

    name: str
    what: str
    columns: tuple[Column, ...]
    path: str
    parameters: tuple[str, ...]
    v2: V2 | None
    tier: str
    since: date
    rows: Rows = Rows.GRID
    series: tuple[str, ...] = ("strike", "right")
    time: tuple[str, ...] = ("timestamp",)
    dated: str = "timestamp"
    intervals: tuple[str, ...] = ("1m",)
    publication: Literal["intraday", "eod", "open_interest", "rate"] = "intraday"
    contract_list: Literal["quote", "trade"] | None = "quote"
    unit_of: Literal["expiration", "day"] = "expiration"
    subject: Subject = Subject.OPTION
    absent: Literal["gap", "note"] = "gap"
    required_to: Literal["core_close", "close"] = "core_close"
    version: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The vendor's column names in v3 order."""
        return tuple(column.name for column in self.columns)

    @property
    def interval(self) -> str:
        """The interval that is asked for when none is said; file names leave it out."""
        return self.intervals[0]

    def of(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of the columns of one kind."""
        return tuple(column.name for column in self.columns if column.kind is kind)

    def rows_at(self, interval: str) -> Rows:
        """Return what a row stands for at an interval."""
        return Rows.TICKS if interval == TICK else self.rows

    def order_at(self, interval: str) -> tuple[str, ...]:
        """Return the columns that rows are sorted by at an interval; of ticks the order within a series is kept."""
        return self.series if self.rows_at(interval) is Rows.TICKS else self.series + self.time

    def root(self, option_root: str) -> str:
        """Return the symbol that the rows of an option root's units are of.

        Example:
            >>> DATASETS["index_price"].root("SPXW"), DATASETS["interest_rate"].root("SPXW")
            ('SPX', 'SOFR')
        """
        if self.subject is Subject.INDEX:
            return INDEX_OF.get(option_root, option_root)
        return RATE if self.subject is Subject.RATE else option_root


#: The interval at which every event is a row.
TICK: Final = "tick"
#: The interval of datasets with a row or two a day.
DAY: Final = "1d"
#: Milliseconds between two points of each grid, by the vendor's name of the interval.
STEP_MS: Final[Mapping[str, int]] = {
    "10ms": 10,
    "100ms": 100,
    "500ms": 500,
    "1s": 1_000,
    "5s": 5_000,
    "10s": 10_000,
    "15s": 15_000,
    "30s": 30_000,
    "1m": 60_000,
    "5m": 300_000,
    "10m": 600_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
}
#: The Terminal gives whole chains at these intervals only; at shorter ones it is asked contract by contract.
CHAIN_STEP_MS: Final = 60_000
#: Intervals of what is quoted, the usual one first.
_INTERVALS: Final = ("1m", TICK, *(interval for interval in STEP_MS if interval != "1m"))

#: The index of each option root that is not called like it.
INDEX_OF: Final[Mapping[str, str]] = {
    "SPXW": "SPX",
    "SPXQ": "SPX",
    "SPXPM": "SPX",
    "NDXP": "NDX",
    "RUTW": "RUT",
    "VIXW": "VIX",
}
#: The interest rate that is archived: the one the vendor's greeks use.
RATE: Final = "SOFR"

_OPTION = (
    Column("symbol", Kind.TEXT, "option root"),
    Column("expiration", Kind.DATE, "day"),
    Column("strike", Kind.NUMBER, "dollars", 3),
    Column("right", Kind.TEXT, "CALL or PUT"),
)
_TIMESTAMP = Column("timestamp", Kind.TIME, "New York")
_QUOTED = (
    Column("bid_size", Kind.INTEGER, "contracts"),
    Column("bid_exchange", Kind.INTEGER, "vendor's exchange code"),
    Column("bid", Kind.NUMBER, "dollars", 2),
    Column("bid_condition", Kind.INTEGER, "vendor's quote condition"),
    Column("ask_size", Kind.INTEGER, "contracts"),
    Column("ask_exchange", Kind.INTEGER, "vendor's exchange code"),
    Column("ask", Kind.NUMBER, "dollars", 2),
    Column("ask_condition", Kind.INTEGER, "vendor's quote condition"),
)
_BID_ASK = (Column("bid", Kind.NUMBER, "dollars", 2), Column("ask", Kind.NUMBER, "dollars", 2))
_FIRST_ORDER = (
    Column("delta", Kind.NUMBER, "per dollar of the underlying"),
    Column("theta", Kind.NUMBER, "dollars per calendar day"),
    Column("vega", Kind.NUMBER, "dollars per 1.00 of volatility"),
    Column("rho", Kind.NUMBER, "dollars per 1.00 of rate"),
    Column("epsilon", Kind.NUMBER, "dollars per 1.00 of dividend yield"),
    Column("lambda", Kind.NUMBER, "ratio"),
)
_SECOND_ORDER = (
    Column("gamma", Kind.NUMBER, "delta per dollar of the underlying"),
    Column("vanna", Kind.NUMBER, "delta per 1.00 of volatility"),
    Column("charm", Kind.NUMBER, "delta per year"),
    Column("vomma", Kind.NUMBER, "vega per 1.00 of volatility"),
    Column("veta", Kind.NUMBER, "vega per year"),
)
_VERA = (Column("vera", Kind.NUMBER, "rho per 1.00 of volatility"),)
_THIRD_ORDER = (
    Column("speed", Kind.NUMBER, "gamma per dollar of the underlying"),
    Column("zomma", Kind.NUMBER, "gamma per 1.00 of volatility"),
    Column("color", Kind.NUMBER, "gamma per year"),
    Column("ultima", Kind.NUMBER, "vomma per 1.00 of volatility; the vendor clamps it to 100 either way"),
)
_DUALS = (
    Column("d1", Kind.NUMBER, "standard deviations"),
    Column("d2", Kind.NUMBER, "standard deviations"),
    Column("dual_delta", Kind.NUMBER, "dollars per dollar of strike"),
    Column("dual_gamma", Kind.NUMBER, "dual delta per dollar of strike"),
)
_IMPLIED = (
    Column("implied_vol", Kind.NUMBER, "per year, 1.00 = 100 %"),
    Column("iv_error", Kind.NUMBER, "model price / price used - 1", repeats=True),
)
_UNDERLYING = (
    Column("underlying_timestamp", Kind.TIME, "New York"),
    Column("underlying_price", Kind.NUMBER, "index points", 4),
)
_ALL_ORDERS = (*_FIRST_ORDER, *_SECOND_ORDER, *_VERA, *_THIRD_ORDER, *_DUALS)
_BAR = (
    Column("open", Kind.NUMBER, "dollars", 4),
    Column("high", Kind.NUMBER, "dollars", 4),
    Column("low", Kind.NUMBER, "dollars", 4),
    Column("close", Kind.NUMBER, "dollars", 4),
    Column("volume", Kind.INTEGER, "contracts"),
    Column("count", Kind.INTEGER, "trades"),
)
_TRADED = (
    Column("sequence", Kind.INTEGER, "exchange's number of the message, signed: negative is normal"),
    Column("ext_condition1", Kind.INTEGER, "not used for options"),
    Column("ext_condition2", Kind.INTEGER, "not used for options"),
    Column("ext_condition3", Kind.INTEGER, "not used for options"),
    Column("ext_condition4", Kind.INTEGER, "not used for options"),
    Column("condition", Kind.INTEGER, "vendor's trade condition"),
    Column("size", Kind.INTEGER, "contracts"),
    Column("exchange", Kind.INTEGER, "vendor's exchange code"),
    Column("price", Kind.NUMBER, "dollars", 4),
)

# What is sent with a request, each name once; the clients know how each is written.
_CHAIN = ("expiration", "strike", "right", "date")
_CHAIN_RANGE = ("expiration", "strike", "right", "start_date", "end_date")
_HOURS = ("start_time", "end_time")
_MODEL = ("version", "rate_type")
_V2_CHAIN = ("exp", "start_date", "end_date")
#: Columns of v2's trades that v3 dropped.
_V2_TRADE = ("condition_flags", "price_flags", "volume_type", "records_back")

# First days the vendor has, as measured by its users.
_QUOTES_SINCE = date(2012, 6, 1)
_GREEKS_SINCE = date(2017, 1, 3)


def _greeks(name: str, what: str, path: str, v2_name: str, columns: tuple[Column, ...], tier: str) -> Dataset:
    """Return the entry of one order of greeks by the minute; they differ in little."""
    return Dataset(
        name=name,
        what=what,
        columns=(*_OPTION, _TIMESTAMP, *columns, *_UNDERLYING),
        path=f"/option/history/greeks/{path}",
        parameters=(*_CHAIN, *_HOURS, "interval", *_MODEL),
        v2=V2(
            f"/bulk_hist/option/{v2_name}",
            f"/hist/option/{v2_name}",
            (*_V2_CHAIN, *_HOURS, "ivl", "rth", "rate"),
            tier,
        ),
        tier=tier,
        since=_GREEKS_SINCE,
        intervals=_INTERVALS,
    )


_ENTRIES = (
    _greeks(
        "greeks",
        "first-order greeks",
        "first_order",
        "greeks",
        (*_BID_ASK, *_FIRST_ORDER, *_IMPLIED),
        "standard",
    ),
    Dataset(
        name="quote",
        what="best bid and offer",
        columns=(*_OPTION, _TIMESTAMP, *_QUOTED),
        path="/option/history/quote",
        parameters=(*_CHAIN, *_HOURS, "interval"),
        v2=V2("/bulk_hist/option/quote", "/hist/option/quote", (*_V2_CHAIN, *_HOURS, "ivl"), "value"),
        tier="value",
        since=_QUOTES_SINCE,
        intervals=_INTERVALS,
        required_to="close",
    ),
    Dataset(
        name="trade",
        what="every trade",
        columns=(*_OPTION, _TIMESTAMP, *_TRADED),
        path="/option/history/trade",
        parameters=(*_CHAIN, *_HOURS),
        v2=V2(
            "/bulk_hist/option/trade",
            "/hist/option/trade",
            (*_V2_CHAIN, *_HOURS),
            "standard",
            extra=_V2_TRADE,
        ),
        tier="standard",
        since=_QUOTES_SINCE,
        rows=Rows.TICKS,
        intervals=(TICK,),
        contract_list="trade",
    ),
    Dataset(
        name="trade_quote",
        what="every trade with the last quote before it",
        columns=(
            *_OPTION,
            Column("trade_timestamp", Kind.TIME, "New York"),
            Column("quote_timestamp", Kind.TIME, "New York"),
            *_TRADED,
            *_QUOTED,
        ),
        path="/option/history/trade_quote",
        parameters=(*_CHAIN, *_HOURS, "exclusive"),
        v2=V2(
            "/bulk_hist/option/trade_quote",
            "/hist/option/trade_quote",
            (*_V2_CHAIN, *_HOURS, "exclusive"),
            "standard",
            extra=_V2_TRADE,
        ),
        tier="standard",
        since=_QUOTES_SINCE,
        rows=Rows.TICKS,
        time=("trade_timestamp",),
        dated="trade_timestamp",
        intervals=(TICK,),
        contract_list="trade",
    ),
    Dataset(
        name="ohlc",
        what="trade bars, stamped with their opening; all zero where nothing traded",
        columns=(*_OPTION, _TIMESTAMP, *_BAR, Column("vwap", Kind.NUMBER, "dollars")),
        path="/option/history/ohlc",
        parameters=(*_CHAIN, *_HOURS, "interval"),
        v2=V2(
            "/bulk_hist/option/ohlc",
            "/hist/option/ohlc",
            (*_V2_CHAIN, *_HOURS, "ivl"),
            "value",
            lacks=("vwap",),
        ),
        tier="value",
        since=_QUOTES_SINCE,
        intervals=tuple(interval for interval in _INTERVALS if interval != TICK),
    ),
    Dataset(
        name="open_interest",
        what="open interest, stamped 06:30 but of the evening before",
        columns=(*_OPTION, _TIMESTAMP, Column("open_interest", Kind.INTEGER, "contracts")),
        path="/option/history/open_interest",
        parameters=_CHAIN,
        v2=V2("/bulk_hist/option/open_interest", "/hist/option/open_interest", _V2_CHAIN, "standard"),
        tier="value",
        since=_QUOTES_SINCE,
        rows=Rows.DAILY,
        series=("expiration", "strike", "right"),
        intervals=(DAY,),
        publication="open_interest",
        unit_of="day",
        absent="note",
    ),
    Dataset(
        name="eod",
        what="the day's bar and last quote; a report that came twice is there twice",
        columns=(
            *_OPTION,
            Column("created", Kind.TIME, "New York"),
            Column("last_trade", Kind.TIME, "New York; midnight without a trade"),
            *_BAR,
            *_QUOTED,
        ),
        path="/option/history/eod",
        parameters=_CHAIN_RANGE,
        v2=V2("/bulk_hist/option/eod", "/hist/option/eod", _V2_CHAIN, "value"),
        tier="free",
        since=_QUOTES_SINCE,
        rows=Rows.DAILY,
        series=("expiration", "strike", "right"),
        time=("created",),
        dated="last_trade",
        intervals=(DAY,),
        publication="eod",
        unit_of="day",
    ),
    Dataset(
        name="greeks_eod",
        what="all greeks at the close",
        columns=(*_OPTION, _TIMESTAMP, *_BAR, *_QUOTED, *_ALL_ORDERS, *_IMPLIED, *_UNDERLYING),
        path="/option/history/greeks/eod",
        parameters=(*_CHAIN_RANGE, *_MODEL, "underlyer_use_nbbo"),
        v2=V2(
            "/bulk_hist/option/eod_greeks",
            None,
            (*_V2_CHAIN, "rate"),
            "standard",
            lacks=("dual_delta", "dual_gamma"),
        ),
        tier="standard",
        since=_GREEKS_SINCE,
        rows=Rows.DAILY,
        series=("expiration", "strike", "right"),
        time=("underlying_timestamp", "timestamp"),
        intervals=(DAY,),
        publication="eod",
        unit_of="day",
    ),
    Dataset(
        name="implied_volatility",
        what="implied volatility at bid, mid and ask",
        columns=(
            *_OPTION,
            _TIMESTAMP,
            Column("bid", Kind.NUMBER, "dollars", 2),
            Column("bid_implied_vol", Kind.NUMBER, "per year, 1.00 = 100 %"),
            Column("midpoint", Kind.NUMBER, "dollars", 4),
            Column("implied_vol", Kind.NUMBER, "per year, 1.00 = 100 %"),
            Column("ask", Kind.NUMBER, "dollars", 2),
            Column("ask_implied_vol", Kind.NUMBER, "per year, 1.00 = 100 %"),
            Column("iv_error", Kind.NUMBER, "model price / price used - 1", repeats=True),
            *_UNDERLYING,
        ),
        path="/option/history/greeks/implied_volatility",
        parameters=(*_CHAIN, *_HOURS, "interval", *_MODEL),
        v2=V2(
            None,
            "/hist/option/implied_volatility",
            (*_V2_CHAIN, *_HOURS, "ivl", "rth", "rate"),
            "standard",
        ),
        tier="standard",
        since=_GREEKS_SINCE,
        intervals=_INTERVALS,
    ),
    _greeks(
        "greeks_second_order",
        "second-order greeks",
        "second_order",
        "greeks_second_order",
        (*_BID_ASK, *_SECOND_ORDER, *_IMPLIED),
        "professional",
    ),
    _greeks(
        "greeks_third_order",
        "third-order greeks",
        "third_order",
        "greeks_third_order",
        (*_BID_ASK, *_THIRD_ORDER, *_IMPLIED),
        "professional",
    ),
    _greeks(
        "greeks_all",
        "greeks of all orders",
        "all",
        "all_greeks",
        (*_BID_ASK, *_ALL_ORDERS, *_IMPLIED),
        "professional",
    ),
    Dataset(
        name="index_price",
        what="the index itself; needs an index subscription",
        columns=(_TIMESTAMP, Column("price", Kind.NUMBER, "index points", 4)),
        path="/index/history/price",
        parameters=("date", *_HOURS, "interval"),
        v2=V2("/hist/index/price", None, ("start_date", "end_date", *_HOURS, "ivl", "rth"), "value"),
        tier="value",
        since=date(2017, 1, 3),
        series=(),
        intervals=_INTERVALS,
        contract_list=None,
        unit_of="day",
        subject=Subject.INDEX,
    ),
    Dataset(
        name="interest_rate",
        what="SOFR, which the vendor's greeks use",
        columns=(Column("created", Kind.DATE, "day"), Column("rate", Kind.NUMBER, "percent")),
        path="/interest_rate/history/eod",
        parameters=("start_date", "end_date"),
        v2=None,
        tier="free",
        since=date(2018, 4, 3),
        rows=Rows.DAILY,
        series=(),
        time=("created",),
        dated="created",
        intervals=(DAY,),
        publication="rate",
        contract_list=None,
        unit_of="day",
        subject=Subject.RATE,
    ),
)

#: Every dataset by its name.
DATASETS: Final[Mapping[str, Dataset]] = {entry.name: entry for entry in _ENTRIES}

#: The default dataset: its files carry the brief's name, without the dataset in it.
DEFAULT_DATASET: Final = "greeks"

#: Columns that we add to the vendor's, in every file: the first and the last one.
TRADE_DATE: Final = Column("trade_date", Kind.DATE, "New York trading day")
FLAGS: Final = Column("flags", Kind.INTEGER, "bits of spxdata.flags")

#: The generations of the Terminal, the newest first.
DIALECTS: Final = ("v3", "v2")

#: How v3 writes each kind of column; a right is a word there.
_V3_FORMS: Final[Mapping[Kind, Form]] = {
    Kind.TEXT: Form.TEXT,
    Kind.DATE: Form.ISO_DAY,
    Kind.TIME: Form.ISO_TIME,
    Kind.INTEGER: Form.INTEGER,
    Kind.NUMBER: Form.NUMBER,
}
#: What v2 writes differently, by canonical name.
_V2_COLUMNS: Final[Mapping[str, tuple[str, Form]]] = {
    "symbol": ("root", Form.TEXT),
    "expiration": ("expiration", Form.COMPACT_DAY),
    "strike": ("strike", Form.TENTH_CENTS),
    "right": ("right", Form.RIGHT_LETTER),
}
#: What v2 calls the first and the second time of a row; its column `date`, the last one, is the day of both.
_V2_TIMES: Final = ("ms_of_day", "ms_of_day2")
V2_DATE: Final = WireColumn("date", Form.COMPACT_DAY, None)


@cache
def wire(of: Dataset, dialect: str) -> Wire:
    """Return how a dialect asks for and sends a dataset.

    Raises:
        NotInDialect: The dialect does not have it.

    Example:
        >>> wire(DATASETS["quote"], "v2").names[:5]
        ('root', 'expiration', 'strike', 'right', 'ms_of_day')
    """
    if dialect == "v3":
        forms = {"right": Form.RIGHT_WORD}
        columns = [WireColumn(c.name, forms.get(c.name, _V3_FORMS[c.kind]), c.name) for c in of.columns]
        return Wire(dialect, of.path, of.path, of.parameters, tuple(columns))
    if of.v2 is None:
        raise NotInDialect(f"A {dialect} Terminal does not have {of.name}.")
    times = dict(zip(of.of(Kind.TIME), _V2_TIMES, strict=False))
    columns = [
        WireColumn(times[column.name], Form.MS_OF_DAY, column.name)
        if column.name in times
        else WireColumn(*_V2_COLUMNS.get(column.name, (column.name, _V3_FORMS[column.kind])), column.name)
        for column in of.columns
        if column.name not in of.v2.lacks
    ]
    extra = (WireColumn(name, Form.TEXT, None) for name in of.v2.extra)
    return Wire(dialect, of.v2.path, of.v2.single, of.v2.parameters, (*columns, *extra, V2_DATE), unnamed=True)


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
