"""Replies as v3 sends them, built from rows; and a Terminal in memory that follows a script."""

from collections.abc import Iterable, Iterator, Sequence
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
from spxdata.schema import DATASETS, Dataset
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


def a_row(dataset: Dataset = QUOTE, contract: Contract = CALL, minute: int = 571, **changes: Any) -> Row:
    """Return a row that breaks no rule."""
    values: dict[str, object] = {
        "symbol": "SPXW",
        "expiration": contract.expiration,
        "strike": f"{contract.strike:.3f}",
        "right": contract.right.value,
        "timestamp": moment(minute),
        "bid_size": 48,
        "bid_exchange": 5,
        "bid": "64.90",
        "bid_condition": 50,
        "ask_size": 15,
        "ask_exchange": 5,
        "ask": "67.90",
        "ask_condition": 50,
        "delta": "0.5123",
        "theta": "-1.7312",
        "vega": "171.4012",
        "rho": "18.2210",
        "epsilon": "-19.0021",
        "lambda": "36.8125",
        "implied_vol": "0.1312",
        "iv_error": "0.0001",
        "underlying_timestamp": moment(minute),
        "underlying_price": "4761.23",
    }
    return {name: str({**values, **changes}[name]) for name in dataset.names}


def rows_of(
    contracts: Iterable[Contract] = CONTRACTS,
    minutes: Iterable[int] = REQUIRED,
    dataset: Dataset = QUOTE,
    **changes: Any,
) -> list[Row]:
    """Return the rows of whole contracts, one contract after the other; prices differ from row to row."""
    times = tuple(minutes)
    return [
        a_row(dataset, contract, minute, **{"bid_size": 1 + (minute * 7 + number) % 90, **changes})
        for number, contract in enumerate(contracts)
        for minute in times
    ]


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
    """

    script: list[bytes | Sequence[Piece] | BaseException]
    asked: list[Unit] = field(default_factory=list)
    open: int = 0
    provenance: Provenance = field(default_factory=a_provenance)

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
        """Not part of any script."""
        raise NotImplementedError(root, trade_date, kind)

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
