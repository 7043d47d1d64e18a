"""Replies to damage: of the emulator, of every dataset that it has, and recorded ones where they are at hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from spxdata import Emulator
from spxdata.clock import SystemClock
from spxdata.errors import SpxDataError
from spxdata.model import Contract, Right, Unit
from spxdata.schema import DATASETS, Rows
from spxdata.terminal.client import Client
from spxdata.terminal.probe import FoundTerminal
from tests.fuzz.oracle import Row, rows_of

DIALECTS = ("v3", "v2")
TRADE_DATE = date(2024, 1, 16)
EXPIRATION = date(2024, 1, 19)
#: Lines of a reply that are kept: mutations are to strike all of it, and quickly.
_KEPT = 42


@dataclass(frozen=True)
class Sample:
    """A sound reply.

    Attributes:
        dialect: Whose.
        unit: Whose rows.
        body: As received, some whole series of it.
        rows: As the oracle reads them.
        listed: The contracts that the day's list would have; None where there are no contracts.
        origin: Where it comes from.
    """

    dialect: str
    unit: Unit
    body: bytes
    rows: list[Row]
    listed: frozenset[Contract] | None
    origin: str

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
    """Return sound replies of a dialect.

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
        terminal = FoundTerminal(SystemClock(), dialect, emulator.url.rsplit("/", 1)[0])
        for dataset in DATASETS.values():
            if dialect == "v2" and dataset.v2 and dataset.v2.path is None:
                continue  # it comes contract by contract, in many replies: one that is damaged is not the unit's
            for interval in {dataset.interval, "30m" if "30m" in dataset.intervals else dataset.interval}:
                root, whole_day = dataset.root("SPXW"), dataset.unit_of == "day"
                unit = Unit(TRADE_DATE, root, dataset.name, interval, None if whole_day else EXPIRATION)
                try:
                    with terminal.fetch(unit) as reply:
                        body = b"".join(reply.chunks())
                except SpxDataError:  # not every Terminal has every dataset
                    continue
                yield _sample(dialect, unit, body, "emulated")


def _recorded(dialect: str, folder: Path) -> Iterator[Sample]:
    for path in sorted(folder.glob(f"theta_{dialect}_quote/*.csv"))[:4]:
        root, day, expiration = path.stem.split("_")
        unit = Unit(date.fromisoformat(day), root, "quote", "1m", date.fromisoformat(expiration))
        yield _sample(dialect, unit, path.read_bytes(), "recorded")


def _sample(dialect: str, unit: Unit, body: bytes, origin: str) -> Sample:
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
    contracts = {contract for row in rows if (contract := contract_of(row, unit))}
    return Sample(dialect, unit, header + b"".join(lines[:kept]), rows, frozenset(contracts) or None, origin)


def client_of(dialect: str) -> type[Client]:
    """Return the client that speaks a dialect."""
    from spxdata.terminal.v2 import V2Terminal
    from spxdata.terminal.v3 import V3Terminal

    return V2Terminal if dialect == "v2" else V3Terminal
