"""Replies of every dataset as both dialects send them, built from rows; and a Terminal in memory with a script."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, auto
from itertools import pairwise
from threading import Event
from typing import Any, TypeVar

import polars as pl

from spxdata.errors import CutOff, NoData
from spxdata.model import Contract, ContractList, Provenance, Right, Unit
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.pipeline.parse import parse
from spxdata.protocols import Storage
from spxdata.schema import DATASETS, Dataset, Form, Rows, WireColumn, wire
from spxdata.sessions import clock as clock_text
from tests.builders import EXPIRATION, NOW, TRADE_DATE, FakeClock, a_provenance, a_unit

QUOTE, GREEKS = DATASETS["quote"], DATASETS["greeks"]
QUOTE_UNIT, GREEKS_UNIT = a_unit(dataset="quote"), a_unit(dataset="greeks")

CALL = Contract(EXPIRATION, 4700.0, Right.CALL)
PUT = Contract(EXPIRATION, 4700.0, Right.PUT)
HIGH_CALL = Contract(EXPIRATION, 4750.0, Right.CALL)
#: What most replies here hold, and in the order of their stored files.
CONTRACTS = (CALL, PUT, HIGH_CALL)

#: Every minute of a session that lasts to 16:15, and those of them that quotes must have.
SESSION = range(570, 976)
REQUIRED = range(571, 976)

Row = dict[str, str]


class Pause(Enum):
    """Where nothing comes for a while."""

    UNTIL_ABORT = auto()


#: What a scripted reply's body consists of: bytes as they arrive, and what goes wrong there.
Piece = bytes | BaseException | Pause
#: What a scripted Terminal answers with: a body, a body in pieces, or what is raised instead of it.
Answer = bytes | Sequence[Piece] | BaseException
#: What stands in a list.
Listed = TypeVar("Listed", date, float)


def moment(minute: int, day: date = TRADE_DATE) -> str:
    """Return a minute of a day as v3 writes it."""
    return f"{day}T{clock_text(minute)}:00"


def unit_for(dataset: Dataset, **changes: Any) -> Unit:
    """Return the unit that rows of `a_row` are of: day-wide where the dataset is, at its usual interval."""
    values: dict[str, Any] = {
        "dataset": dataset.name,
        "interval": dataset.interval,
        "root": dataset.root("SPXW"),
        "expiration": EXPIRATION if dataset.unit_of == "expiration" else None,
    }
    return a_unit(**{**values, **changes})


#: Values of a row that breaks no rule, of every column that is neither a time nor a contract's name.
_VALUES: dict[str, object] = {
    "symbol": "SPXW",
    "bid_size": 48,
    "bid_exchange": 5,
    "bid": "64.90",
    "bid_condition": 50,
    "ask_size": 15,
    "ask_exchange": 5,
    "ask": "67.90",
    "ask_condition": 50,
    "midpoint": "66.40",
    "sequence": -1986932228,
    **{f"ext_condition{number}": 255 for number in range(1, 5)},
    "condition": 130,
    "size": 10,
    "exchange": 6,
    "price": "66.40",
    "open": "65.10",
    "high": "68.20",
    "low": "63.70",
    "close": "66.30",
    "volume": 683,
    "count": 99,
    "vwap": "66.1234",
    "open_interest": 1732,
    "delta": "0.5123",
    "theta": "-1.7312",
    "vega": "171.4012",
    "rho": "18.2210",
    "epsilon": "-19.0021",
    "lambda": "36.8125",
    "gamma": "0.0031",
    "vanna": "-0.1102",
    "charm": "-4.2001",
    "vomma": "11.0215",
    "veta": "140.5512",
    "vera": "0.1250",
    "speed": "-0.0001",
    "zomma": "-0.0201",
    "color": "0.0412",
    "ultima": "-71.2500",
    "d1": "0.0312",
    "d2": "0.0115",
    "dual_delta": "-0.5012",
    "dual_gamma": "0.0032",
    "implied_vol": "0.1312",
    "bid_implied_vol": "0.1290",
    "ask_implied_vol": "0.1334",
    "iv_error": "0.0001",
    "underlying_price": "4761.23",
    "rate": "5.31000",
}


def a_row(dataset: Dataset = QUOTE, contract: Contract = CALL, minute: int = 571, **changes: Any) -> Row:
    """Return a row that breaks no rule, in v3's spelling; a report's times do not depend on the minute."""
    intraday = dataset.rows is not Rows.DAILY
    times = {
        "timestamp": moment(minute if intraday else 390),
        "trade_timestamp": moment(minute) + ".122",
        "quote_timestamp": moment(minute),
        "underlying_timestamp": moment(minute) if intraday else moment(1035) + ".187",
        "created": moment(1035) + ".187" if "symbol" in dataset.names else str(TRADE_DATE),
        "last_trade": moment(959) + ".120",
    }
    named = {"expiration": contract.expiration, "strike": f"{contract.strike:.3f}", "right": contract.right.value}
    values = {**_VALUES, **times, **named, **changes}
    return {name: str(values[name]) for name in dataset.names}


def rows_of(
    contracts: Iterable[Contract] = CONTRACTS,
    minutes: Iterable[int] = REQUIRED,
    dataset: Dataset = QUOTE,
    **changes: Any,
) -> list[Row]:
    """Return the rows of whole contracts, one contract after the other; prices differ from row to row.

    Of a daily dataset there is one row a contract; of what has no contracts, one a minute.
    """
    times = tuple(minutes) if dataset.rows is not Rows.DAILY else (571,)
    several = tuple(contracts) if "strike" in dataset.names else (CALL,)
    return [
        a_row(dataset, contract, minute, **{"bid_size": 1 + (minute * 7 + number) % 90, **changes})
        for number, contract in enumerate(several)
        for minute in times
    ]


def _milliseconds(text: str) -> str:
    hours, minutes, seconds = text.partition("T")[2].split(":")
    return str(round((int(hours) * 60 + int(minutes)) * 60_000 + float(seconds) * 1000))


#: How v2 writes what v3 writes otherwise.
_V2_CELLS: dict[Form, Callable[[str], str]] = {
    Form.COMPACT_DAY: lambda text: text[:10].replace("-", ""),
    Form.MS_OF_DAY: _milliseconds,
    Form.TENTH_CENTS: lambda text: str(round(float(text) * 1000)),
    Form.RIGHT_LETTER: lambda text: text[0],
}
#: What names a contract, in every dialect.
_NAMES = frozenset({"symbol", "expiration", "strike", "right"})


def wire_csv(
    rows: Sequence[Row], dataset: Dataset, dialect: str = "v3", *, single: bool = False, header: bool = True
) -> bytes:
    """Return the body of a reply in a dialect.

    Args:
        rows: Rows in v3's spelling.
        dataset: Whose rows.
        dialect: v2 or v3.
        single: Whether rows come without what names their contract, as v2 sends those of a single one.
        header: Whether the column names stand first.
    """
    columns = [c for c in wire(dataset, dialect).columns if not (single and c.canonical in _NAMES)]

    def cell(row: Row, column: WireColumn) -> str:
        if column.canonical is None and column.form is not Form.COMPACT_DAY:
            return "0"  # what only v2 sends
        return _V2_CELLS.get(column.form, str)(row[column.canonical or dataset.dated])

    lines = [",".join(column.name for column in columns)] if header else []
    lines += [",".join(cell(row, column) for column in columns) for row in rows]
    return "".join(f"{line}\r\n" for line in lines).encode()


def csv_of(rows: Sequence[Row], columns: Sequence[str] | None = None, *, end: str = "\n") -> bytes:
    """Return the body of a reply: a header line and the rows."""
    names = tuple(columns or (rows[0] if rows else QUOTE.names))
    lines = [",".join(names), *(",".join(row[name] for name in names) for row in rows)]
    return "".join(line + end for line in lines).encode()


def cut(body: bytes, borders: Iterable[int]) -> list[bytes]:
    """Return a body in pieces, cut at some positions."""
    places = [0, *sorted({border % (len(body) + 1) for border in borders}), len(body)]
    return [body[start:stop] for start, stop in pairwise(places)]


def frame_of(rows: Sequence[Row], unit: Unit = QUOTE_UNIT) -> pl.DataFrame:
    """Return rows in canonical types, in the order given."""
    return pl.concat(batch.frame for batch in parse(iter([csv_of(rows)]), unit))


def stored_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Return parsed rows with the columns that are ours, unflagged."""
    return frame.select(pl.lit(TRADE_DATE).alias("trade_date"), pl.all(), pl.lit(0, pl.Int32).alias("flags"))


def listing(contracts: Iterable[Contract] = CONTRACTS) -> ContractList:
    """Return a day's contract list."""
    return ContractList("SPXW", TRADE_DATE, tuple(sorted(contracts)), NOW)


@dataclass(slots=True)
class ScriptedReply:
    """A reply whose body is a script.

    Attributes:
        pieces: The body.
        provenance: Where it comes from.
        aborted: Set when all replies are to end.
        requests: How many it took.
        closed: Whether its context was left.
    """

    pieces: tuple[Piece, ...]
    provenance: Provenance
    aborted: Event
    requests: int = 1
    closed: bool = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, or fail where the script says so."""
        for piece in self.pieces:
            if self.closed:
                raise ValueError("read of a closed reply")
            if piece is Pause.UNTIL_ABORT:
                self.aborted.wait()
            if self.aborted.is_set():
                raise _stopped()
            if isinstance(piece, BaseException):
                raise piece
            if isinstance(piece, bytes):
                yield piece
        if self.closed:
            raise ValueError("read of a closed reply")


def _stopped() -> CutOff:
    return CutOff("The run was stopped.")


def _no_data() -> NoData:
    return NoData("No data found for your request")


@dataclass(slots=True)
class ScriptedTerminal:
    """A Terminal that answers by its script, and counts open replies.

    Attributes:
        script: What fetches are answered with, each a body, a body in pieces, or what is raised instead of it. Those
            of a list come one after the other, whatever is asked for, and no further; those of a mapping come by
            unit, as often as it is asked for, and there is no data of others.
        asked: The units that were asked for.
        open: Replies that were not closed.
        provenance: Of all replies.
        dialect: Which generation it says it is.
        lists: By kind, its contract list or what is raised instead of it; expirations and strikes are those listed.
            There is no data of other roots and days, and a kind that is not here must not be asked for.
        listed: The kinds of contract lists that were asked for.
        singles: By contract, its rows or what is raised instead. Of others there is no data; where fetches follow a
            list, which does not tell, a line of column names alone.
        asked_singly: The contracts that were asked for one by one.
    """

    script: list[Answer] | Mapping[Unit, Answer]
    asked: list[Unit] = field(default_factory=list)
    open: int = 0
    provenance: Provenance = field(default_factory=a_provenance)
    dialect: str = "v3"
    lists: Mapping[str, ContractList | BaseException] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)
    singles: Mapping[Contract, Answer] = field(default_factory=dict)
    asked_singly: list[Contract] = field(default_factory=list)
    _aborted: Event = field(default_factory=Event)

    @contextmanager
    def single(self, unit: Unit, contract: Contract) -> Iterator[ScriptedReply]:
        """Answer with what the script has of a contract, whatever the unit."""
        self.asked_singly.append(contract)
        names_alone = wire_csv([], DATASETS[unit.dataset], self.dialect)
        other = names_alone if isinstance(self.script, list) else _no_data()
        with self._reply(self.singles.get(contract, other)) as reply:
            yield reply

    @contextmanager
    def fetch(self, unit: Unit) -> Iterator[ScriptedReply]:
        """Answer with the next part of the script, or with that of the unit."""
        self.asked.append(unit)
        answer = self.script.pop(0) if isinstance(self.script, list) else self.script.get(unit) or _no_data()
        with self._reply(answer) as reply:
            yield reply

    def status(self) -> str:
        """Return that all is well."""
        return "CONNECTED"

    def expirations(self, root: str) -> tuple[date, ...]:
        """Return the expirations listed of a root, whatever the day."""
        return _sorted_or_none(contract.expiration for contract in self._contracts(root))

    def strikes(self, root: str, expiration: date) -> tuple[float, ...]:
        """Return the strikes listed of an expiration, whatever the day."""
        listed = self._contracts(root)
        return _sorted_or_none(contract.strike for contract in listed if contract.expiration == expiration)

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList:
        """Answer with the list of a kind, if the script has one."""
        self.listed.append(kind)
        answer = self.lists[kind]
        if isinstance(answer, BaseException):
            raise answer
        if (answer.root, answer.trade_date) != (root, trade_date) or not answer.contracts:
            raise _no_data()
        return answer

    def abort(self) -> None:
        """End all replies that are being read, and all that would be."""
        self._aborted.set()

    def _contracts(self, root: str) -> Iterator[Contract]:
        """Yield the contracts of every list of a root."""
        for answer in self.lists.values():
            if isinstance(answer, ContractList) and answer.root == root:
                yield from answer.contracts

    @contextmanager
    def _reply(self, answer: Answer) -> Iterator[ScriptedReply]:
        """Give an answer, and count it while it is open."""
        if self._aborted.is_set():
            raise _stopped()
        if isinstance(answer, BaseException):
            raise answer
        pieces = (answer,) if isinstance(answer, bytes) else tuple(answer)
        reply = ScriptedReply(pieces, self.provenance, self._aborted)
        self.open += 1
        try:
            yield reply
        finally:
            self.open -= 1
            reply.closed = True


def _sorted_or_none(values: Iterable[Listed]) -> tuple[Listed, ...]:
    """Return values sorted, each once; a list without any is no data, as the real ones say."""
    found = tuple(sorted(set(values)))
    if not found:
        raise _no_data()
    return found


def edges_of(storage: Storage, *script: Answer, **changes: Any) -> Edges:
    """Return edges around a scripted Terminal; every event goes nowhere unless `emit` says where."""
    values: dict[str, Any] = {
        "terminal": ScriptedTerminal(list(script)),
        "storage": storage,
        "clock": FakeClock(),
        "emit": lambda _: None,
        "encoding": Encoding(),
        "memory": SortMemory(),
    }
    return Edges(**{**values, **changes})
