"""What a client of either generation does the same way: lists, fetching, provenance; a dialect says the rest."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar

from spxdata import __version__
from spxdata.errors import MalformedReply, NoData, TooLarge
from spxdata.model import Contract, ContractList, Provenance, Right, Unit
from spxdata.protocols import Clock
from spxdata.schema import DATASETS, wire
from spxdata.terminal.asking import Line, a_day, a_number, a_right, a_root, target, whole
from spxdata.terminal.pieces import joined, named
from spxdata.terminal.split import Asked, Asks, Bodies, Part, bodies_of, by_contract, is_chain_refused, whole_of
from spxdata.terminal.transport import Response, Timeouts

#: The columns that name a contract, in the order in which every dialect has them.
_CONTRACT = ("symbol", "expiration", "strike", "right")


@dataclass(frozen=True, slots=True)
class Manner:
    """What a dialect calls things, and how it writes them.

    Attributes:
        status: Path of the Terminal's status.
        lists: Path and columns of each list; `{kind}` stands for quote or trade.
        root: Parameter and column of the root.
        expiration: Parameter of an expiration.
        date: Parameter of a contract list's day.
        expirations: Column of the list of expirations.
        day: How a day is written.
        strike_unit: What a strike of 1 dollar is written as.
        rights: How call and put are written.
        csv: The parameter that asks for CSV.
        single: Parameters that a single contract needs beside those of a chain.
    """

    status: str
    lists: Mapping[str, tuple[str, tuple[str, ...]]]
    root: str
    expiration: str
    date: str
    expirations: str
    day: str
    strike_unit: float
    rights: Mapping[str, Right]
    csv: tuple[str, str]
    single: tuple[str, ...] = ("strike", "right")


@dataclass(slots=True)
class Reply:
    """A data reply that has begun.

    Attributes:
        origin: Where its rows come from, but for the request.
        asked: What was asked for so far.
        pieces: Its body.
        closed: Whether its context was left.
    """

    origin: Provenance
    asked: Asked
    pieces: Iterator[bytes]
    closed: bool = False

    @property
    def provenance(self) -> Provenance:
        """Where its rows come from; in how many requests they came is known once all have come."""
        return replace(self.origin, request=str(self.asked))

    @property
    def requests(self) -> int:
        """How many requests were answered so far, pages among them."""
        return self.asked.bodies

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives, once.

        Raises:
            ValueError: The context was left: between two pages no connection would tell.
        """
        for piece in self.pieces:
            yield piece
            if self.closed:
                raise ValueError("read of a closed reply")


@contextmanager
def _open(origin: Provenance, asked: Asked, first: Iterator[bytes], bodies: Bodies) -> Iterator[Reply]:
    """Give a reply whose first body has begun; once left it is closed."""
    reply = Reply(origin, asked, joined(itertools.chain((first,), bodies)))
    try:
        yield reply
    finally:
        reply.closed = True


@dataclass(frozen=True, slots=True)
class Client(ABC):
    """A Terminal, spoken to in the manner of its dialect.

    Attributes:
        line: How it is asked.
        clock: Where "fetched at" comes from.
        greeks_version: The vendor's greeks version to ask for: latest or 1.
        rate_type: The vendor's interest rate to ask for, in v3's spelling.
    """

    manner: ClassVar[Manner]

    line: Line
    clock: Clock
    greeks_version: str = "latest"
    rate_type: str = "sofr"

    @property
    def dialect(self) -> str:
        """How it is spoken to."""
        return self.line.dialect

    def abort(self) -> None:
        """End all replies that are being read, from whatever thread; they raise a `TransientError`."""
        self.line.channels.abort()

    def status(self) -> str:
        """Return the Terminal's word on its own connection, such as CONNECTED."""
        with self.line.ask(self.manner.status, self.line.patience.for_lists()) as response:
            return response.text().strip()

    def expirations(self, root: str) -> tuple[date, ...]:
        """Return all expirations of a root, sorted; the sentinel 0 is none."""
        column = self.manner.expirations
        rows = self._of_root(root, self._list("expirations", {self.manner.root: root}))
        return tuple(sorted({a_day(row[column]) for row in rows if row[column] != "0"}))

    def strikes(self, root: str, expiration: date) -> tuple[float, ...]:
        """Return the strikes of an expiration in dollars, sorted."""
        asked = {self.manner.root: root, self.manner.expiration: f"{expiration:{self.manner.day}}"}
        return tuple(sorted({self._strike(row) for row in self._of_root(root, self._list("strikes", asked))}))

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList:
        """Return the contracts quoted or traded on a day.

        Raises:
            NoData: None was.
            NotSubscribed: The account may not ask.
        """
        fetched_at = self.clock.now()
        asked = {self.manner.root: root, self.manner.date: f"{trade_date:{self.manner.day}}"}
        contracts = {
            contract
            for symbol, contract in map(self._contract, self._list("contracts", asked, kind))
            if symbol == root  # others are read all the same: none may be damaged
        }
        if not contracts:
            raise NoData("The contract list is empty.")
        return ContractList(root, trade_date, tuple(sorted(contracts)), fetched_at)

    @contextmanager
    def fetch(self, unit: Unit) -> Iterator[Reply]:
        """Ask for a unit's rows; what the Terminal does not give in one reply comes in parts.

        Raises:
            Declined: There are none, or not yet.
            TerminalError: It could not or would not answer.
        """
        is_by_contract = wire(DATASETS[unit.dataset], self.dialect).path is None or is_chain_refused(unit)
        with self._reply(whole_of(unit), by_contract if is_by_contract else bodies_of) as reply:
            yield reply

    @contextmanager
    def single(self, unit: Unit, contract: Contract) -> Iterator[Reply]:
        """Ask for the rows of one contract of a unit, in the columns of the unit.

        Raises:
            NoData: There are none.
            TooLarge: This Terminal does not give single contracts of the dataset.
            TerminalError: It could not or would not answer.
        """
        part = whole_of(unit)._replace(expiration=contract.expiration, contract=(contract.strike, contract.right))
        with self._reply(part, bodies_of) as reply:
            yield reply

    @contextmanager
    def _reply(self, part: Part, way: Callable[[Part, Asks], Bodies]) -> Iterator[Reply]:
        """Give the reply to a part, asked for in some way, once its first body has begun."""
        asked = Asked(part)
        asks = Asks(lambda smaller: self._bodies(smaller, asked), self._day_expirations, self._contracts_of)
        with closing(way(part, asks)) as bodies:  # a page that is not read to its end lets go of its connection now
            first = next(bodies, None)  # raises what the Terminal answers instead of rows
            if first is None:
                raise NoData(f"No part of {part} has rows.")
            with _open(self._origin(part.unit), asked, first, bodies) as reply:
                yield reply

    @abstractmethod
    def parameters(self, part: Part) -> dict[str, str]:
        """Return every parameter that may be sent for a part, by its name in this dialect."""

    @abstractmethod
    def contract_cells(self, part: Part) -> str:
        """Return what names a single contract in a row, as this dialect writes it, with commas between."""

    def _pages(self, response: Response, first: Iterator[bytes], patience: Timeouts) -> Bodies:
        """Yield the bodies of a reply that has begun; a dialect without pages has one."""
        del response, patience
        yield first

    def _day_expirations(self, unit: Unit) -> tuple[date, ...]:
        """Return the expirations of a day, to ask for them one by one."""
        return self.contracts(unit.root, unit.trade_date, "quote").expirations()

    def _contracts_of(self, unit: Unit, expiration: date) -> tuple[tuple[float, Right], ...]:
        """Return the strikes and rights of an expiration, to ask for them one by one."""
        return tuple((strike, right) for strike in self.strikes(unit.root, expiration) for right in Right)

    def _bodies(self, part: Part, asked: Asked) -> Bodies:
        """Ask for a part of a unit, and give the pages."""
        request, patience = self.request(part), self.line.patience.for_data()
        asked.note(part, request)
        sent = wire(DATASETS[part.unit.dataset], self.dialect)
        with self.line.ask(request, patience) as response:
            pages = asked.counted(self._pages(response, self.line.body(response, request), patience))
            if part.contract is None or not sent.unnamed:
                yield from pages
                return
            names = ",".join(column.name for column in sent.columns if column.canonical in _CONTRACT)
            for page in pages:
                yield named(page, f"{names},".encode(), f"{self.contract_cells(part)},".encode())

    def request(self, part: Part) -> str:
        """Return path and query of the request for a part.

        Raises:
            TooLarge: The Terminal does not give it in parts this small.
        """
        sent = wire(DATASETS[part.unit.dataset], self.dialect)
        path = sent.single if part.contract or sent.path is None else sent.path
        if path is None:
            raise TooLarge(f"{part} is too large, and this Terminal gives it in no smaller parts.")
        given = self.parameters(part)
        name, value = self.manner.csv
        wanted = [self.manner.root, *sent.parameters]
        if part.contract:
            wanted += [word for word in self.manner.single if word not in wanted]
        return target(path, {**{word: given[word] for word in wanted}, name: value})

    def _origin(self, unit: Unit) -> Provenance:
        """Return where rows that come now come from, but for the request."""
        has_greeks = "version" in DATASETS[unit.dataset].parameters
        return Provenance(
            request="",
            dialect=self.dialect,
            greeks_version=self.greeks_version if has_greeks else None,
            rate_type=self.rate_type if has_greeks else None,
            fetched_at=self.clock.now(),
            spxdata_version=__version__,
        )

    def _list(self, name: str, asked: Mapping[str, str], kind: str = "") -> Iterator[dict[str, str]]:
        path, columns = self.manner.lists[name]
        csv, value = self.manner.csv
        request = target(path.format(kind=kind), {**asked, csv: value})
        patience = self.line.patience.for_lists()
        with (
            self.line.ask(request, patience) as response,
            closing(self._pages(response, self.line.body(response, request), patience)) as pages,
        ):
            body = whole(joined(pages))
        return self.line.list_rows(body, request, columns)

    def _of_root(self, root: str, rows: Iterator[dict[str, str]]) -> Iterator[dict[str, str]]:
        """Yield the rows of a list that is of one root alone, where its rows name one.

        Raises:
            MalformedReply: A row is of another one.
        """
        for row in rows:
            found = row.get(self.manner.root, root)
            if found != root:
                raise MalformedReply(f"The list is to be of {root}, and has {found!r}.")
            yield row

    def _contract(self, row: Mapping[str, str]) -> tuple[str, Contract]:
        right = a_right(row["right"], self.manner.rights)
        return a_root(row[self.manner.root]), Contract(a_day(row["expiration"]), self._strike(row), right)

    def _strike(self, row: Mapping[str, str]) -> float:
        return a_number(row["strike"]) / self.manner.strike_unit
