"""Archives of emulated markets, and what one does with them: fetch, verify, check for revisions, stop at any step."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from spxdata import Emulator
from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.downloader import Download
from spxdata.events import Emit, ignore
from spxdata.integrity.convert import Conversion, convert
from spxdata.integrity.coverage import Wanted
from spxdata.integrity.revisions import Finding, Keep, Revisions, sample, stored_units
from spxdata.integrity.sources import FoundSources
from spxdata.integrity.verify import verify
from spxdata.layout import CATALOG, unit_of
from spxdata.model import Artifact, DayStatus, Outcome, Scope, Unit
from spxdata.pipeline.difference import Difference
from spxdata.pipeline.earlier import keep_earlier
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.plan import Request
from spxdata.protocols import Catalog, Pending, Storage
from spxdata.retry import Patience
from spxdata.sessions import trading_days
from spxdata.storage.local import LocalStorage
from spxdata.terminal.asking import Patience as TerminalPatience
from spxdata.terminal.probe import FoundTerminal
from tests.builders import FakeClock
from tests.faults.harness import LATER
from tests.faults.market import TUESDAY

PATIENCE = TerminalPatience(connect=5.0, lists=5.0, first_byte=5.0, between_bytes=5.0)

#: The trade dates of the emulated market of many small units.
DATES = tuple(trading_days(date(2024, 1, 2), date(2024, 2, 9)))

#: Paths that ask for rows.
DATA = "/history/"


def chains() -> Iterator[tuple[date, tuple[date, ...]]]:
    """Yield every trade date with its three expirations: that day, and the next two trading days."""
    days = tuple(trading_days(DATES[0], date(2024, 2, 16)))
    for number, day in enumerate(DATES):
        yield day, days[number : number + 3]


def request(*dates: date) -> Request:
    """Return what asks for all quotes of trade dates, the archive's by default."""
    return Request(dates or DATES, "SPXW", ("quote",), Scope(60))


#: What asks for a day's files of many kinds: of an expiration, of the day, of an index, of a rate.
MIXED = Request((TUESDAY,), "SPXW", ("greeks", "open_interest", "index_price", "interest_rate"), Scope(0))


def later(days: int = 1) -> FakeClock:
    """Return a clock some days after the download."""
    return FakeClock(LATER + timedelta(days=days))


@contextmanager
def opened(folder: Path, kind: str = "sqlite") -> Iterator[Catalog]:
    """Open the catalog of an archive."""
    new: Catalog = SqliteCatalog(folder / CATALOG) if kind == "sqlite" else JsonCatalog(LocalStorage(folder), folder)
    with closing(new) as catalog:
        yield catalog


def terminal_at(url: str, clock: FakeClock, dialect: str, greeks_version: str = "latest") -> FoundTerminal:
    """Return the Terminal at an address, whose path does not matter."""
    return FoundTerminal(clock, dialect, url.rsplit("/", 1)[0], greeks_version, patience=PATIENCE)


def fetch(
    url: str,
    folder: Path,
    clock: FakeClock,
    *,
    kind: str = "sqlite",
    dataset: str = "quote",
    wanted: Request | None = None,
    dialect: str = "auto",
    encoding: Encoding | None = None,
    greeks_version: str = "latest",
    emit: Emit = ignore,
) -> int:
    """Download a day of a dataset, or what is wanted; return the run's exit code."""
    found = terminal_at(url, clock, dialect, greeks_version)
    edges = Edges(found, LocalStorage(folder), clock, emit, encoding or Encoding(), SortMemory())
    with opened(folder, kind) as catalog:
        run = Download(
            wanted or Request((TUESDAY,), "SPXW", (dataset,), Scope(60)),
            edges,
            catalog,
            widths=lambda _: 1,
            patience=Patience(jitter=0.0),
            chance=lambda: 0.0,
            pacing=0.0,
        )
        return run.run().finished.exit_code


def recorded(folder: Path, kind: str = "sqlite") -> dict[Unit, Artifact]:
    """Return the files that the catalog says units have."""
    with opened(folder, kind) as catalog:
        return {one.unit: one.artifact for one in stored_units(catalog, Wanted()) if one.artifact}


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive in a folder, and the Terminal that it comes from.

    Attributes:
        folder: The data directory.
        terminal: An emulator.
        kind: How its catalog is kept: sqlite or json.
        encoding: How its files are written.
    """

    folder: Path
    terminal: Emulator
    kind: str = "sqlite"
    encoding: Encoding = Encoding()  # noqa: RUF009 - frozen

    @property
    def storage(self) -> LocalStorage:
        """Its files."""
        return LocalStorage(self.folder)

    def catalog(self) -> AbstractContextManager[Catalog]:
        """Open its catalog, until the end of a block."""
        return opened(self.folder, self.kind)

    def fetch(self, wanted: Request, emit: Emit = ignore, encoding: Encoding | None = None) -> int:
        """Run the downloader; return its exit code."""
        clock = FakeClock(LATER)
        encoding = encoding or self.encoding
        return fetch(self.terminal.url, self.folder, clock, kind=self.kind, wanted=wanted, encoding=encoding, emit=emit)

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
        return [path for path in self.storage.names() if path.endswith((".parquet", ".csv")) and path[0] != "."]

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
        return replace(self, folder=folder)


@dataclass
class Steps:
    """Counts the steps that change the archive, and does something right before one of them.

    Attributes:
        at: Which one, from 1; 0 for none.
        then: What is done.
        taken: The steps so far, by name.
    """

    at: int = 0
    then: Callable[[], object] = lambda: None
    taken: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> None:
        """Take a step."""
        self.taken.append(name)
        if len(self.taken) == self.at:
            self.then()


class SteppedCatalog:
    """A catalog whose changes are steps."""

    CHANGES = ("begin_day", "end_day", "interrupt_day", "withdraw", "record", "keep_documents", "drop_documents")

    def __init__(self, inner: Catalog, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self.CHANGES:
            return found

        def change(*arguments: object) -> object:
            self._steps(name)
            return found(*arguments)

        return change


class SteppedPending:
    """A file whose commit is a step."""

    def __init__(self, inner: Pending, name: str, steps: Steps) -> None:
        self._inner = inner
        self._name = name
        self._steps = steps

    def write(self, data: bytes) -> int:
        """Append bytes."""
        return self._inner.write(data)

    def commit(self) -> None:
        """Give the file its name."""
        self._steps(f"commit {self._name}")
        self._inner.commit()


class SteppedStorage:
    """A storage whose commits and removals are steps."""

    def __init__(self, inner: Storage, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps

    @contextmanager
    def create(self, path: str) -> Iterator[Pending]:
        """Begin a file."""
        with self._inner.create(path) as pending:
            yield SteppedPending(pending, path, self._steps)

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        return self._inner.open(path)

    def size(self, path: str) -> int | None:
        """Return a file's size."""
        return self._inner.size(path)

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Return the paths of all files below a folder."""
        return self._inner.names(folder)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the paths of all files below a folder with their bytes."""
        return self._inner.sizes(folder)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._steps(f"remove {path}")
        self._inner.remove(path)

    def move(self, path: str, to: str) -> None:
        """Give a file another name."""
        self._steps(f"move {to}")
        self._inner.move(path, to)

    def sweep(self) -> tuple[str, ...]:
        """Remove what interrupted writers left."""
        return self._inner.sweep()


def check(
    url: str,
    folder: Path,
    clock: FakeClock,
    *,
    keep: str = "old",
    number: int = 100,
    seed: int = 0,
    kind: str = "sqlite",
    steps: Steps | None = None,
    dialect: str = "auto",
    wanted: Wanted | None = None,
    greeks_version: str = "latest",
) -> list[Finding]:
    """Fetch stored units again; waits pass on the clock given."""
    found = terminal_at(url, clock, dialect, greeks_version)
    steps = steps or Steps()
    storage: Any = SteppedStorage(LocalStorage(folder), steps)
    edges = Edges(found, storage, clock, lambda _: None, Encoding(), SortMemory())
    with opened(folder, kind) as catalog:
        stepped: Any = SteppedCatalog(catalog, steps)
        revisions = Revisions(
            stepped,
            edges,
            FoundSources(found),
            keep=Keep(keep),
            patience=Patience(jitter=0.0),
            chance=lambda: 0.0,
            pacing=0.0,
        )
        chosen = sample(stored_units(catalog, wanted or Wanted()), number, random.Random(seed))  # noqa: S311 - a choice
        return list(revisions.check(chosen))


def converted(
    folder: Path, encoding: Encoding, *, kind: str = "sqlite", steps: Steps | None = None
) -> list[Conversion]:
    """Give an archive's files an encoding."""
    steps = steps or Steps()
    storage: Any = SteppedStorage(LocalStorage(folder), steps)
    with opened(folder, kind) as catalog:
        stepped: Any = SteppedCatalog(catalog, steps)
        return list(convert(stepped, storage, encoding, later()))


def kept_earlier(archive: Archive, path: str) -> str:
    """Keep a copy of a unit's file as if newer rows were to replace it; return the copy's path."""
    unit = unit_of(path)
    with archive.catalog() as catalog:
        outcome = catalog.outcome(unit)
        assert outcome
        assert outcome.artifact
        return keep_earlier(catalog, archive.storage, unit, outcome.artifact).path
