"""Every kind of history rows: one entry each, with its columns, what may be asked, and how its values are made.

A dialect writes these values under its own names and in its own form; it computes none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Protocol, TypeVar

import numpy as np

from spxdata.emulator import bars, greeks, hours, rates, ticking
from spxdata.emulator.hours import OPEN
from spxdata.emulator.query import Query
from spxdata.emulator.rows import MS_A_MINUTE, Block, Column, Contract, Floats, Ints, Market, Placed, Rows, Tape, Trades

#: The one exchange and condition recorded SPX quotes show: Cboe, firm.
EXCHANGE, CONDITION = 5, 50
#: What options have for an extended condition of a trade: none.
NO_CONDITION = 255

_Rows = TypeVar("_Rows", bound=Placed)


class Form(Enum):
    """How the values of a column are printed; v2 has four decimals for all prices and greeks."""

    COUNT = "whole numbers"
    CENTS = "dollars with two decimals"
    BARE = "dollars with two decimals, but a nothing as 0.0"
    FINE = "numbers with four decimals"
    TIME = "milliseconds since midnight"
    DAY = "days, counted as Python does"


class Subject(Enum):
    """What rows are about: each is a subscription of its own."""

    OPTION = "option"
    INDEX = "index"
    RATE = "interest rate"


class Timing(Enum):
    """Which part of a day may be asked for."""

    STEPS = "rows at an interval or every tick, between two times"
    BARS = "rows at an interval, between two times"
    TICKS = "every tick between two times"
    DAY = "the one row of a day"
    REPORT = "the row of a report, by its first and last day"


class Keep(Protocol):
    """Leaves out what the rules of the emulator leave out."""

    def __call__(self, rows: _Rows, day: date, expiration: date | None) -> _Rows:
        """Give the rows that stay."""
        ...


Columns = dict[str, Column]
#: Makes the rows of one expiration, or those that belong to none.
Make = Callable[[Market, Query, date, Sequence[Contract], Keep], Iterator[Block]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A kind of history rows.

    Attributes:
        name: What drop rules and faults call it.
        tier: Lowest subscription that may ask for a chain.
        columns: How each column after the contract is printed, by v3's names and in v3's order.
        make: Computes the values.
        timing: Which part of a day may be asked for.
        every_expiration: Whether all expirations may be asked for at once.
        needs_index: Whether rows need the index.
        subject: What rows are about.
    """

    name: str
    tier: str
    columns: Mapping[str, Form]
    make: Make
    timing: Timing
    every_expiration: bool = False
    needs_index: bool = False
    subject: Subject = Subject.OPTION

    @property
    def opens_late(self) -> bool:
        """Tell whether a Terminal may leave out the row of 09:30, when there is no quote to compute from."""
        return self.needs_index and self.timing is Timing.STEPS


def _quoted(market: Market, query: Query, expiration: date, contracts: Sequence[Contract]) -> Iterator[Rows]:
    """Give the quotes at the times asked for."""
    if query.step and query.step % MS_A_MINUTE == 0:
        found = market.quotes(query.root, query.day, expiration, contracts)
    else:
        found = market.ticks(query.root, query.day, expiration, contracts, query.step)
    for rows in found:
        keep = (rows.time >= query.first) & (rows.time <= query.last)
        if query.step > MS_A_MINUTE:
            keep &= (rows.time - OPEN * MS_A_MINUTE) % query.step == 0
        yield rows.pick(keep)


def _quote(
    market: Market, query: Query, expiration: date, contracts: Sequence[Contract], keep: Keep
) -> Iterator[Block]:
    for found in _quoted(market, query, expiration, contracts):
        rows = keep(found, query.day, expiration)
        yield Block(rows.contracts, rows.which, rows.time, {"timestamp": rows.time, **_quote_columns(rows)})


def _quote_columns(rows: Rows) -> Columns:
    exchange = np.full(len(rows), EXCHANGE, dtype=np.int32)
    condition = np.full(len(rows), CONDITION, dtype=np.int32)
    return {
        "bid_size": rows.bid_size,
        "bid_exchange": exchange,
        "bid": rows.bid / 100.0,
        "bid_condition": condition,
        "ask_size": rows.ask_size,
        "ask_exchange": exchange,
        "ask": rows.ask / 100.0,
        "ask_condition": condition,
    }


def _greeks(compute: Callable[[Rows, greeks.Terms], Columns]) -> Make:
    """Give what makes greeks at the times of quotes."""

    def make(
        market: Market, query: Query, expiration: date, contracts: Sequence[Contract], keep: Keep
    ) -> Iterator[Block]:
        for found in _quoted(market, query, expiration, contracts):
            rows = keep(found.pick(~np.isnan(found.spot)), query.day, expiration)
            columns = {
                "timestamp": rows.time,
                "bid": rows.bid / 100.0,
                "ask": rows.ask / 100.0,
                **compute(rows, _terms(rows, rows.spot, query, expiration)),
                "underlying_timestamp": rows.time,
                "underlying_price": rows.spot,
            }
            yield Block(rows.contracts, rows.which, rows.time, columns)

    return make


def _terms(rows: Placed, spot: Floats, query: Query, expiration: date) -> greeks.Terms:
    strike = np.array([contract.strike / 1000.0 for contract in rows.contracts])
    call = np.array([contract.right == "C" for contract in rows.contracts])
    return greeks.Terms(
        spot=spot,
        strike=strike[rows.which],
        call=call[rows.which],
        t=greeks.years_to_expiration(query.day, expiration, rows.minute, query.version),
        rate=rates.rate(query.day, query.rate_type),
    )


def _first_order(rows: Rows, terms: greeks.Terms) -> Columns:
    computed = greeks.columns(terms, greeks.cut_mid(rows.bid, rows.ask), rows.deviation)
    return {
        "delta": computed.delta,
        "theta": computed.theta,
        "vega": computed.vega,
        "rho": computed.rho,
        "epsilon": computed.epsilon,
        "lambda": computed.lambda_,
        "implied_vol": computed.implied_vol,
        "iv_error": computed.iv_error,
    }


def _all_orders(rows: Rows, terms: greeks.Terms) -> Columns:
    return {**greeks.all_greeks(terms, greeks.cut_mid(rows.bid, rows.ask), rows.deviation)}


def _volatilities(rows: Rows, terms: greeks.Terms) -> Columns:
    mid = greeks.cut_mid(rows.bid, rows.ask)
    found = greeks.implied_volatilities(terms, rows.bid / 100.0, mid, rows.ask / 100.0, rows.deviation)
    return {"midpoint": mid, **found}


def _traded(market: Market, query: Query, expiration: date, contracts: Sequence[Contract]) -> Iterator[Tape]:
    """Give the tapes of the contracts that trade: the others need not be made."""
    traded = frozenset(market.traded(query.root, query.day, expiration))
    return market.tapes(query.root, query.day, expiration, [item for item in contracts if item in traded])


def _within(trades: Trades, query: Query) -> Trades:
    return trades.pick((trades.time >= query.first) & (trades.time <= query.last))


def _trade(
    market: Market, query: Query, expiration: date, contracts: Sequence[Contract], keep: Keep
) -> Iterator[Block]:
    for tape in _traded(market, query, expiration, contracts):
        rows = keep(_within(tape.trades, query), query.day, expiration)
        yield Block(rows.contracts, rows.which, rows.time, {"timestamp": rows.time, **_trade_columns(rows)})


def _trade_columns(rows: Trades) -> Columns:
    none = np.full(len(rows), NO_CONDITION, dtype=np.int32)
    return {
        "sequence": rows.sequence,
        **{f"ext_condition{i}": none for i in range(1, 5)},
        "condition": rows.condition,
        "size": rows.size,
        "exchange": rows.exchange,
        "price": rows.price / 100.0,
    }


def _trade_quote(
    market: Market, query: Query, expiration: date, contracts: Sequence[Contract], keep: Keep
) -> Iterator[Block]:
    for tape in _traded(market, query, expiration, contracts):
        rows = keep(_within(tape.trades, query), query.day, expiration)
        quotes = tape.ticks.pick(ticking.in_force(tape.ticks, rows.which, rows.time, exclusive=query.exclusive))
        columns = {
            "trade_timestamp": rows.time,
            "quote_timestamp": quotes.time,
            **_trade_columns(rows),
            **_quote_columns(quotes),
        }
        yield Block(rows.contracts, rows.which, rows.time, columns)


def _ohlc(market: Market, query: Query, expiration: date, contracts: Sequence[Contract], keep: Keep) -> Iterator[Block]:
    begin = OPEN * MS_A_MINUTE
    for tape in market.tapes(query.root, query.day, expiration, contracts):
        stamps = np.arange(begin, int(tape.quotes.time[-1]) + 1, query.step, dtype=np.int32)
        many = len(tape.asked)
        position = np.searchsorted(tape.asked, tape.trades.which).astype(np.int32)
        place = position * len(stamps) + (tape.trades.time - begin) // query.step
        made = bars.summed(tape.trades, place, many * len(stamps))
        time = np.tile(stamps, many)
        columns = {"timestamp": time, **_bar_columns(made), "vwap": bars.average(made, many)}
        rows = Block(tape.quotes.contracts, np.repeat(tape.asked, len(stamps)), time, columns)
        yield keep(rows.pick((time >= query.first) & (time <= query.last)), query.day, expiration)


def _bar_columns(made: bars.Bars) -> Columns:
    return {
        "open": made.open / 100.0,
        "high": made.high / 100.0,
        "low": made.low / 100.0,
        "close": made.close / 100.0,
        "volume": made.volume,
        "count": made.count,
    }


def _eod(market: Market, query: Query, expiration: date, contracts: Sequence[Contract], keep: Keep) -> Iterator[Block]:
    for tape in market.tapes(query.root, query.day, expiration, contracts):
        yield keep(_reports(tape), query.day, expiration)


def _reports(tape: Tape) -> Block:
    """Give the reports of the day: a contract's one after the other, if there are several."""
    many = len(tape.asked)
    minutes = tape.quotes.time.reshape(many, -1)
    place = np.searchsorted(tape.asked, tape.trades.which).astype(np.int32)
    made = bars.summed(tape.trades, place, many)
    closing = tape.quotes.pick(tape.quotes.time == minutes[0, -1])
    once: Columns = {"last_trade": made.time, **_bar_columns(made), **_quote_columns(closing)}
    times = len(tape.reported)
    created = np.tile(np.array(tape.reported, dtype=np.int32), many)
    contract = np.repeat(np.arange(many), times)
    columns: Columns = {"created": created, **{name: values[contract] for name, values in once.items()}}
    # An earlier report still has the offer of a minute before.
    earlier = created != tape.reported[-1]
    before = tape.quotes.ask_size.reshape(many, -1)[contract, -2]
    columns["ask_size"] = np.where(earlier, before, columns["ask_size"]).astype(np.int32)
    closed = np.full(len(created), minutes[0, -1], dtype=np.int32)
    return Block(tape.quotes.contracts, np.repeat(tape.asked, times), closed, columns)


def _greeks_eod(
    market: Market, query: Query, expiration: date, contracts: Sequence[Contract], keep: Keep
) -> Iterator[Block]:
    for tape in market.tapes(query.root, query.day, expiration, contracts):
        rows = keep(_reports(tape), query.day, expiration)
        spot = np.full(len(rows), tape.quotes.spot[-1])
        mid = greeks.cut_mid(_cents(rows.columns["bid"]), _cents(rows.columns["ask"]))
        report = {name: values for name, values in rows.columns.items() if name not in ("created", "last_trade")}
        columns = {
            "timestamp": rows.columns["last_trade"],
            **report,
            **greeks.all_greeks(_terms(rows, spot, query, expiration), mid),
            "underlying_timestamp": rows.columns["created"],
            "underlying_price": spot,
        }
        yield Block(rows.contracts, rows.which, rows.time, columns)


def _cents(dollars: Column) -> Ints:
    return np.rint(dollars * 100.0).astype(np.int32)


def _open_interest(
    market: Market, query: Query, expiration: date, _contracts: Sequence[Contract], keep: Keep
) -> Iterator[Block]:
    rows = market.open_interest(query.root, query.day, expiration)
    if rows is not None:
        # Not only what is quoted: recorded open interest knows more contracts than recorded quotes.
        asked = np.array([query.asks(contract) for contract in rows.contracts], dtype=np.bool_)
        yield keep(rows.pick(asked[rows.which]), query.day, expiration)


def _index_price(
    market: Market, query: Query, _expiration: date, _contracts: Sequence[Contract], keep: Keep
) -> Iterator[Block]:
    reports = market.index_reports(query.root, query.day)
    if reports is None:
        return
    time, price = reports.time, reports.price
    if query.step:
        grid = np.arange(OPEN * MS_A_MINUTE, reports.last + 1, query.step, dtype=np.int32)
        grid = grid[grid >= reports.first]
        place = np.searchsorted(time, grid, side="right") - 1
        time, price = grid, np.where(place < 0, 0.0, price[place])
    rows = Block((), np.zeros(len(time), dtype=np.int32), time, {"timestamp": time, "price": price})
    yield keep(rows.pick((time >= query.first) & (time <= query.last)), query.day, None)


def _interest_rate(
    _market: Market, query: Query, _expiration: date, _contracts: Sequence[Contract], keep: Keep
) -> Iterator[Block]:
    kind = query.root.lower()
    if kind not in rates.SPREADS:
        return
    for ahead in range((query.until - query.day).days + 1):
        day = query.day + timedelta(days=ahead)
        if hours.is_trading_day(day):
            nothing = np.zeros(1, dtype=np.int32)
            created = np.array([day.toordinal()], dtype=np.int32)
            columns = {"created": created, "rate": np.array([rates.percent(day, kind)])}
            yield keep(Block((), nothing, nothing, columns), day, None)


def _forms(form: Form, *names: str) -> dict[str, Form]:
    return dict.fromkeys(names, form)


_STAMP = _forms(Form.TIME, "timestamp")
_QUOTED = {
    **_forms(Form.COUNT, "bid_size", "bid_exchange"),
    **_forms(Form.CENTS, "bid"),
    **_forms(Form.COUNT, "bid_condition", "ask_size", "ask_exchange"),
    **_forms(Form.CENTS, "ask"),
    **_forms(Form.COUNT, "ask_condition"),
}
_TRADED = {
    **_forms(Form.COUNT, "sequence", *(f"ext_condition{i}" for i in range(1, 5)), "condition", "size", "exchange"),
    **_forms(Form.CENTS, "price"),
}
_SUMMED = {**_forms(Form.CENTS, "open", "high", "low", "close"), **_forms(Form.COUNT, "volume", "count")}
_FIRST = ("delta", "theta", "vega", "rho", "epsilon", "lambda")
_SECOND = ("gamma", "vanna", "charm", "vomma", "veta")
_THIRD = ("speed", "zomma", "color", "ultima")
_EVERY = (*_FIRST, *_SECOND, "vera", *_THIRD, "d1", "d2", "dual_delta", "dual_gamma")


def _greek_forms(price: Form, *names: str) -> dict[str, Form]:
    """Give the columns of a greeks reply; recorded ones print prices in two ways."""
    return {
        **_STAMP,
        **_forms(price, "bid", "ask"),
        **_forms(Form.FINE, *names, "implied_vol", "iv_error"),
        **_forms(Form.TIME, "underlying_timestamp"),
        **_forms(price, "underlying_price"),
    }


def _greek_set(name: str, tier: str, price: Form, names: Sequence[str], compute: Callable[..., Columns]) -> Dataset:
    forms = _greek_forms(price, *names)
    return Dataset(name, tier, forms, _greeks(compute), Timing.STEPS, needs_index=True)


_ENTRIES = (
    Dataset("quote", "value", {**_STAMP, **_QUOTED}, _quote, Timing.STEPS, every_expiration=True),
    Dataset("trade", "standard", {**_STAMP, **_TRADED}, _trade, Timing.TICKS, every_expiration=True),
    Dataset(
        "trade_quote",
        "standard",
        {**_forms(Form.TIME, "trade_timestamp", "quote_timestamp"), **_TRADED, **_QUOTED},
        _trade_quote,
        Timing.TICKS,
        every_expiration=True,
    ),
    Dataset(
        "ohlc",
        "value",
        {
            **_STAMP,
            **_forms(Form.BARE, "open", "high", "low", "close"),
            **_forms(Form.COUNT, "volume", "count"),
            **_forms(Form.BARE, "vwap"),
        },
        _ohlc,
        Timing.BARS,
    ),
    Dataset(
        "open_interest",
        "value",
        {**_STAMP, **_forms(Form.COUNT, "open_interest")},
        _open_interest,
        Timing.DAY,
        every_expiration=True,
    ),
    Dataset(
        "eod",
        "free",
        {**_forms(Form.TIME, "created", "last_trade"), **_SUMMED, **_QUOTED},
        _eod,
        Timing.REPORT,
        every_expiration=True,
    ),
    _greek_set("greeks", "standard", Form.FINE, _FIRST, _first_order),
    _greek_set("greeks_second_order", "professional", Form.CENTS, _SECOND, _all_orders),
    _greek_set("greeks_third_order", "professional", Form.CENTS, _THIRD, _all_orders),
    _greek_set("greeks_all", "professional", Form.CENTS, _EVERY, _all_orders),
    Dataset(
        "implied_volatility",
        "standard",
        {
            **_STAMP,
            **_forms(Form.CENTS, "bid"),
            **_forms(Form.FINE, "bid_implied_vol"),
            **_forms(Form.CENTS, "midpoint"),
            **_forms(Form.FINE, "implied_vol"),
            **_forms(Form.CENTS, "ask"),
            **_forms(Form.FINE, "ask_implied_vol", "iv_error"),
            **_forms(Form.TIME, "underlying_timestamp"),
            **_forms(Form.CENTS, "underlying_price"),
        },
        _greeks(_volatilities),
        Timing.STEPS,
        needs_index=True,
    ),
    Dataset(
        "greeks_eod",
        "standard",
        {
            **_STAMP,
            **_SUMMED,
            **_QUOTED,
            **_forms(Form.FINE, *_EVERY, "implied_vol", "iv_error"),
            **_forms(Form.TIME, "underlying_timestamp"),
            **_forms(Form.FINE, "underlying_price"),
        },
        _greeks_eod,
        Timing.REPORT,
        every_expiration=True,
        needs_index=True,
    ),
    Dataset(
        "index_price",
        "value",
        {**_STAMP, **_forms(Form.BARE, "price")},
        _index_price,
        Timing.STEPS,
        subject=Subject.INDEX,
    ),
    Dataset(
        "interest_rate",
        "free",
        {**_forms(Form.DAY, "created"), **_forms(Form.FINE, "rate")},
        _interest_rate,
        Timing.REPORT,
        subject=Subject.RATE,
    ),
)
#: Every dataset by its name.
DATASETS: Mapping[str, Dataset] = {entry.name: entry for entry in _ENTRIES}
#: What drop rules and faults call them.
NAMES = tuple(DATASETS)
