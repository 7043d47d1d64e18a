"""Every reply gives exactly the rows it holds or raises an error of `errors.py`.

Never another exception, a shorter table that does not say so, or unbounded memory. The rows it holds are those of the
oracle. A table may be shorter than the sound reply was only if its holes say where. Of ticks, which have no grid, no
one can tell that a whole line is missing; framing alone guards them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from http.client import HTTPMessage
from random import Random
from typing import NamedTuple

import polars as pl

from spxdata.clock import SystemClock
from spxdata.errors import NoData, SpxDataError
from spxdata.model import Contract, Hole, Right
from spxdata.pipeline.edges import SortMemory
from spxdata.pipeline.order import Order, Sorter
from spxdata.pipeline.parse import parse
from spxdata.pipeline.validate import validate
from spxdata.protocols import Terminal
from spxdata.schema import DATASETS, Rows
from spxdata.sessions import session
from spxdata.terminal.asking import Line
from spxdata.terminal.client import Client
from spxdata.terminal.transport import Response, Timeouts
from tests.fuzz import oracle
from tests.fuzz.corpus import CLIENTS, STRIKE, Sample, contract_of, samples
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
    """A line on which replies lie ready, without a socket.

    Attributes:
        pages: Pages of one reply, for whatever is asked.
        answers: Whole replies to some requests.
        piece: Bytes that arrive at once.
    """

    pages: tuple[bytes, ...] = ()
    answers: Mapping[str, bytes] = field(default_factory=dict)
    piece: int = 4096

    @contextmanager
    def ask(self, request: str, timeouts: Timeouts) -> Iterator[Response]:
        """Answer with the reply that is there for it, or with the page that it names."""
        del timeouts
        number = int(request.rpartition("/page/")[2]) if "/page/" in request else 0
        following = request not in self.answers and number + 1 < len(self.pages)
        headers = HTTPMessage()
        headers["Next-Page"] = f"{self.url}/page/{number + 1}" if following else "null"

        def chunks() -> Iterator[bytes]:
            body = self.answers[request] if request in self.answers else self.pages[number]
            for start in range(0, len(body), self.piece):
                yield body[start : start + self.piece]

        yield Response(200, headers, chunks)


def terminal(dialect: str, pages: Sequence[bytes], piece: int, requests: Sequence[str] = ()) -> Client:
    """Return a Terminal that answers with some pages.

    Args:
        dialect: v2 or v3.
        pages: Of one reply to whatever is asked; or, with requests, one for each.
        piece: Bytes that arrive at once.
        requests: What is asked for single contracts; all else is answered by the list of their strike.
    """
    line = Played(
        f"http://127.0.0.1:25510/{dialect}",
        dialect,
        pages=(STRIKES[dialect],) if requests else tuple(pages),
        answers=dict(zip(requests, pages, strict=True)) if requests else {},
        piece=piece,
    )
    return CLIENTS[dialect](line, SystemClock())


def of_sample(sample: Sample, pages: Sequence[bytes], piece: int) -> Client:
    """Return a Terminal that answers with pages of a sample."""
    return terminal(sample.dialect, pages, piece, sample.requests)


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
    pages = list(sample.pages)
    if sample.dialect == "v2" and not sample.requests and dice.random() < 0.3:
        header, *lines = sample.body.splitlines(keepends=True)
        at = dice.randrange(len(lines) + 1)
        pages = [header + b"".join(lines[:at]), (header if dice.random() < 0.5 else b"") + b"".join(lines[at:])]
    struck = dice.randrange(len(pages))
    pages[struck], done = mutated(pages[struck], dice)
    return judged(sample, pages, done, lambda: read(of_sample(sample, pages, dice.choice(_PIECES)), sample))


def judged(
    sample: Sample, pages: Sequence[bytes], done: str, reading: Callable[[], tuple[list[Row], tuple[Hole, ...]]]
) -> Found:
    """Hold what the product makes of pages to the invariant."""
    dataset = DATASETS[sample.unit.dataset]
    try:
        held: list[Row] | None = stored_order(held_rows(sample, pages), dataset, sample.unit.interval)
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


def held_rows(sample: Sample, pages: Sequence[bytes]) -> list[Row]:
    """Return the rows that pages hold, by the oracle; a single contract of many may say that it has none.

    Raises:
        Unreadable: They are no table.
    """
    kept = [n for n, page in enumerate(pages) if not (sample.requests and oracle.says_none(page))]
    given = [sample.given[n] for n in kept] if sample.given else ()
    return rows_of([pages[n] for n in kept], DATASETS[sample.unit.dataset], sample.dialect, given)


def unsaid(sample: Sample, rows: list[Row], holes: tuple[Hole, ...]) -> list[object]:
    """Return what a sound reply has, this table lacks, and no hole tells of."""
    dataset = DATASETS[sample.unit.dataset]
    on_grid = dataset.rows_at(sample.unit.interval) is Rows.GRID

    def points(table: list[Row]) -> set[tuple[Contract | None, int | None]]:
        at = dataset.names.index(dataset.time[0]) if on_grid else None
        return {(contract_of(row, sample.unit), None if at is None else _minute(row[at])) for row in table}

    hours = session(sample.unit.root, sample.unit.trade_date, sample.unit.expiration)
    assert hours is not None
    # The first point is a sentinel, or absent, and nobody misses it; nor what lies outside the session.
    wanted = range(hours.open + 1, hours.close + 1)
    missing = {
        (key, minute) for key, minute in points(sample.rows) - points(rows) if minute is None or minute in wanted
    }
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


class Listing(NamedTuple):
    """A list as a dialect writes it.

    Attributes:
        columns: Its columns.
        lines: Its rows.
        ask: Asks for it.
        held: What a row says, by the oracle's cells; None for one that says nothing.
    """

    columns: str
    lines: tuple[str, ...]
    ask: Callable[[Client], Iterable[object]]
    held: Callable[[Mapping[str, str]], object | None]


def _contracts(client: Client) -> Iterable[object]:
    return client.contracts("SPXW", date(2024, 1, 16), "quote").contracts


def _strikes(client: Client) -> Iterable[object]:
    return client.strikes("SPXW", date(2024, 1, 19))


def _expirations(client: Client) -> Iterable[object]:
    return client.expirations("SPXW")


def _v3_contract(cells: Mapping[str, str]) -> Contract | None:
    day, strike = oracle.day(cells["expiration"], {}), oracle.number(cells["strike"], {})
    return _of_root(cells["symbol"], Contract(day, strike, Right(oracle.word(cells["right"], {}))))


def _v2_contract(cells: Mapping[str, str]) -> Contract | None:
    day, strike = oracle.day(cells["expiration"], {}), oracle.number(cells["strike"], {}) / 1000
    return _of_root(cells["root"], Contract(day, strike, Right(oracle.letter(cells["right"], {}))))


def _of_root(root: str, contract: Contract) -> Contract | None:
    return contract if root == "SPXW" else None


#: Every list that a unit's rows may depend on.
LISTS: Mapping[tuple[str, str], Listing] = {
    ("v3", "contracts"): Listing(
        "symbol,expiration,strike,right",
        tuple(
            f'"SPXW","{day}",{strike},"{right}"'
            for day in ("2024-01-19", "2024-02-16")
            for strike in ("4700.000", "4752.500")
            for right in ("CALL", "PUT")
        ),
        _contracts,
        _v3_contract,
    ),
    ("v2", "contracts"): Listing(
        "root,expiration,strike,right",
        tuple(
            f"SPXW,{day},{strike},{right}"
            for day in ("20240119", "20240216")
            for strike in ("4700000", "4752500")
            for right in ("C", "P")
        ),
        _contracts,
        _v2_contract,
    ),
    ("v3", "strikes"): Listing(
        "symbol,strike",
        tuple(f'"SPXW",{strike}.000' for strike in range(4700, 4800, 25)),
        _strikes,
        lambda cells: oracle.number(cells["strike"], {}),
    ),
    ("v2", "strikes"): Listing(
        "strike",
        tuple(f"{strike}000" for strike in range(4700, 4800, 25)),
        _strikes,
        lambda cells: oracle.number(cells["strike"], {}) / 1000,
    ),
    ("v3", "expirations"): Listing(
        "symbol,expiration",
        tuple(f'"SPXW","2024-01-{day}"' for day in (16, 17, 19, 22)),
        _expirations,
        lambda cells: None if cells["expiration"] == "0" else oracle.day(cells["expiration"], {}),
    ),
    ("v2", "expirations"): Listing(
        "date",
        ("0", "20240116", "20240117", "20240119"),
        _expirations,
        lambda cells: None if cells["date"] == "0" else oracle.day(cells["date"], {}),
    ),
}
#: How often each is damaged.
_LISTS = ("contracts", "contracts", "contracts", "strikes", "expirations")


def a_list(dialect: str, name: str = "contracts") -> bytes:
    """Return a sound list."""
    listing = LISTS[dialect, name]
    return "".join(f"{line}\r\n" for line in (listing.columns, *listing.lines)).encode()


def held_by(body: bytes, listing: Listing) -> set[object] | None:
    """Return what a list holds, by the oracle; None if it is unreadable."""
    *lines, rest = body.split(b"\n")
    if rest or not lines:
        return None
    header = [name.strip('"') for name in lines[0].decode("utf-8", "replace").rstrip("\r").split(",")]
    if sorted(header) != sorted(listing.columns.split(",")):
        return None
    try:
        rows = [dict(zip(header, oracle.cells_of(line.rstrip(b"\r"), len(header)), strict=True)) for line in lines[1:]]
        return {held for row in rows if (held := listing.held(row)) is not None}
    except Unreadable:
        return None


def tried_list(dialect: str, dice: Random) -> Found:
    """Damage a list, and hold what the product makes of it to the invariant."""
    name = dice.choice(_LISTS)
    listing = LISTS[dialect, name]
    body, done = mutated(a_list(dialect, name), dice)
    done = f"list of {name}: {done}"
    held = held_by(body, listing)
    readable = held is not None
    try:
        listed = set(listing.ask(terminal(dialect, [body], dice.choice(_PIECES))))
    except (SpxDataError, NoData) as error:
        return Found(error.code, done, readable=readable)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Found("WRONG", done, f"another exception: {error!r:.300}", readable=readable)
    if held is None:
        return Found("WRONG", done, f"{len(listed)} entries of a list that cannot be read: {body!r:.400}")
    if listed != held:
        return Found("WRONG", done, f"{listed ^ held} are not what it holds", readable=True)
    return Found("rows", done, readable=True)


#: What all but single contracts are answered with where those are asked for: the one strike that they have.
STRIKES: Mapping[str, bytes] = {
    "v3": f'symbol,strike\r\n"SPXW",{STRIKE:.3f}\r\n'.encode(),
    "v2": f"strike\r\n{STRIKE * 1000:.0f}\r\n".encode(),
}
