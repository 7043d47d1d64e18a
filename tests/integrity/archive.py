"""A small archive of an emulated market, and a check of it for revisions, with a hook before every step it takes."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.downloader import Download
from spxdata.integrity.coverage import Wanted
from spxdata.integrity.revisions import Finding, Keep, Revisions, sample, stored_units
from spxdata.integrity.sources import FoundSources
from spxdata.layout import CATALOG
from spxdata.model import Artifact, Scope, Unit
from spxdata.pipeline.attempt import Edges
from spxdata.pipeline.order import SortMemory
from spxdata.pipeline.write import Encoding
from spxdata.plan import Request
from spxdata.protocols import Catalog, Pending, Storage
from spxdata.retry import Patience
from spxdata.storage.local import LocalStorage
from spxdata.terminal.asking import Patience as TerminalPatience
from spxdata.terminal.probe import FoundTerminal
from tests.builders import FakeClock
from tests.faults.harness import LATER
from tests.faults.market import TUESDAY

PATIENCE = TerminalPatience(connect=5.0, lists=5.0, first_byte=5.0, between_bytes=5.0)


def later(days: int = 1) -> FakeClock:
    """Return a clock some days after the download."""
    return FakeClock(LATER + timedelta(days=days))


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

    CHANGES = ("begin_day", "end_day", "interrupt_day", "withdraw", "record", "keep_documents")

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

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._steps(f"remove {path}")
        self._inner.remove(path)

    def sweep(self) -> tuple[str, ...]:
        """Remove what interrupted writers left."""
        return self._inner.sweep()


@contextmanager
def opened(folder: Path, kind: str = "sqlite") -> Iterator[Catalog]:
    """Open the catalog of an archive."""
    new: Catalog = SqliteCatalog(folder / CATALOG) if kind == "sqlite" else JsonCatalog(LocalStorage(folder), folder)
    with closing(new) as catalog:
        yield catalog


def address(url: str) -> str:
    """Return a Terminal's address without its path."""
    return url.rsplit("/", 1)[0]


def fetch(
    url: str,
    folder: Path,
    clock: FakeClock,
    *,
    kind: str = "sqlite",
    dataset: str = "quote",
    dialect: str = "auto",
    encoding: Encoding | None = None,
    greeks_version: str = "latest",
) -> None:
    """Download the market's day."""
    found = FoundTerminal(clock, dialect, address(url), greeks_version, patience=PATIENCE)
    edges = Edges(found, LocalStorage(folder), clock, lambda _: None, encoding or Encoding(), SortMemory())
    with opened(folder, kind) as catalog:
        Download(
            Request((TUESDAY,), "SPXW", (dataset,), Scope(60)),
            edges,
            catalog,
            widths=lambda _: 1,
            patience=Patience(jitter=0.0),
            chance=lambda: 0.0,
            pacing=0.0,
        ).run()


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
    found = FoundTerminal(clock, dialect, address(url), greeks_version, patience=PATIENCE)
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


def recorded(folder: Path, kind: str = "sqlite") -> dict[Unit, Artifact]:
    """Return the files that the catalog says units have."""
    with opened(folder, kind) as catalog:
        return {one.unit: one.artifact for one in stored_units(catalog, Wanted()) if one.artifact}
