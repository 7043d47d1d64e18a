"""From events to the records of a log: who speaks, when, of which run and of which piece of work."""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from spxdata import __version__
from spxdata.errors import SpxDataError, StorageError
from spxdata.events import SCHEMA_VERSION, AttemptStarted, DayFinished, DayPlanned, Event, UnitRecorded, as_record
from spxdata.masking import masked, masked_words
from spxdata.model import Day, Unit
from spxdata.observe.levels import ENDINGS, ENTRIES, Level

#: The event of a run's first record.
HEADER: Final = "run"

Values = Mapping[str, Any]


class Record(NamedTuple):
    """What is logged of one event.

    Attributes:
        level: How urgent it is.
        values: Everything, ready for JSON.
        words: The same on one line, for people.
    """

    level: Level
    values: Values
    words: str


@dataclass(frozen=True, slots=True)
class Header:
    """A run, as each of its records names it.

    Attributes:
        run_id: Its name, as `run_id` makes it.
        command: What runs: a command, or the call from Python.
        parameters: What was typed after it, credentials masked.
        started_at: When it began (aware).
    """

    run_id: str
    command: str
    parameters: tuple[str, ...]
    started_at: datetime

    @classmethod
    def of(cls, typed: Sequence[str], started_at: datetime, suffix: str) -> "Header":
        """Return the header of a run that begins.

        Args:
            typed: Command and parameters, as they were typed.
            started_at: The current moment (aware).
            suffix: What tells runs apart that begin at the same moment.
        """
        command, *parameters = masked_words(typed) or ("",)
        return cls(run_id(started_at, suffix), command, tuple(parameters), started_at)

    def record(self) -> Record:
        """Return what a log says first of a run."""
        values = {
            "schema_version": SCHEMA_VERSION,
            "at": self.started_at.isoformat(),
            "level": Level.INFO.name.lower(),
            "event": HEADER,
            "run_id": self.run_id,
            "command": self.command,
            "parameters": list(self.parameters),
            "version": __version__,
            "started_at": self.started_at.isoformat(),
        }
        words = " ".join((f"Run {self.run_id} of spxdata {__version__}:", self.command, *self.parameters))
        return Record(Level.INFO, values, words)


def run_id(started_at: datetime, suffix: str) -> str:
    """Return a run's name: readable, in the order of beginnings, and a file's name on every system.

    Example:
        >>> run_id(datetime(2024, 1, 17, 12, 30, 15, 250_001, UTC), "9f3c")
        '20240117T123015.250001Z-9f3c'
    """
    return f"{_stamp(started_at)}-{suffix}"


@dataclass(slots=True)
class Recorder:
    """Makes the records of one run; remembers when each piece of work began.

    Attributes:
        header: The run.
    """

    header: Header
    _began: dict[Unit | Day, datetime] = field(default_factory=dict)

    def __call__(self, event: Event, at: datetime) -> Record:
        """Return the record of an event.

        Args:
            event: What happened.
            at: When (aware).
        """
        entry = ENTRIES[type(event)]
        level = entry.urgency(event)
        about = self._correlation(event, entry.subject(event), at)
        facts = {"service": entry.service, "operation": entry.operation, **as_record(event, at)}
        if isinstance(event, UnitRecorded) and event.outcome.code:
            facts |= {"code": event.outcome.code, "message": event.outcome.reason}
        code = facts.get("code")
        if code:
            facts["hint"] = ADVICE.get(code, "")
        words = f"{entry.words(event)}{f' [{code}]' if code else ''}"
        return self._record(level, facts, words, about)

    def ended(self, error: BaseException, at: datetime) -> Record:
        """Return the record of what ended the run before its time.

        Args:
            error: What ended it.
            at: When (aware).
        """
        name, level = next((name, level) for kind, name, level in ENDINGS if isinstance(error, kind))
        facts: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "event": name, "at": at.isoformat()}
        facts |= {"service": "downloader", "operation": "run"}
        if isinstance(error, SpxDataError):
            facts |= {"code": error.code, "message": error.message, "hint": error.hint}
            words = f"{error.message} [{error.code}]{f' {error.hint}' if error.hint else ''}"
        elif isinstance(error, KeyboardInterrupt):
            words = facts["message"] = "Stopped by Ctrl-C or SIGTERM; the same command goes on."
        else:  # a mistake of ours: the log is where it can be understood later
            words = facts["message"] = f"{type(error).__name__}: {error}"
            facts["traceback"] = "".join(traceback.format_exception(error))
        return self._record(level, facts, words, None)

    def log_ended(self, error: StorageError, at: datetime) -> Record:
        """Return the record of another log that had to end before the run.

        Args:
            error: Why.
            at: When (aware).
        """
        facts = {"schema_version": SCHEMA_VERSION, "event": "log_ended", "at": at.isoformat()}
        facts |= {"service": "observe", "operation": "log"}
        facts |= {"code": error.code, "message": error.message, "hint": error.hint}
        return self._record(
            Level.WARN, facts, f"A log ends here, the run goes on: {error.message} [{error.code}]", None
        )

    def _record(self, level: Level, facts: Values, words: str, about: str | None) -> Record:
        first = ("schema_version", "at")
        values = {
            **{key: facts[key] for key in first},
            "level": level.name.lower(),
            "event": facts["event"],
            "run_id": self.header.run_id,
            "correlation_id": about,
            "service": facts["service"],
            "operation": facts["operation"],
            "command": self.header.command,
            "parameters": list(self.header.parameters),
            **facts,
        }
        return Record(level, _masked(values), masked(words))

    def _correlation(self, event: Event, subject: Unit | Day | date | None, at: datetime) -> str | None:
        """Return what the records of one piece of work share: its trade date, and when that work began.

        A unit's work goes from its first try to its outcome, a day's from its plan to its verdict; what happens to
        a unit that is not being fetched belongs to its day.
        """
        if subject is None:
            return None
        if not isinstance(subject, Unit | Day):
            return _correlation_id(subject, at)
        if isinstance(event, AttemptStarted | DayPlanned):
            self._began.setdefault(subject, at)
        day = subject.day if isinstance(subject, Unit) else subject
        began = self._began.get(subject) or self._began.get(day) or at
        if isinstance(event, UnitRecorded | DayFinished):
            self._began.pop(subject, None)
        return _correlation_id(subject.trade_date, began)


def _hints() -> dict[str, str]:
    kinds: list[type[SpxDataError]] = [SpxDataError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return {kind.code: kind.advice for kind in kinds if "code" in vars(kind)}


#: What to do about an error of which only the code is left.
ADVICE: Final[Mapping[str, str]] = _hints()


def _correlation_id(trade_date: date, began: datetime) -> str:
    return f"{trade_date:%Y%m%d}-{_stamp(began)}"


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S.%f}Z"


def _masked(value: Any) -> Any:  # noqa: ANN401 - any of JSON's values
    """Return values for JSON without what looks like a credential, however deep it lies."""
    match value:
        case str():
            return masked(value)
        case list():
            return [_masked(item) for item in value]
        case dict():
            return {key: _masked(item) for key, item in value.items()}
    return value
