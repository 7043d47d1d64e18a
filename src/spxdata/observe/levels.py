"""What the log says of each event: how urgent it is, which service and operation spoke, about what, in which words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from operator import attrgetter
from typing import Any, Final

from spxdata.errors import SpxDataError, StorageError
from spxdata.events import (
    AttemptFailed,
    AttemptStarted,
    DayClosed,
    DayFinished,
    DayPlanned,
    Event,
    FileAdopted,
    FileRemoved,
    FileRenamed,
    GateChanged,
    ListsDiffer,
    Quarantined,
    Received,
    RunFinished,
    RunStarted,
    StoredAsFloat,
    TerminalUnusable,
    TerminalUsable,
    UnitRecorded,
)
from spxdata.model import Day, DayStatus, Outcome, State, Unit, Verdict


class Level(IntEnum):
    """How urgent a record is."""

    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    FATAL = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """What the log says of the events of one class.

    Attributes:
        service: The part of the product that speaks.
        operation: What it is doing.
        level: How urgent it is; or a function that tells it of the event.
        words: The event on one line.
        about: Attribute of the event that says which unit, day or date it is about; empty for the run as a whole.
    """

    service: str
    operation: str
    level: Level | Callable[[Any], Level]
    words: Callable[[Any], str]
    about: str = ""

    def subject(self, event: Event) -> Unit | Day | date | None:
        """Return what an event is about, None for the run as a whole."""
        subject: Unit | Day | date | None = attrgetter(self.about)(event) if self.about else None
        return subject

    def urgency(self, event: Event) -> Level:
        """Return how urgent an event is."""
        return self.level if isinstance(self.level, Level) else self.level(event)


_OF_STATE: Final = {State.FAILED: Level.ERROR, State.REFUSED: Level.WARN}
_OF_VERDICT: Final = {Verdict.PARTIAL: Level.WARN}


def _unit_recorded(event: UnitRecorded) -> Level:
    return Level.WARN if event.outcome.partial else _OF_STATE.get(event.outcome.state, Level.INFO)


def _day_finished(event: DayFinished) -> Level:
    if event.status.status == "failed":
        return Level.ERROR
    return _OF_VERDICT.get(event.status.verdict, Level.INFO) if event.status.verdict else Level.INFO


def _outcome(outcome: Outcome) -> str:
    rows = f", {outcome.artifact.rows:,} rows in {outcome.artifact.path}" if outcome.artifact else ""
    holes = f", {sum(hole.partial for hole in outcome.holes)} holes" if outcome.partial else ""
    return f"{outcome.unit}: {outcome.state}{rows}{holes}{f', {outcome.reason}' if outcome.reason else ''}"


def _day(status: DayStatus) -> str:
    verdict = status.verdict or status.status
    return f"{_name(status.day)}: {verdict}, {status.rows:,} rows{f', {status.error}' if status.error else ''}"


def _name(day: Day) -> str:
    return f"{day.trade_date} {day.root} {day.dataset} {day.interval}"


def _dates(dates: tuple[date, ...]) -> str:
    return f"{dates[0]} to {dates[-1]}" if dates else "no date"


#: Every class of event; a test fails while one has no entry.
ENTRIES: Final[Mapping[type[Event], Entry]] = {
    RunStarted: Entry("downloader", "run", Level.INFO, lambda e: f"The run begins: {_dates(e.trade_dates)}"),
    DayClosed: Entry("downloader", "plan", Level.INFO, lambda e: f"{e.trade_date}: closed, {e.reason}", "trade_date"),
    DayPlanned: Entry(
        "downloader",
        "plan",
        Level.DEBUG,
        lambda e: f"{_name(e.day)}: {len(e.units)} units to fetch, {e.skipped} there already",
        "day",
    ),
    ListsDiffer: Entry(
        "downloader",
        "plan",
        Level.WARN,
        lambda e: (
            f"{e.trade_date} {e.root}: the list of {e.kind} contracts came with "
            f"{' and '.join(f'{size:,}' for size in e.sizes)} contracts; all {e.contracts:,} are expected"
        ),
        "trade_date",
    ),
    AttemptStarted: Entry("downloader", "attempt", Level.DEBUG, lambda e: f"{e.unit}: try {e.attempt}", "unit"),
    Received: Entry("terminal", "fetch", Level.TRACE, lambda e: f"{e.unit}: {e.bytes:,} bytes", "unit"),
    AttemptFailed: Entry(
        "downloader",
        "attempt",
        Level.WARN,
        lambda e: (
            f"{e.unit}: try {e.attempt} failed, "
            f"{'no other follows' if e.wait is None else f'next in {e.wait:.1f} s'}: {e.message}"
        ),
        "unit",
    ),
    TerminalUnusable: Entry(
        "terminal",
        "breaker",
        Level.WARN,
        lambda e: f"Not usable for {e.waited:.0f} s, next look in {e.probe_in:.0f} s: {e.message}",
    ),
    TerminalUsable: Entry("terminal", "breaker", Level.INFO, lambda e: f"Usable again after {e.waited:.0f} s"),
    GateChanged: Entry("terminal", "gate", Level.INFO, lambda e: f"{e.width} requests at once"),
    StoredAsFloat: Entry(
        "pipeline",
        "write",
        Level.WARN,
        lambda e: f"{e.unit}: not as decimals, some number has too many digits: {', '.join(e.columns)}",
        "unit",
    ),
    FileRenamed: Entry("pipeline", "write", Level.DEBUG, lambda e: f"{e.unit}: written to {e.path}", "unit"),
    FileAdopted: Entry("pipeline", "adopt", Level.INFO, lambda e: f"{e.unit}: found in {e.path}", "unit"),
    FileRemoved: Entry("downloader", "plan", Level.INFO, lambda e: f"{e.unit}: removed {e.path}", "unit"),
    Quarantined: Entry("pipeline", "quarantine", Level.WARN, lambda e: f"{e.unit}: kept in {e.path}", "unit"),
    UnitRecorded: Entry("catalog", "record", _unit_recorded, lambda e: _outcome(e.outcome), "outcome.unit"),
    DayFinished: Entry("downloader", "day", _day_finished, lambda e: _day(e.status), "status.day"),
    RunFinished: Entry(
        "downloader",
        "run",
        lambda e: Level.ERROR if e.exit_code else Level.INFO,
        lambda e: (
            f"The run ends with exit code {e.exit_code}: {e.downloaded} days downloaded, {e.failed} failed, "
            f"{e.skipped} skipped, {e.rows:,} rows, {e.seconds:.1f} s"
        ),
    ),
}

#: How a run ends that does not finish: the name of the record, and how urgent it is; the first that fits.
ENDINGS: Final[tuple[tuple[type[BaseException], str, Level], ...]] = (
    (KeyboardInterrupt, "run_interrupted", Level.WARN),
    (StorageError, "run_failed", Level.FATAL),
    (SpxDataError, "run_failed", Level.ERROR),
    (BaseException, "run_failed", Level.FATAL),
)
