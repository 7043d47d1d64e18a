"""A download in a process of its own that dies, or whose disk fails, at a moment that is named in advance.

Its only argument is a JSON object: where the Terminal and the archive are, and what happens when. It ends with the exit
code of the run, or is killed.
"""

import errno
import json
import os
import resource
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.clock import SystemClock
from spxdata.downloader import Download
from spxdata.errors import SpxDataError
from spxdata.events import Event, as_record
from spxdata.layout import CATALOG
from spxdata.model import Day, Outcome, Scope, Unit, Verdict
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.plan import Request
from spxdata.retry import Patience
from spxdata.storage.local import LocalStorage
from spxdata.terminal.probe import FoundTerminal

if TYPE_CHECKING:

    class _Base:
        """Whatever catalog it is mixed into."""

        def withdraw(self, unit: Unit) -> None: ...
        def record(self, outcome: Outcome, at: datetime) -> None: ...
        def end_day(self, day: Day, verdict: Verdict | None, error: str | None, at: datetime) -> None: ...
else:
    _Base = object


@dataclass
class Fate:
    """What happens at which moment; moments are counted by name, and all of them together.

    Attributes:
        moment: A step of a commit, before or after, such as "after rename", or an event's name; "any" counts all.
        nth: Which one of them.
        what: "kill", the name of a system error, or "remove" for the folder that goes away.
        folder: That folder.
    """

    moment: str = ""
    nth: int = 0
    what: str = "kill"
    folder: Path = Path()
    seen: Counter[str] = field(default_factory=Counter)

    def meet(self, moment: str) -> None:
        """Let happen what is to happen now."""
        self.seen.update((moment, "any"))
        if self.moment not in (moment, "any") or self.seen[self.moment] != self.nth:
            return
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.what == "remove":
            shutil.rmtree(self.folder)
        else:
            number = getattr(errno, self.what)
            raise OSError(number, os.strerror(number))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Surround a step."""
        self.meet(f"before {name}")
        yield
        self.meet(f"after {name}")


class _Fateful(_Base):
    """A catalog whose changes are moments, too."""

    fate: Fate

    def withdraw(self, unit: Unit) -> None:
        """Forget a unit's file."""
        with self.fate.step("withdraw"):
            super().withdraw(unit)

    def record(self, outcome: Outcome, at: datetime) -> None:
        """Note how a unit stands."""
        with self.fate.step("record"):
            super().record(outcome, at)

    def end_day(self, day: Day, verdict: Verdict | None, error: str | None, at: datetime) -> None:
        """Note how a day ended."""
        with self.fate.step("end of day"):
            super().end_day(day, verdict, error, at)


class FatefulDatabase(_Fateful, SqliteCatalog):
    """One in SQLite."""


class FatefulFiles(_Fateful, JsonCatalog):
    """One in JSON, whose files are written by steps of a commit, as all others."""


def open_catalog(kind: str, folder: Path, fate: Fate, storage: LocalStorage) -> FatefulDatabase | FatefulFiles:
    """Open the archive's catalog, of the kind ordered."""
    found = FatefulDatabase(folder / CATALOG) if kind == "sqlite" else FatefulFiles(storage, folder)
    found.fate = fate
    return found


class RoomyStorage(LocalStorage):
    """A storage that says it has space, so that the disk is full in the midst of a day."""

    def free(self) -> int:
        """Return more than anybody needs."""
        return 10**15


class SkewedClock(SystemClock):
    """Real time on a clock that goes wrong by so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._skew = timedelta(seconds=seconds)

    def now(self) -> datetime:
        """Return what it says."""
        return super().now() + self._skew


def run(order: dict[str, Any]) -> int:
    """Download as ordered; return the exit code."""
    folder = Path(order["folder"])
    if "largest_file" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"],) * 2)
    fate = Fate(**{**order.get("fate", {}), "folder": Path(order.get("removed", folder))})

    def emit(event: Event) -> None:
        fate.meet(str(as_record(event, datetime.now(UTC))["event"]))

    clock = SkewedClock(order.get("skew", 0.0))
    found = FoundTerminal(clock, "auto", order["url"])
    catalog = None
    try:
        storage = RoomyStorage(folder, step=fate.step)
        catalog = open_catalog(order.get("catalog", "sqlite"), folder, fate, storage)
        edges = Edges(found, storage, clock, emit, Encoding(), SortMemory())
        days = tuple(map(date.fromisoformat, order["days"]))
        request = Request(days, "SPXW", ("quote",), Scope(60), force=order.get("force", False))
        download = Download(
            request, edges, catalog, widths=lambda _: 2, patience=Patience(), chance=lambda: 0.0, pacing=0.0
        )
        return download.run().finished.exit_code
    except SpxDataError as error:
        sys.stderr.write(f"{error.code} {error.message}\n")
        return error.exit_code
    finally:
        if catalog is not None:
            catalog.close()


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1])))
