"""The paths the emulated v2 Terminal knows, each with its tier, its columns and its answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np
import polars as pl

from spxdata.emulator import drop, history
from spxdata.emulator.datasets import DATASETS, Dataset, Subject
from spxdata.emulator.expirations import BOGUS
from spxdata.emulator.hours import OPEN
from spxdata.emulator.query import Query
from spxdata.emulator.reply import Refusal
from spxdata.emulator.rows import MS_A_MINUTE, Block, Contract, Market
from spxdata.emulator.v2 import wire
from spxdata.emulator.v2.request import history_query, needed, needed_day, read_flag
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
        subject: Of whose subscription it is.
    """

    tier: str
    name: str
    answer: Answer
    file: str
    shape: Shape = Shape.FLAT
    counted: bool = False
    subject: Subject = Subject.OPTION


#: Gives contracts, or days: of quotes or of trades.
_Listed = Callable[[Market, str, date, date], list[Contract]]
_Days = Callable[[Market, str, date | None], list[date]]

#: Names v2 has for columns; the second time of a row is `ms_of_day2` wherever it stands.
_RENAMED = {
    "timestamp": "ms_of_day",
    "trade_timestamp": "ms_of_day",
    "created": "ms_of_day",
    "last_trade": "ms_of_day2",
    "quote_timestamp": "ms_of_day2",
    "underlying_timestamp": "ms_of_day2",
}
#: Columns v2 does not have.
_ABSENT = {"ohlc": ("vwap",), "greeks_eod": ("dual_delta", "dual_gamma")}
#: What v2 tells of a trade besides, right after its price: nothing of note, for options.
_FLAGS = {"condition_flags": 0, "price_flags": 1, "volume_type": 0, "records_back": 0}
#: A column that stands right after another one in v2, not where v3 has it.
_MOVED = {"trade_quote": ("quote_timestamp", "price")}


def _roots(desk: Desk, _parameters: Parameters) -> Iterator[pl.DataFrame]:
    yield pl.DataFrame({"root": desk.market.roots()})


def _expirations(desk: Desk, parameters: Parameters) -> Iterator[pl.DataFrame]:
    days = desk.market.expirations(needed(parameters, "root").upper())
    # The date that never was is a 0 here, as seen in the real list.
    yield _some("date", [0 if day == BOGUS else wire.day_int(day) for day in days])


def _strikes(desk: Desk, parameters: Parameters) -> Iterator[pl.DataFrame]:
    root = needed(parameters, "root").upper()
    yield _some("strike", desk.market.strikes(root, needed_day(parameters, "exp")))


def _dates(listed: _Days, desk: Desk, parameters: Parameters) -> Iterator[pl.DataFrame]:
    root = needed(parameters, "root").upper()
    expiration = needed_day(parameters, "exp") if "exp" in parameters else None
    yield _some("date", [wire.day_int(day) for day in listed(desk.market, root, expiration)])


def _contracts(listed: _Listed, desk: Desk, parameters: Parameters) -> Iterator[pl.DataFrame]:
    day = needed_day(parameters, "start_date")
    asked = parameters.get("root")
    roots = [root.strip().upper() for root in asked.split(",")] if asked else desk.market.roots()
    found = [
        (root, expiration, contract)
        for root in roots
        for expiration in desk.market.live(root, day)
        for contract in listed(desk.market, root, day, expiration)
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
        query = history_query(parameters, dataset, bulk=bulk)
        if dataset.opens_late and not desk.opening_greeks:
            query = replace(query, first=max(query.first, OPEN * MS_A_MINUTE + 1))
        found = history.answered(desk.market, desk.rules, query, dataset)
        if found is None:
            raise Refusal(472, NO_BULK_DATA if bulk else NO_SINGLE_DATA)
        pretty = read_flag(parameters, "pretty_time")
        for expiration, rows in found:
            yield _frame(dataset, query, expiration, rows, bulk=bulk, pretty=pretty)

    return answer


def _frame(dataset: Dataset, query: Query, expiration: date, rows: Block, *, bulk: bool, pretty: bool) -> pl.DataFrame:
    columns = wire.contracts(query.root, expiration, rows) if bulk else {}
    for name in _order(dataset):
        if name in _FLAGS:
            columns[name] = pl.Series(np.full(len(rows), _FLAGS[name], dtype=np.int32))
        else:
            form = dataset.columns[name]
            columns[_RENAMED.get(name, name)] = wire.printed(form, rows.columns[name], pretty=pretty)
    columns["date"] = wire.dates(query.day, len(rows), pretty=pretty)
    return pl.DataFrame(columns)


def _order(dataset: Dataset) -> list[str]:
    """Give the columns between contract and date, by v3's names and v2's own ones, in v2's order."""
    absent = _ABSENT.get(dataset.name, ())
    moved, after = _MOVED.get(dataset.name, ("", ""))
    found: list[str] = []
    for name in dataset.columns:
        if name == moved or name in absent:
            continue
        found.append(name)
        if name == "price" and dataset.subject is Subject.OPTION:
            found += _FLAGS
        if name == after:
            found.append(moved)
    return found


def _bulk(name: str, tier: str, word: str) -> dict[str, Route]:
    """Give the path of a dataset's chains."""
    answer = _history(DATASETS[name], bulk=True)
    return {f"/bulk_hist/option/{word}": Route(tier, name, answer, word.upper(), Shape.BULK, counted=True)}


def _single(name: str, tier: str, word: str) -> dict[str, Route]:
    """Give the path of a dataset's single contracts."""
    answer = _history(DATASETS[name], bulk=False)
    return {f"/hist/option/{word}": Route(tier, name, answer, word.upper(), counted=True)}


def _history_routes(
    name: str, word: str, *, single_tier: str | None = None, bulk_tier: str | None = None
) -> dict[str, Route]:
    """Give both paths of a dataset; tiers are the dataset's where none is given."""
    tier = DATASETS[name].tier
    return {**_bulk(name, bulk_tier or tier, word), **_single(name, single_tier or tier, word)}


def _contract_route(listed: _Listed) -> Route:
    return Route("value", "contracts", partial(_contracts, listed), "CONTRACTS")


def _date_route(listed: _Days) -> Route:
    return Route("free", "dates", partial(_dates, listed), "DATES")


#: Every path with rows, without the /v2 before it; status and pages are `terminal.py`'s.
ROUTES = {
    "/list/roots/option": Route("free", "symbols", _roots, "ROOTS"),
    "/list/expirations": Route("free", "expirations", _expirations, "EXPIRATIONS"),
    "/list/strikes": Route("free", "strikes", _strikes, "STRIKES"),
    "/list/dates/option/quote": _date_route(lambda market, root, expiration: market.days(root, expiration)),
    "/list/dates/option/trade": _date_route(lambda market, root, expiration: market.trade_days(root, expiration)),
    "/list/contracts/option/quote": _contract_route(
        lambda market, root, day, expiration: market.contracts(root, day, expiration)
    ),
    "/list/contracts/option/trade": _contract_route(
        lambda market, root, day, expiration: market.traded(root, day, expiration)
    ),
    **_history_routes("quote", "quote"),
    **_history_routes("trade", "trade"),
    **_history_routes("trade_quote", "trade_quote"),
    **_history_routes("ohlc", "ohlc"),
    **_history_routes("open_interest", "open_interest", bulk_tier="standard"),
    **_history_routes("eod", "eod", bulk_tier="value"),
    **_history_routes("greeks", "greeks"),
    **_history_routes("greeks_second_order", "greeks_second_order"),
    **_history_routes("greeks_third_order", "greeks_third_order"),
    **_history_routes("greeks_all", "all_greeks"),
    **_bulk("greeks_eod", "standard", "eod_greeks"),
    **_single("implied_volatility", "standard", "implied_volatility"),
    "/hist/index/price": Route(
        "value",
        "index_price",
        _history(DATASETS["index_price"], bulk=False),
        "PRICE",
        counted=True,
        subject=Subject.INDEX,
    ),
}
