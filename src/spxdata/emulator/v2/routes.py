"""The paths the emulated v2 Terminal knows, each with its tier and its answer: one entry a dataset."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from spxdata.emulator import drop, history
from spxdata.emulator.expirations import BOGUS
from spxdata.emulator.history import Query
from spxdata.emulator.hours import OPEN
from spxdata.emulator.reply import Refusal
from spxdata.emulator.rows import Market, Rows
from spxdata.emulator.v2 import wire
from spxdata.emulator.v2.request import INVALID, history_query, needed, needed_day, read_flag
from spxdata.emulator.v2.wire import Shape

NO_LIST_DATA = "No data for contract"
NO_BULK_DATA = "No data for the specified timeframe and chain. Debug code 1"
NO_SINGLE_DATA = "No data for the specified timeframe & contract."


@dataclass(frozen=True, slots=True)
class Desk:
    """What every answer is made from.

    Attributes:
        market: Where quotes come from.
        rules: Rows to leave out.
        opening_greeks: Whether greeks have a row at 09:30.
    """

    market: Market
    rules: Sequence[drop.DropRule]
    opening_greeks: bool


Parameters = Mapping[str, str]
Answer = Callable[[Desk, Parameters], Iterator[pl.DataFrame]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    Attributes:
        tier: Lowest subscription that may ask.
        name: What faults call its dataset.
        answer: Makes the rows.
        shape: How JSON holds them.
        file: How the name of a CSV attachment begins.
        counted: Whether it takes one of the account's places.
    """

    tier: str
    name: str
    answer: Answer
    file: str
    shape: Shape = Shape.FLAT
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """A kind of history rows.

    Attributes:
        name: What drop rules and faults call it.
        every_expiration: Whether `exp=0` may be asked.
        needs_index: Whether rows need the index.
        make: Computes the columns between time and date, ready to print; `pretty` says how times are written.
    """

    name: str
    every_expiration: bool
    needs_index: bool
    make: Callable[[Rows, Query, date, bool], dict[str, pl.Series]]


def _roots(desk: Desk, _parameters: Parameters) -> Iterator[pl.DataFrame]:
    yield pl.DataFrame({"root": desk.market.roots()})


def _expirations(desk: Desk, parameters: Parameters) -> Iterator[pl.DataFrame]:
    days = desk.market.expirations(needed(parameters, "root").upper())
    # The date that never was is a 0 here, as seen in the real list.
    yield _some("date", [0 if day == BOGUS else wire.day_int(day) for day in days])


def _strikes(desk: Desk, parameters: Parameters) -> Iterator[pl.DataFrame]:
    root = needed(parameters, "root").upper()
    yield _some("strike", desk.market.strikes(root, needed_day(parameters, "exp")))


def _dates(desk: Desk, parameters: Parameters) -> Iterator[pl.DataFrame]:
    root = needed(parameters, "root").upper()
    expiration = needed_day(parameters, "exp") if "exp" in parameters else None
    yield _some("date", [wire.day_int(day) for day in desk.market.days(root, expiration)])


def _contracts(desk: Desk, parameters: Parameters) -> Iterator[pl.DataFrame]:
    day = needed_day(parameters, "start_date")
    asked = parameters.get("root")
    roots = [root.strip().upper() for root in asked.split(",")] if asked else desk.market.roots()
    found = [
        (root, expiration, contract)
        for root in roots
        for expiration in desk.market.live(root, day)
        for contract in desk.market.contracts(root, day, expiration)
    ]
    if not found:
        raise Refusal(472, f"No listed contracts for the date: {wire.day_int(day)}")
    yield wire.contract_list(found)


def _some(name: str, values: list[int]) -> pl.DataFrame:
    if not values:
        raise Refusal(472, NO_LIST_DATA)
    return pl.DataFrame({name: values})


def _history(dataset: Dataset, *, bulk: bool) -> Answer:
    """Give what answers the history path of a dataset: chain or single contract."""

    def answer(desk: Desk, parameters: Parameters) -> Iterator[pl.DataFrame]:
        query = history_query(parameters, bulk=bulk)
        if query.expiration is None and not (dataset.every_expiration and query.step == 1):
            raise Refusal(INVALID, "Invalid parameter: exp=0")
        if dataset.needs_index and not desk.opening_greeks:
            query = replace(query, first=max(query.first, OPEN + 1))
        chosen = history.wanted(desk.market, query)
        if not chosen or (dataset.needs_index and not desk.market.has_index(query.root, query.day)):
            raise Refusal(472, NO_BULK_DATA if bulk else NO_SINGLE_DATA)
        pretty = read_flag(parameters, "pretty_time")
        found = history.blocks(
            desk.market, desk.rules, query, chosen, dataset=dataset.name, needs_index=dataset.needs_index
        )
        for expiration, rows in found:
            yield _frame(dataset, query, expiration, rows, bulk=bulk, pretty=pretty)

    return answer


def _frame(dataset: Dataset, query: Query, expiration: date, rows: Rows, *, bulk: bool, pretty: bool) -> pl.DataFrame:
    return pl.DataFrame(
        {
            **(wire.contracts(query.root, expiration, rows) if bulk else {}),
            "ms_of_day": wire.times(rows.minute, pretty=pretty),
            **dataset.make(rows, query, expiration, pretty),
            "date": wire.dates(query.day, len(rows), pretty=pretty),
        }
    )


def _quote_columns(rows: Rows, _query: Query, _expiration: date, _pretty: bool) -> dict[str, pl.Series]:  # noqa: FBT001 - as every dataset's
    length = len(rows)
    exchange = pl.repeat(history.EXCHANGE, length, eager=True)
    condition = pl.repeat(history.CONDITION, length, eager=True)
    return {
        "bid_size": pl.Series(rows.bid_size),
        "bid_exchange": exchange,
        "bid": wire.prices(rows.bid / 100.0),
        "bid_condition": condition,
        "ask_size": pl.Series(rows.ask_size),
        "ask_exchange": exchange,
        "ask": wire.prices(rows.ask / 100.0),
        "ask_condition": condition,
    }


def _greek_columns(rows: Rows, query: Query, expiration: date, pretty: bool) -> dict[str, pl.Series]:  # noqa: FBT001 - as every dataset's
    computed = history.first_order(rows, query, expiration)
    return {
        "bid": wire.prices(rows.bid / 100.0),
        "ask": wire.prices(rows.ask / 100.0),
        "delta": wire.prices(computed.delta),
        "theta": wire.prices(computed.theta),
        "vega": wire.prices(computed.vega),
        "rho": wire.prices(computed.rho),
        "epsilon": wire.prices(computed.epsilon),
        "lambda": wire.prices(computed.lambda_),
        "implied_vol": wire.prices(computed.implied_vol),
        "iv_error": wire.prices(computed.iv_error),
        "ms_of_day2": wire.times(rows.minute, pretty=pretty),
        "underlying_price": wire.prices(rows.spot),
    }


_QUOTE = Dataset("quote", every_expiration=True, needs_index=False, make=_quote_columns)
_GREEKS = Dataset("greeks", every_expiration=False, needs_index=True, make=_greek_columns)


def _history_routes(tier: str, dataset: Dataset) -> dict[str, Route]:
    """Give the two paths of a dataset."""
    file = dataset.name.upper()
    return {
        f"/bulk_hist/option/{dataset.name}": Route(
            tier, dataset.name, _history(dataset, bulk=True), file, Shape.BULK, counted=True
        ),
        f"/hist/option/{dataset.name}": Route(tier, dataset.name, _history(dataset, bulk=False), file, counted=True),
    }


#: Every path with rows, without the /v2 before it; status and pages are `terminal.py`'s.
ROUTES = {
    "/list/roots/option": Route("free", "symbols", _roots, "ROOTS"),
    "/list/expirations": Route("free", "expirations", _expirations, "EXPIRATIONS"),
    "/list/strikes": Route("free", "strikes", _strikes, "STRIKES"),
    "/list/dates/option/quote": Route("free", "dates", _dates, "DATES"),
    "/list/dates/option/trade": Route("free", "dates", _dates, "DATES"),
    "/list/contracts/option/quote": Route("value", "contracts", _contracts, "CONTRACTS"),
    "/list/contracts/option/trade": Route("value", "contracts", _contracts, "CONTRACTS"),
    **_history_routes("value", _QUOTE),
    **_history_routes("standard", _GREEKS),
}
