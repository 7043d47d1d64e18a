"""Replies of every dataset as both dialects send them, built from rows; and a Terminal in memory with a script."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any

import polars as pl

from spxdata.model import Contract, ContractList, Provenance, Right, Unit
from spxdata.pipeline.attempt import Edges
from spxdata.pipeline.order import SortMemory
from spxdata.pipeline.parse import parse
from spxdata.pipeline.write import Encoding
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
#: What a scripted reply's body consists of: bytes as they arrive, and what goes wrong there.
Piece = bytes | BaseException


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


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """A reply whose body is a script."""

    pieces: tuple[Piece, ...]
    provenance: Provenance

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, or fail where the script says so."""
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece


@dataclass(slots=True)
class ScriptedTerminal:
    """A Terminal that answers every fetch with the next part of its script, and counts open replies.

    Attributes:
        script: A body, a body in pieces, or what is raised instead of an answer.
        asked: The units that were asked for.
        open: Replies that were not closed.
        provenance: Of all replies.
        dialect: Which generation it says it is.
        lists: By kind, its contract list or what is raised instead of it.
        listed: The kinds of contract lists that were asked for.
        singles: By contract, its rows or what is raised instead; of others comes a line of column names alone.
        asked_singly: The contracts that were asked for one by one.
    """

    script: list[bytes | Sequence[Piece] | BaseException]
    asked: list[Unit] = field(default_factory=list)
    open: int = 0
    provenance: Provenance = field(default_factory=a_provenance)
    dialect: str = "v3"
    lists: Mapping[str, ContractList | BaseException] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)
    singles: Mapping[Contract, bytes | BaseException] = field(default_factory=dict)
    asked_singly: list[Contract] = field(default_factory=list)

    @contextmanager
    def single(self, unit: Unit, contract: Contract) -> Iterator[ScriptedReply]:
        """Answer with what the script has of a contract."""
        self.asked_singly.append(contract)
        answer = self.singles.get(contract, wire_csv([], DATASETS[unit.dataset], self.dialect))
        if isinstance(answer, BaseException):
            raise answer
        yield ScriptedReply((answer,), self.provenance)

    @contextmanager
    def fetch(self, unit: Unit) -> Iterator[ScriptedReply]:
        """Answer with the next part of the script."""
        self.asked.append(unit)
        answer = self.script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        self.open += 1
        try:
            yield ScriptedReply((answer,) if isinstance(answer, bytes) else tuple(answer), self.provenance)
        finally:
            self.open -= 1

    def status(self) -> str:
        """Return that all is well."""
        return "CONNECTED"

    def expirations(self, root: str) -> tuple[date, ...]:
        """Not part of any script."""
        raise NotImplementedError(root)

    def strikes(self, root: str, expiration: date) -> tuple[float, ...]:
        """Not part of any script."""
        raise NotImplementedError(root, expiration)

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList:
        """Answer with the list of a kind, if the script has one."""
        self.listed.append(kind)
        if kind not in self.lists:
            raise NotImplementedError(root, trade_date, kind)
        answer = self.lists[kind]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def abort(self) -> None:
        """Do nothing: nobody waits here."""


def edges_of(storage: Storage, *script: bytes | Sequence[Piece] | BaseException, **changes: Any) -> Edges:
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
