"""The paths the emulated v3 Terminal knows, each with its tier, its columns and its answer."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from spxdata.emulator import drop, history
from spxdata.emulator.datasets import DATASETS, Dataset, Subject
from spxdata.emulator.query import Query
from spxdata.emulator.reply import Refusal
from spxdata.emulator.rows import Block, Contract, Market
from spxdata.emulator.v3 import wire
from spxdata.emulator.v3.request import NO_DATA, history_query, needed, read_day, read_max_dte

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


#: Gives contracts, or days: of quotes or of trades.
_Listed = Callable[[Market, str, date, date], list[Contract]]
_Days = Callable[[Market, str, date | None], list[date]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    Attributes:
        tier: Lowest subscription that may ask.
        name: What faults call its dataset.
        columns: Header of the reply; none for plain text.
        answer: Makes the lines below the header.
        streamed: Whether the reply is rows: chunked, and counted by the account's limit.
        subject: Of whose subscription it is.
    """

    tier: str
    name: str
    columns: tuple[str, ...]
    answer: Answer
    streamed: bool = False
    subject: Subject = Subject.OPTION

    @property
    def grouped(self) -> bool:
        """Tell whether JSON holds rows under their contract."""
        return self.streamed and self.subject is Subject.OPTION


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


def _contracts(listed: _Listed, desk: Desk, parameters: Mapping[str, str]) -> Iterable[bytes]:
    day = read_day(needed(parameters, "date"))
    max_dte = read_max_dte(parameters)
    found = [
        wire.contract_fields(root, expiration, contract, desk.style)
        for root in _asked_roots(desk, parameters.get("symbol", "*"))
        for expiration in history.within(desk.market.live(root, day), day, max_dte)
        for contract in listed(desk.market, root, day, expiration)
    ]
    return [_some(found, desk)]


def _dates(listed: _Days, desk: Desk, parameters: Mapping[str, str]) -> Iterable[bytes]:
    root = needed(parameters, "symbol").upper()
    expiration = read_day(needed(parameters, "expiration"))
    found = [(desk.style.text(day.isoformat()),) for day in listed(desk.market, root, expiration)]
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
        query = history_query(parameters, dataset)
        found = history.answered(desk.market, desk.rules, query, dataset)
        if found is None:
            raise Refusal(472, NO_DATA)
        return _lines(desk, dataset, query, found)

    return answer


def _lines(desk: Desk, dataset: Dataset, query: Query, found: Iterator[tuple[date, Block]]) -> Iterator[bytes]:
    for expiration, rows in found:
        yield wire.table(rows, dataset.columns, root=query.root, day=query.day, expiration=expiration, style=desk.style)


def _route(name: str) -> Route:
    dataset = DATASETS[name]
    contract = _CONTRACT if dataset.subject is Subject.OPTION else ()
    columns = (*contract, *dataset.columns)
    return Route(dataset.tier, name, columns, _history(dataset), streamed=True, subject=dataset.subject)


def _contract_route(listed: _Listed) -> Route:
    return Route("value", "contracts", _CONTRACT, partial(_contracts, listed))


def _date_route(listed: _Days) -> Route:
    return Route("free", "dates", ("date",), partial(_dates, listed))


#: Every path, without the /v3 before it.
ROUTES = {
    "/terminal/mdds/status": Route("free", "status", (), _status),
    "/terminal/fpss/status": Route("free", "status", (), _status),
    "/option/list/symbols": Route("free", "symbols", ("symbol",), _symbols),
    "/option/list/expirations": Route("free", "expirations", ("symbol", "expiration"), _expirations),
    "/option/list/strikes": Route("free", "strikes", ("symbol", "strike"), _strikes),
    "/option/list/dates/quote": _date_route(lambda market, root, expiration: market.days(root, expiration)),
    "/option/list/dates/trade": _date_route(lambda market, root, expiration: market.trade_days(root, expiration)),
    "/option/list/contracts/quote": _contract_route(
        lambda market, root, day, expiration: market.contracts(root, day, expiration)
    ),
    "/option/list/contracts/trade": _contract_route(
        lambda market, root, day, expiration: market.traded(root, day, expiration)
    ),
    "/option/history/quote": _route("quote"),
    "/option/history/trade": _route("trade"),
    "/option/history/trade_quote": _route("trade_quote"),
    "/option/history/ohlc": _route("ohlc"),
    "/option/history/open_interest": _route("open_interest"),
    "/option/history/eod": _route("eod"),
    "/option/history/greeks/first_order": _route("greeks"),
    "/option/history/greeks/second_order": _route("greeks_second_order"),
    "/option/history/greeks/third_order": _route("greeks_third_order"),
    "/option/history/greeks/all": _route("greeks_all"),
    "/option/history/greeks/implied_volatility": _route("implied_volatility"),
    "/option/history/greeks/eod": _route("greeks_eod"),
    "/index/history/price": _route("index_price"),
    "/interest_rate/history/eod": _route("interest_rate"),
}
