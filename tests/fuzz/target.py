"""Every reply gives exactly the rows it holds or raises an error of `errors.py`.

Never another exception, a shorter table that does not say so, or unbounded memory. The rows it holds are those of the
oracle. A table may be shorter than the sound reply was only if its holes say where. Of ticks, which have no grid, no
one can tell that a whole line is missing; framing alone guards them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPMessage
from random import Random
from typing import NamedTuple

import polars as pl

from spxdata.clock import SystemClock
from spxdata.errors import NoData, SpxDataError
from spxdata.model import Contract, ContractList, Hole, Right
from spxdata.pipeline.order import Order, Sorter, SortMemory
from spxdata.pipeline.parse import parse
from spxdata.pipeline.validate import validate
from spxdata.protocols import Terminal
from spxdata.schema import DATASETS, Rows
from spxdata.terminal.asking import Line
from spxdata.terminal.transport import Response, Timeouts
from tests.fuzz import oracle
from tests.fuzz.corpus import Sample, client_of, contract_of, samples
from tests.fuzz.mutate import mutated
from tests.fuzz.oracle import Row, Unreadable, comparable, rows_of, stored_order

#: Sizes of the pieces in which a reply arrives.
_PIECES = (7, 200, 4096, 1 << 20)


class Found(NamedTuple):
    """What came of a mutation.

    Attributes:
        what: "rows", the code of an error, or "WRONG".
        done: What was done to the reply.
        why: What is wrong.
        readable: Whether the oracle could read it.
    """

    what: str
    done: str
    why: str = ""
    readable: bool = False


@dataclass(frozen=True, slots=True)
class Played(Line):
    """A line on which replies lie ready: bodies by path, without a socket."""

    pages: tuple[bytes, ...] = ()
    piece: int = 4096

    @contextmanager
    def ask(self, request: str, timeouts: Timeouts) -> Iterator[Response]:
        """Answer with the page that the request names."""
        del timeouts
        number = int(request.rpartition("/page/")[2]) if "/page/" in request else 0
        headers = HTTPMessage()
        headers["Next-Page"] = f"{self.url}/page/{number + 1}" if number + 1 < len(self.pages) else "null"

        def chunks() -> Iterator[bytes]:
            body = self.pages[number]
            for start in range(0, len(body), self.piece):
                yield body[start : start + self.piece]

        yield Response(200, headers, chunks)


def terminal(dialect: str, pages: list[bytes], piece: int) -> Terminal:
    """Return a Terminal that answers with some pages."""
    line = Played(f"http://127.0.0.1:25510/{dialect}", dialect, pages=tuple(pages), piece=piece)
    return client_of(dialect)(line, SystemClock())


def read(source: Terminal, sample: Sample) -> tuple[list[Row], tuple[Hole, ...]]:
    """Return the rows that the product makes of a reply, as it would store them, and the holes that it sees.

    Raises:
        SpxDataError: It refuses the reply.
    """
    unit = sample.unit
    names = DATASETS[unit.dataset].names
    with Sorter(Order.of(unit), SortMemory()) as sorter, source.fetch(unit) as reply:
        checked = validate(parse(reply.chunks(), unit, sample.dialect), unit, sample.listed, sorter)
        frame = pl.concat(list(checked))
    return [tuple(map(_wall, row)) for row in frame.select(names).iter_rows()], checked.holes


def _wall(value: object) -> object:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def tried(sample: Sample, dice: Random) -> Found:
    """Damage a reply, and hold what the product makes of it to the invariant."""
    pages = [sample.body]
    if sample.dialect == "v2" and dice.random() < 0.3:
        header, *lines = sample.body.splitlines(keepends=True)
        at = dice.randrange(len(lines) + 1)
        pages = [header + b"".join(lines[:at]), (header if dice.random() < 0.5 else b"") + b"".join(lines[at:])]
    struck = dice.randrange(len(pages))
    pages[struck], done = mutated(pages[struck], dice)
    return judged(sample, pages, done, lambda: read(terminal(sample.dialect, pages, dice.choice(_PIECES)), sample))


def judged(
    sample: Sample, pages: list[bytes], done: str, reading: Callable[[], tuple[list[Row], tuple[Hole, ...]]]
) -> Found:
    """Hold what the product makes of pages to the invariant."""
    dataset = DATASETS[sample.unit.dataset]
    try:
        held: list[Row] | None = stored_order(rows_of(pages, dataset, sample.dialect), dataset, sample.unit.interval)
    except Unreadable as error:
        held, unreadable = None, str(error)
    try:
        rows, holes = reading()
    except SpxDataError as error:
        return Found(error.code, done, readable=held is not None)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Found("WRONG", done, f"another exception: {error!r:.300}", readable=held is not None)
    if held is None:
        return Found("WRONG", done, f"{len(rows)} rows of a reply that holds none: {unreadable}")
    if [tuple(map(comparable, row)) for row in rows] != [tuple(map(comparable, row)) for row in held]:
        differing = [(one, other) for one, other in zip(rows, held, strict=False) if repr(one) != repr(other)][:1]
        return Found("WRONG", done, f"{len(rows)} rows where it holds {len(held)}: {differing}", readable=True)
    lacking = unsaid(sample, rows, holes)
    if lacking:
        return Found("WRONG", done, f"a shorter table without a hole for {lacking[:3]}", readable=True)
    return Found("rows", done, readable=True)


def unsaid(sample: Sample, rows: list[Row], holes: tuple[Hole, ...]) -> list[object]:
    """Return what a sound reply has, this table lacks, and no hole tells of."""
    dataset = DATASETS[sample.unit.dataset]
    on_grid = dataset.rows_at(sample.unit.interval) is Rows.GRID

    def points(table: list[Row]) -> set[tuple[Contract | None, int | None]]:
        at = dataset.names.index(dataset.time[0]) if on_grid else None
        return {(contract_of(row, sample.unit), None if at is None else _minute(row[at])) for row in table}

    opening = 9 * 60 + 30  # the first point is a sentinel, or absent: nobody misses it
    missing = {(key, minute) for key, minute in points(sample.rows) - points(rows) if minute != opening}
    return [point for point in missing if not any(_covers(hole, *point) for hole in holes)]


def _minute(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


def _covers(hole: Hole, contract: Contract | None, minute: int | None) -> bool:
    if hole.contract not in (None, contract):
        return False
    return hole.first is None or hole.last is None or minute is None or hole.first <= minute <= hole.last


def fuzzed(dialect: str, seed: int, number: int, recorded: tuple[Sample, ...] = ()) -> Found:
    """Try the mutation of a number: all of it follows from dialect, seed and number."""
    dice = Random(f"{seed} {dialect} {number}")  # noqa: S311 - the same mutations every time are the point
    if number % 10 == 9:
        return tried_list(dialect, dice)
    known = recorded or samples(dialect)
    short = [sample for sample in known if len(sample.rows) <= 60]
    chosen = dice.choice(known if number % 20 == 0 or not short else short)
    found = tried(chosen, dice)
    return found._replace(done=f"{chosen}: {found.done}")


# Lists.

_ROOT_COLUMN = {"v3": "symbol", "v2": "root"}


def contract_list(dialect: str) -> bytes:
    """Return a contract list of two expirations."""
    ends = {"v3": ("2024-01-19", "2024-02-16", "CALL", "PUT"), "v2": ("20240119", "20240216", "C", "P")}[dialect]
    strikes = ("4700.000", "4752.500") if dialect == "v3" else ("4700000", "4752500")
    lines = [f"{_ROOT_COLUMN[dialect]},expiration,strike,right"]
    quote = '"' if dialect == "v3" else ""
    lines += [
        f"{quote}SPXW{quote},{quote}{end}{quote},{strike},{quote}{right}{quote}"
        for end in ends[:2]
        for strike in strikes
        for right in ends[2:]
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def held_contracts(body: bytes, dialect: str) -> set[Contract] | None:
    """Return the contracts that a list holds, by the oracle; None if it is unreadable."""
    names = {_ROOT_COLUMN[dialect]: "symbol", "expiration": "expiration", "strike": "strike", "right": "right"}
    *lines, rest = body.split(b"\n")
    if rest or not lines:
        return None
    header = [name.strip('"') for name in lines[0].decode("utf-8", "replace").rstrip("\r").split(",")]
    if sorted(header) != sorted(names):
        return None
    found = set()
    try:
        for line in lines[1:]:
            cells = dict(zip(header, oracle.cells_of(line.rstrip(b"\r"), len(header)), strict=True))
            strike = oracle.number(cells["strike"], {}) / (1000 if dialect == "v2" else 1)
            right = (oracle.letter if dialect == "v2" else oracle.word)(cells["right"], {})
            day = oracle.day(cells["expiration"], {})
            if cells[_ROOT_COLUMN[dialect]] == "SPXW":
                found.add(Contract(day, strike, Right(right)))
    except Unreadable:
        return None
    return found


def tried_list(dialect: str, dice: Random) -> Found:
    """Damage a contract list, and hold what the product makes of it to the invariant."""
    body, done = mutated(contract_list(dialect), dice)
    done = f"contract list: {done}"
    held = held_contracts(body, dialect)
    readable = held is not None
    try:
        listed: ContractList = terminal(dialect, [body], dice.choice(_PIECES)).contracts(
            "SPXW", samples(dialect)[0].unit.trade_date, "quote"
        )
    except (SpxDataError, NoData) as error:
        return Found(error.code, done, readable=readable)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Found("WRONG", done, f"another exception: {error!r:.300}", readable=readable)
    if held is None:
        return Found("WRONG", done, f"{len(listed.contracts)} contracts of a list that cannot be read: {body!r:.400}")
    if set(listed.contracts) != held:
        return Found("WRONG", done, f"{set(listed.contracts) ^ held} are not what it holds", readable=True)
    return Found("rows", done, readable=True)
