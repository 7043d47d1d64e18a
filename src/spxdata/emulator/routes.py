"""The paths the emulated Terminal knows, each with its tier, its columns and what answers it: one entry a dataset."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from spxdata.emulator import drop, greeks, wire
from spxdata.emulator.hours import OPEN
from spxdata.emulator.rates import rate
from spxdata.emulator.request import NO_DATA, NO_STAR, Query, Refusal, history_query, needed, read_day, read_max_dte
from spxdata.emulator.rows import Contract, Market, Rows

TIERS = ("free", "value", "standard", "professional")

_CONTRACT = ("symbol", "expiration", "strike", "right")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every answer is made from.

    Attributes:
        market: Where quotes come from.
        rules: Rows to leave out.
        style: How lines are written.
    """

    market: Market
    rules: Sequence[drop.DropRule]
    style: wire.Style


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of status 200.

    Attributes:
        content_type: As the header says.
        pieces: The body.
        streamed: Whether it goes out chunked, its length unknown.
    """

    content_type: str
    pieces: Iterable[bytes]
    streamed: bool


Answer = Callable[[Desk, Mapping[str, str]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    Attributes:
        tier: Lowest subscription that may ask.
        columns: Header of the reply; none for plain text.
        answer: Makes the lines below the header.
        streamed: Whether the reply is chunked.
    """

    tier: str
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


def respond(desk: Desk, tier: str, path: str, parameters: Mapping[str, str]) -> Reply:
    """Answer a request.

    Raises:
        Refusal: The answer is not a 200.
    """
    route = ROUTES.get(path)
    if route is None:
        raise Refusal(404, "Not Found")
    if TIERS.index(tier) < TIERS.index(route.tier):
        raise Refusal(
            403,
            f"Requesting an option endpoint requiring a {route.tier} subscription, "
            f"but you only have a {tier.upper()} subscription.",
        )
    pieces = route.answer(desk, parameters)
    if not route.columns:
        return Reply("text/plain", pieces, streamed=False)
    return Reply("text/csv", _headed(wire.header(route.columns, desk.style), pieces), streamed=route.streamed)


def _headed(header: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield header
    yield from pieces


def _status(_desk: Desk, _parameters: Mapping[str, str]) -> Iterable[bytes]:
    return [b"CONNECTED"]


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
        for expiration in _within(desk.market.live(root, day), day, max_dte)
        for contract in desk.market.contracts(root, day, expiration)
    ]
    return [_some(found, desk)]


def _asked_roots(desk: Desk, text: str) -> list[str]:
    return desk.market.roots() if text == "*" else [root.strip().upper() for root in text.split(",")]


def _within(expirations: list[date], day: date, max_dte: int | None) -> list[date]:
    return [item for item in expirations if max_dte is None or (item - day).days <= max_dte]


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
        wanted = _wanted(desk.market, query)
        if not wanted or (dataset.needs_index and not desk.market.has_index(query.root, query.day)):
            raise Refusal(472, NO_DATA)
        return _history_lines(desk, dataset, query, wanted)

    return answer


def _wanted(market: Market, query: Query) -> list[tuple[date, list[Contract]]]:
    """Give the expirations and contracts asked for that have rows."""
    live = market.live(query.root, query.day)
    if query.expiration is not None:
        live = [query.expiration] if query.expiration in live else []
    found = []
    for expiration in _within(live, query.day, query.max_dte):
        contracts = [
            contract
            for contract in market.contracts(query.root, query.day, expiration)
            if query.strike in (None, contract.strike) and query.right in (None, contract.right)
        ]
        if contracts:
            found.append((expiration, contracts))
    return found


def _history_lines(
    desk: Desk, dataset: Dataset, query: Query, wanted: list[tuple[date, list[Contract]]]
) -> Iterator[bytes]:
    offset = 0
    for expiration, contracts in wanted:
        rules = [r for r in desk.rules if r.concerns(dataset.name, query.root, query.day, expiration)]
        for block in desk.market.quotes(query.root, query.day, expiration, contracts):
            rows = block.pick(
                (block.minute >= query.first) & (block.minute <= query.last) & ((block.minute - OPEN) % query.step == 0)
            )
            if dataset.needs_index:
                rows = rows.pick(~np.isnan(rows.spot))
            offset_after = offset + len(rows)
            rows = drop.kept(rows, rules, offset)
            offset = offset_after
            if len(rows):
                columns = dataset.make(rows, query, expiration)
                yield wire.table(rows, columns, root=query.root, day=query.day, expiration=expiration, style=desk.style)


#: The one exchange and condition recorded SPX quotes show: Cboe, firm.
_EXCHANGE, _CONDITION = 5, 50


def _quote_columns(rows: Rows, _query: Query, _expiration: date) -> dict[str, pl.Series]:
    length = len(rows)
    exchange = pl.repeat(_EXCHANGE, length, eager=True)
    condition = pl.repeat(_CONDITION, length, eager=True)
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
    strike = np.array([contract.strike / 1000.0 for contract in rows.contracts])
    call = np.array([contract.right == "C" for contract in rows.contracts])
    terms = greeks.Terms(
        spot=rows.spot,
        strike=strike[rows.which],
        call=call[rows.which],
        t=greeks.years_to_expiration(query.day, expiration, rows.minute, query.version),
        rate=rate(query.day, query.rate_type),
    )
    computed = greeks.columns(terms, greeks.cut_mid(rows.bid, rows.ask), rows.deviation)
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
    return Route(tier, (*_CONTRACT, "timestamp", *dataset.columns), _history(dataset), streamed=True)


#: Every path, without the /v3 before it.
ROUTES = {
    "/terminal/mdds/status": Route("free", (), _status),
    "/terminal/fpss/status": Route("free", (), _status),
    "/option/list/symbols": Route("free", ("symbol",), _symbols),
    "/option/list/expirations": Route("free", ("symbol", "expiration"), _expirations),
    "/option/list/strikes": Route("free", ("symbol", "strike"), _strikes),
    "/option/list/contracts/quote": Route("value", _CONTRACT, _contracts),
    "/option/list/contracts/trade": Route("value", _CONTRACT, _contracts),
    "/option/history/quote": _history_route("value", _QUOTE),
    "/option/history/greeks/first_order": _history_route("standard", _GREEKS),
}
