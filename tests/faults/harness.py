"""Runs of the downloader against an emulator that fails on purpose, and what came of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from spxdata import Emulator
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.downloader import Download
from spxdata.errors import SpxDataError
from spxdata.events import AttemptFailed, Event, RunFinished
from spxdata.layout import CATALOG
from spxdata.model import DayStatus, Outcome, Scope, Unit
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.plan import Request
from spxdata.protocols import Clock
from spxdata.retry import Patience
from spxdata.storage.local import LocalStorage
from spxdata.terminal.asking import Patience as TerminalPatience
from spxdata.terminal.probe import FoundTerminal
from tests.builders import FakeClock
from tests.faults.market import TUESDAY

#: A moment when everything has been published.
LATER = datetime(2024, 6, 3, 15, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run.

    Attributes:
        events: What happened, in order.
        error: What ended it early.
        outcomes: How every unit stands.
        days: The days' lines.
    """

    events: tuple[Event, ...]
    error: SpxDataError | None
    outcomes: dict[Unit, Outcome]
    days: tuple[DayStatus, ...]

    @property
    def hashes(self) -> dict[Unit, str]:
        """Content hashes of all that is stored."""
        return {unit: outcome.artifact.content_hash for unit, outcome in self.outcomes.items() if outcome.artifact}

    @property
    def finished(self) -> RunFinished:
        """The run's figures."""
        return next(event for event in self.events if isinstance(event, RunFinished))

    @property
    def failures(self) -> list[AttemptFailed]:
        """The attempts that failed, as the user is told of them."""
        return [event for event in self.events if isinstance(event, AttemptFailed)]


def fake_clock() -> FakeClock:
    """Return a clock on which everything has been published."""
    return FakeClock(LATER)


def run(
    terminal: Emulator | str,
    dialect: str,
    folder: Path,
    clock: Clock,
    *,
    dates: tuple[date, ...] = (TUESDAY,),
    widths: Callable[[str], int] = lambda _: 1,
    patience: TerminalPatience | None = None,
    terminal_patience: float = 60.0,
    pacing: float = 0.0,
    dataset: str = "quote",
    greeks_version: str = "latest",
    on_event: Callable[[Event], None] = lambda _: None,
) -> Ran:
    """Bring some days into an archive; waits between tries pass on the clock given.

    Args:
        terminal: An emulator, or the address of a Terminal without a path.
        dialect: How it is spoken to: auto, v2 or v3.
        folder: The archive.
        clock: Time for all waits but those at a socket.
        dates: Trade dates.
        widths: How many requests at once, by dialect.
        patience: Seconds to wait at a socket.
        terminal_patience: Seconds to wait for a Terminal that is not usable.
        pacing: Least seconds between the starts of two requests.
        dataset: What to fetch.
        greeks_version: Which greeks to ask for.
        on_event: Told of every event as it happens.
    """
    url = terminal if isinstance(terminal, str) else terminal.url.rsplit("/", 1)[0]
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        on_event(event)

    patience = patience or TerminalPatience(connect=5.0, lists=5.0, first_byte=5.0, between_bytes=5.0)
    found = FoundTerminal(clock, dialect, url, greeks_version, patience=patience)
    edges = Edges(found, LocalStorage(folder), clock, emit, Encoding(), SortMemory())
    catalog = SqliteCatalog(folder / CATALOG)
    error = None
    try:
        Download(
            Request(dates, "SPXW", (dataset,), Scope(60), force=False),
            edges,
            catalog,
            widths=widths,
            patience=Patience(jitter=0.0),
            chance=lambda: 0.0,
            terminal_patience=terminal_patience,
            pacing=pacing,
        ).run()
    except SpxDataError as stopped:
        error = stopped
    finally:
        days = tuple(catalog.days())
        outcomes = {outcome.unit: outcome for status in days for outcome in catalog.outcomes(status.day)}
        catalog.close()
    return Ran(tuple(events), error, outcomes, days)
