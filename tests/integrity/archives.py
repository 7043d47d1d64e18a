"""An archive of many small units, made by the downloader from an emulated market, and what one does with it."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from spxdata import Emulator
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.downloader import Download
from spxdata.events import Emit, ignore
from spxdata.integrity.difference import Difference
from spxdata.integrity.verify import verify
from spxdata.layout import CATALOG
from spxdata.model import DayStatus, Outcome, Scope, Unit
from spxdata.pipeline.attempt import Edges
from spxdata.pipeline.order import SortMemory
from spxdata.pipeline.write import Encoding
from spxdata.plan import Request
from spxdata.retry import Patience
from spxdata.sessions import trading_days
from spxdata.storage.local import LocalStorage
from spxdata.terminal.probe import FoundTerminal
from tests.builders import FakeClock

#: The trade dates of the emulated market, and a moment when all of them were published.
DATES = tuple(trading_days(date(2024, 1, 2), date(2024, 2, 9)))
LATER = datetime(2024, 6, 3, 15, 0, tzinfo=UTC)

#: Paths that ask for rows.
DATA = "/option/history/"


def chains() -> Iterator[tuple[date, tuple[date, ...]]]:
    """Yield every trade date with its three expirations: that day, and the next two trading days."""
    days = tuple(trading_days(DATES[0], date(2024, 2, 16)))
    for number, day in enumerate(DATES):
        yield day, days[number : number + 3]


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive in a folder, and the Terminal that it comes from.

    Attributes:
        folder: The data directory.
        terminal: An emulator.
    """

    folder: Path
    terminal: Emulator

    @property
    def storage(self) -> LocalStorage:
        """Its files."""
        return LocalStorage(self.folder)

    def catalog(self) -> "closing[SqliteCatalog]":
        """Open its catalog, until the end of a block."""
        return closing(SqliteCatalog(self.folder / CATALOG))

    def fetch(self, request: Request, emit: Emit = ignore) -> int:
        """Run the downloader; return its exit code."""
        clock = FakeClock(LATER)
        terminal = FoundTerminal(clock, "v3", self.terminal.url)
        edges = Edges(terminal, self.storage, clock, emit, Encoding(), SortMemory())
        with self.catalog() as catalog:
            run = Download(
                request,
                edges,
                catalog,
                widths=lambda _: 2,
                patience=Patience(jitter=0.0),
                chance=lambda: 0.0,
                pacing=0.0,
            )
            return run.run().finished.exit_code

    def differences(self, *, quick: bool = False) -> list[Difference]:
        """Return all differences between catalog and disk."""
        with self.catalog() as catalog:
            return list(verify(catalog, self.storage, quick=quick))

    def days(self) -> tuple[DayStatus, ...]:
        """Return the days' lines in the catalog."""
        with self.catalog() as catalog:
            return catalog.days()

    def outcomes(self) -> dict[Unit, Outcome]:
        """Return how every unit stands."""
        with self.catalog() as catalog:
            return {outcome.unit: outcome for day in catalog.days() for outcome in catalog.outcomes(day.day)}

    def hashes(self) -> dict[Unit, str]:
        """Return the content hashes of all that is stored."""
        return {unit: one.artifact.content_hash for unit, one in self.outcomes().items() if one.artifact}

    def files(self) -> list[str]:
        """Return the paths of all artifacts on disk."""
        return [path for path in self.storage.names() if path.endswith(".parquet") and not path.startswith(".")]

    def asked(self, since: int = 0) -> list[tuple[date, date]]:
        """Return trade date and expiration of every request for rows that was answered since some request."""
        return sorted(
            (date.fromisoformat(query["date"]), date.fromisoformat(query["expiration"]))
            for path, query in self.terminal.requests[since:]
            if DATA in path
        )

    def copy(self, folder: Path) -> "Archive":
        """Return a copy of it elsewhere."""
        shutil.copytree(self.folder, folder)
        return Archive(folder, self.terminal)


def request(*dates: date) -> Request:
    """Return what asks for all quotes of trade dates, the archive's by default."""
    return Request(dates or DATES, "SPXW", ("quote",), Scope(60))
