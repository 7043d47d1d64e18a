"""Replies to damage: of the emulator, of every dataset that it has, and recorded ones where they are at hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from spxdata import Emulator
from spxdata.clock import SystemClock
from spxdata.errors import NotInDialect
from spxdata.model import Contract, Right, Unit
from spxdata.schema import DATASETS, TICK, Dataset, Rows, wire
from spxdata.terminal.asking import Line
from spxdata.terminal.client import Client
from spxdata.terminal.split import is_chain_refused, whole_of
from spxdata.terminal.v2 import V2Terminal
from spxdata.terminal.v3 import V3Terminal
from tests.fuzz.oracle import Row, rows_of

CLIENTS: Mapping[str, type[Client]] = {"v3": V3Terminal, "v2": V2Terminal}
DIALECTS = tuple(CLIENTS)
TRADE_DATE = date(2024, 1, 16)
EXPIRATION = date(2024, 1, 19)
#: The strike of which both contracts are asked for singly, where a chain is not to be had.
STRIKE = 4750.0
#: Lines of a reply that are kept: mutations are to strike all of it, and quickly.
_KEPT = 42
#: Recorded replies of a dataset that are taken.
_RECORDED = 4


@dataclass(frozen=True)
class Sample:
    """A sound reply.

    Attributes:
        dialect: Whose.
        unit: Whose rows.
        pages: As received, some whole series of it: one, or one for each contract that was asked for singly.
        rows: As the oracle reads them.
        listed: The contracts that the day's list would have; None where there are no contracts.
        origin: Where it comes from.
        requests: What was asked for each single contract; none where a chain was asked for.
        given: By single contract, the cells that name it, where its rows come without them.
    """

    dialect: str
    unit: Unit
    pages: tuple[bytes, ...]
    rows: list[Row]
    listed: frozenset[Contract] | None
    origin: str
    requests: tuple[str, ...] = ()
    given: tuple[Mapping[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        """The reply of a chain."""
        (body,) = self.pages
        return body

    def __str__(self) -> str:
        return f"{self.origin} {self.unit.dataset} {self.unit.interval}"


def contract_of(row: Row, unit: Unit) -> Contract | None:
    """Return the contract of a row, None where rows have none."""
    cells = dict(zip(DATASETS[unit.dataset].names, row, strict=True))
    if "strike" not in cells:
        return None
    return Contract(cells["expiration"], cells["strike"], Right(cells["right"]))


@cache
def samples(dialect: str, reference: Path | None = None) -> tuple[Sample, ...]:
    """Return sound replies of a dialect: of every dataset that it has, with a grid and as ticks.

    Args:
        dialect: v2 or v3.
        reference: The folder of recorded data, if there is one.
    """
    found = list(_emulated(dialect))
    if reference is not None:
        found += _recorded(dialect, reference / "realdata")
    return tuple(found)


def _emulated(dialect: str) -> Iterator[Sample]:
    with Emulator(dialect=dialect, v2_greeks_rows=391) as emulator:
        client = CLIENTS[dialect](Line(emulator.url, dialect), SystemClock())
        for dataset in DATASETS.values():
            if not _has(dialect, dataset):
                continue
            for interval in dict.fromkeys((dataset.interval, "30m", TICK)):
                if interval not in dataset.intervals:
                    continue
                root, whole_day = dataset.root("SPXW"), dataset.unit_of == "day"
                unit = Unit(TRADE_DATE, root, dataset.name, interval, None if whole_day else EXPIRATION)
                if wire(dataset, dialect).path is None or is_chain_refused(unit):
                    yield _singles(client, unit)
                else:
                    with client.fetch(unit) as reply:
                        body = b"".join(reply.chunks())
                    yield _chain(dialect, unit, body, "emulated")


def _has(dialect: str, dataset: Dataset) -> bool:
    try:
        return bool(wire(dataset, dialect))
    except NotInDialect:
        return False


def _recorded(dialect: str, folder: Path) -> Iterator[Sample]:
    for found in sorted(folder.glob(f"theta_{dialect}_*")):
        dataset = DATASETS[found.name.removeprefix(f"theta_{dialect}_")]
        for path in sorted(found.glob("*.csv"))[:_RECORDED]:
            root, day, *expiration = path.stem.split("_")
            whole_day = dataset.unit_of == "day"
            unit = Unit(
                date.fromisoformat(day),
                root,
                dataset.name,
                dataset.interval,
                None if whole_day else date.fromisoformat(expiration[0]),
            )
            yield _chain(dialect, unit, path.read_bytes(), "recorded")


def _chain(dialect: str, unit: Unit, body: bytes, origin: str) -> Sample:
    """Return a reply's first series, as many as are whole within the lines kept, but one at least."""
    dataset = DATASETS[unit.dataset]
    header, *lines = body.splitlines(keepends=True)
    rows = rows_of([header + b"".join(lines[:1000])], dataset, dialect)
    kept = 0
    if dataset.rows_at(unit.interval) is Rows.GRID:
        for at in range(1, len(rows)):
            if contract_of(rows[at], unit) != contract_of(rows[at - 1], unit):
                if at > _KEPT and kept:
                    break
                kept = at
        kept = kept or len(rows)
    else:
        kept = min(_KEPT, len(rows))
    rows = rows[:kept]
    return Sample(dialect, unit, (header + b"".join(lines[:kept]),), rows, _listed(rows, unit), origin)


def _singles(client: Client, unit: Unit) -> Sample:
    """Return the replies for the two contracts of a strike, which are asked for one by one."""
    dataset = DATASETS[unit.dataset]
    requests, pages, given = [], [], []
    for right in Right:
        part = whole_of(unit)._replace(contract=(STRIKE, right))
        requests.append(client.request(part))
        with client.line.ask(requests[-1], client.line.patience.for_data()) as response:
            header, *lines = b"".join(response.chunks()).splitlines(keepends=True)
        kept = None if dataset.rows_at(unit.interval) is Rows.GRID else _KEPT // 2
        pages.append(header + b"".join(lines[:kept]))
        if wire(dataset, client.dialect).unnamed:
            strike = str(int(STRIKE * 1000))
            given.append({
                "root": unit.root, "expiration": f"{unit.expiration:%Y%m%d}", "strike": strike, "right": right[0]
            })  # fmt: skip
    rows = rows_of(pages, dataset, client.dialect, given)
    listed = _listed(rows, unit)
    return Sample(client.dialect, unit, tuple(pages), rows, listed, "emulated", tuple(requests), tuple(given))


def _listed(rows: list[Row], unit: Unit) -> frozenset[Contract] | None:
    return frozenset(contract for row in rows if (contract := contract_of(row, unit))) or None
