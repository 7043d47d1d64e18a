"""What happened, as frozen records; displays and logs subscribe to them."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from spxdata.model import Day, DayStatus, HoleKind, Outcome, Unit

#: Version of the records that `as_record` makes.
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run begins: these trade dates are asked for."""

    trade_dates: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class DayClosed(Event):
    """A date has no session."""

    trade_date: date
    reason: str


@dataclass(frozen=True, slots=True)
class DayPlanned(Event):
    """A day's units are known.

    Attributes:
        day: The day.
        units: What is to be fetched.
        skipped: How many units more the archive holds already, or a fact about the whole day settles.
    """

    day: Day
    units: tuple[Unit, ...]
    skipped: int


@dataclass(frozen=True, slots=True)
class ListsDiffer(Event):
    """Answers to one question for a contract list differ: what any of them has is expected.

    Attributes:
        root: Option root.
        trade_date: The day asked about.
        kind: quote or trade.
        sizes: Contracts in each answer.
        contracts: Contracts in all of them together.
    """

    root: str
    trade_date: date
    kind: str
    sizes: tuple[int, ...]
    contracts: int


@dataclass(frozen=True, slots=True)
class AttemptStarted(Event):
    """A unit is asked for."""

    unit: Unit
    attempt: int


@dataclass(frozen=True, slots=True)
class Received(Event):
    """Bytes of a reply arrived."""

    unit: Unit
    bytes: int


@dataclass(frozen=True, slots=True)
class AttemptFailed(Event):
    """An attempt failed; another follows after a wait, or none if wait is None."""

    unit: Unit
    attempt: int
    code: str
    message: str
    wait: float | None


@dataclass(frozen=True, slots=True)
class TerminalUnusable(Event):
    """No request is sent until the Terminal is usable again.

    Attributes:
        code: Code of the error that tells why.
        message: Why.
        waited: Seconds since that began.
        probe_in: Seconds until its status is asked for.
    """

    code: str
    message: str
    waited: float
    probe_in: float


@dataclass(frozen=True, slots=True)
class TerminalUsable(Event):
    """The Terminal is usable again.

    Attributes:
        waited: Seconds it was not.
    """

    waited: float


@dataclass(frozen=True, slots=True)
class GateChanged(Event):
    """As many requests may run at once as this from now on: fewer after a 429, more when the last one is long ago."""

    width: int


@dataclass(frozen=True, slots=True)
class StoredAsFloat(Event):
    """Columns of a file are float64, not decimals: a number in each has too many digits to be an exact one."""

    unit: Unit
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileRenamed(Event):
    """A unit's file has its final name and is durable; the catalog does not know it yet."""

    unit: Unit
    path: str


@dataclass(frozen=True, slots=True)
class FileAdopted(Event):
    """A whole file that the catalog did not know was checked and recorded."""

    unit: Unit
    path: str


@dataclass(frozen=True, slots=True)
class FileRemoved(Event):
    """A file was removed that the unit's file on record, in another format, had replaced before a run was killed."""

    unit: Unit
    path: str


@dataclass(frozen=True, slots=True)
class Quarantined(Event):
    """A refused reply was kept for inspection."""

    unit: Unit
    path: str


@dataclass(frozen=True, slots=True)
class UnitRecorded(Event):
    """The catalog knows how a unit stands."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class DayFinished(Event):
    """A day of a dataset is through."""

    status: DayStatus


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The run is through.

    Attributes:
        downloaded: Days of which rows were stored.
        failed: Days with a failed unit.
        skipped: Days that were in the archive already.
        bytes: Bytes on disk of what was stored in this run.
        rows: Rows of what was stored in this run.
        received: Bytes received from the Terminal.
        seconds: How long it took.
        exit_code: See docs/architecture.md.
        without_rows: Days that were asked for and have no rows: empty, refused, or not published.
    """

    downloaded: int
    failed: int
    skipped: int
    bytes: int
    rows: int
    received: int
    seconds: float
    exit_code: int
    without_rows: int = 0


Emit = Callable[[Event], None]


def ignore(_: Event) -> None:
    """Take an event and do nothing: the default subscriber."""


def as_record(event: Event, at: datetime) -> dict[str, Any]:
    """Return an event as plain values for JSON, with its name, moment and schema version.

    Holes of notes' rank are left out: they would outweigh everything else.
    """
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(event).__name__).lstrip("_")
    return {"schema_version": SCHEMA_VERSION, "event": name, "at": at.isoformat(), **plain(event)}


def plain(value: Any) -> Any:  # noqa: ANN401 - any of the model's values
    """Return a value of the model as what JSON knows: days and moments as ISO text, tuples as lists."""
    match value:
        case date() | time():  # a datetime too
            return value.isoformat()
        case tuple() if hasattr(value, "_fields"):
            return {name: plain(item) for name, item in zip(value._fields, value, strict=True)}
        case tuple() | list():
            return [plain(item) for item in value if getattr(item, "kind", None) is not HoleKind.NOTE]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _ if dataclasses.is_dataclass(value):
            return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    return value
