"""The paths the emulated v3 Terminal knows, each with its tier, its columns and its answer: one entry a dataset."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from spxdata.emulator import drop, history
from spxdata.emulator.history import Query
from spxdata.emulator.reply import Refusal
from spxdata.emulator.rows import Market, Rows
from spxdata.emulator.v3 import wire
from spxdata.emulator.v3.request import NO_DATA, NO_STAR, history_query, needed, read_day, read_max_dte

_CONTRACT = ("symbol", "expiration", "strike", "right")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every answer is made from.

    Attributes:
        market: Where quotes come from.
        rules: Rows to leave out.
        style: How lines are written.
        status: Tells how the Terminal stands with its servers.
    """

    market: Market
    rules: Sequence[drop.DropRule]
    style: wire.Style
    status: Callable[[], str]


Answer = Callable[[Desk, Mapping[str, str]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    Attributes:
        tier: Lowest subscription that may ask.
        name: What faults call its dataset.
        columns: Header of the reply; none for plain text.
        answer: Makes the lines below the header.
        streamed: Whether the reply is rows: chunked, and counted by the account's limit.
    """

    tier: str
    name: str
    columns: tuple[str, ...]
    answer: Answer
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """A kind of history rows.

    Attributes:
        name: What drop rules call it.
        columns: The columns after contract and timestamp.
        every_expiration: Whether `expiration=*` may be asked.
        needs_index: Whether rows need the index.
        make: Computes the columns of a block, ready to print.
    """

    name: str
    columns: tuple[str, ...]
    every_expiration: bool
    needs_index: bool
    make: Callable[[Rows, Query, date], dict[str, pl.Series]]


def _status(desk: Desk, _parameters: Mapping[str, str]) -> Iterable[bytes]:
    return [desk.status().encode()]


def _symbols(desk: Desk, _parameters: Mapping[str, str]) -> Iterable[bytes]:
    return [wire.lines(((desk.style.text(root),) for root in desk.market.roots()), desk.style)]


def _expirations(desk: Desk, parameters: Mapping[str, str]) -> Iterable[bytes]:
    found = [
        (desk.style.text(root), desk.style.text(day.isoformat()))
        for root in _asked_roots(desk, needed(parameters, "symbol"))
        for day in desk.market.expirations(root)
    ]
    return [_some(found, desk)]


def _strikes(desk: Desk, parameters: Mapping[str, str]) -> Iterable[bytes]:
    roots = _asked_roots(desk, needed(parameters, "symbol"))
    expiration = read_day(needed(parameters, "expiration"))
    found = [
        (desk.style.text(root), wire.strike_text(strike))
        for root in roots
        for strike in desk.market.strikes(root, expiration)
    ]
    return [_some(found, desk)]


def _contracts(desk: Desk, parameters: Mapping[str, str]) -> Iterable[bytes]:
    day = read_day(needed(parameters, "date"))
    max_dte = read_max_dte(parameters)
    found = [
        wire.contract_fields(root, expiration, contract, desk.style)
        for root in _asked_roots(desk, parameters.get("symbol", "*"))
        for expiration in history.within(desk.market.live(root, day), day, max_dte)
        for contract in desk.market.contracts(root, day, expiration)
    ]
    return [_some(found, desk)]


def _dates(desk: Desk, parameters: Mapping[str, str]) -> Iterable[bytes]:
    root = needed(parameters, "symbol").upper()
    expiration = read_day(needed(parameters, "expiration"))
    found = [(desk.style.text(day.isoformat()),) for day in desk.market.days(root, expiration)]
    return [_some(found, desk)]


def _asked_roots(desk: Desk, text: str) -> list[str]:
    return desk.market.roots() if text == "*" else [root.strip().upper() for root in text.split(",")]


def _some(found: Sequence[tuple[str, ...]], desk: Desk) -> bytes:
    if not found:
        raise Refusal(472, NO_DATA)
    return wire.lines(found, desk.style)


def _history(dataset: Dataset) -> Answer:
    """Give what answers the history path of a dataset."""

    def answer(desk: Desk, parameters: Mapping[str, str]) -> Iterable[bytes]:
        if parameters.get("expiration") == "*" and not dataset.every_expiration:
            raise Refusal(400, NO_STAR)
        query = history_query(parameters)
        chosen = history.wanted(desk.market, query)
        if not chosen or (dataset.needs_index and not desk.market.has_index(query.root, query.day)):
            raise Refusal(472, NO_DATA)
        return _history_lines(desk, dataset, query, chosen)

    return answer


def _history_lines(desk: Desk, dataset: Dataset, query: Query, chosen: history.Wanted) -> Iterator[bytes]:
    found = history.blocks(
        desk.market, desk.rules, query, chosen, dataset=dataset.name, needs_index=dataset.needs_index
    )
    for expiration, rows in found:
        columns = dataset.make(rows, query, expiration)
        yield wire.table(rows, columns, root=query.root, day=query.day, expiration=expiration, style=desk.style)


def _quote_columns(rows: Rows, _query: Query, _expiration: date) -> dict[str, pl.Series]:
    length = len(rows)
    exchange = pl.repeat(history.EXCHANGE, length, eager=True)
    condition = pl.repeat(history.CONDITION, length, eager=True)
    return {
        "bid_size": pl.Series(rows.bid_size),
        "bid_exchange": exchange,
        "bid": wire.fixed(rows.bid / 100.0, 2),
        "bid_condition": condition,
        "ask_size": pl.Series(rows.ask_size),
        "ask_exchange": exchange,
        "ask": wire.fixed(rows.ask / 100.0, 2),
        "ask_condition": condition,
    }


def _greek_columns(rows: Rows, query: Query, expiration: date) -> dict[str, pl.Series]:
    computed = history.first_order(rows, query, expiration)
    return {
        "bid": wire.fixed(rows.bid / 100.0, 4),
        "ask": wire.fixed(rows.ask / 100.0, 4),
        "delta": wire.fixed(computed.delta, 4),
        "theta": wire.fixed(computed.theta, 4),
        "vega": wire.fixed(computed.vega, 4),
        "rho": wire.fixed(computed.rho, 4),
        "epsilon": wire.fixed(computed.epsilon, 4),
        "lambda": wire.fixed(computed.lambda_, 4),
        "implied_vol": wire.fixed(computed.implied_vol, 4),
        "iv_error": wire.fixed(computed.iv_error, 4),
        "underlying_timestamp": wire.timestamps(query.day, rows.minute),
        "underlying_price": wire.fixed(rows.spot, 4),
    }


_QUOTE = Dataset(
    name="quote",
    columns=(
        "bid_size",
        "bid_exchange",
        "bid",
        "bid_condition",
        "ask_size",
        "ask_exchange",
        "ask",
        "ask_condition",
    ),
    every_expiration=True,
    needs_index=False,
    make=_quote_columns,
)
_GREEKS = Dataset(
    name="greeks",
    columns=(
        "bid",
        "ask",
        "delta",
        "theta",
        "vega",
        "rho",
        "epsilon",
        "lambda",
        "implied_vol",
        "iv_error",
        "underlying_timestamp",
        "underlying_price",
    ),
    every_expiration=False,
    needs_index=True,
    make=_greek_columns,
)


def _history_route(tier: str, dataset: Dataset) -> Route:
    return Route(tier, dataset.name, (*_CONTRACT, "timestamp", *dataset.columns), _history(dataset), streamed=True)


#: Every path, without the /v3 before it.
ROUTES = {
    "/terminal/mdds/status": Route("free", "status", (), _status),
    "/terminal/fpss/status": Route("free", "status", (), _status),
    "/option/list/symbols": Route("free", "symbols", ("symbol",), _symbols),
    "/option/list/expirations": Route("free", "expirations", ("symbol", "expiration"), _expirations),
    "/option/list/strikes": Route("free", "strikes", ("symbol", "strike"), _strikes),
    "/option/list/dates/quote": Route("free", "dates", ("date",), _dates),
    "/option/list/dates/trade": Route("free", "dates", ("date",), _dates),
    "/option/list/contracts/quote": Route("value", "contracts", _CONTRACT, _contracts),
    "/option/list/contracts/trade": Route("value", "contracts", _CONTRACT, _contracts),
    "/option/history/quote": _history_route("value", _QUOTE),
    "/option/history/greeks/first_order": _history_route("standard", _GREEKS),
}
