"""Days and units in plain dicts, by the rules every catalog agrees on: what memory and JSON catalogs keep."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from spxdata.catalog import rules
from spxdata.errors import StorageError
from spxdata.model import Day, DayStatus, Filed, Outcome, Scope, Stored, Unit, Verdict
from spxdata.protocols import MayMatter


class Ledger:
    """Days, units and when each was recorded; a call that raises has changed nothing.

    It knows no lock: whoever owns it sees to that.
    """

    def __init__(self) -> None:
        self._days: dict[Day, DayStatus] = {}
        self._units: dict[Day, dict[date | None, Outcome]] = {}
        self._recorded: dict[Unit, datetime] = {}
        self._owners: dict[str, Unit] = {}  # of files, by path

    def restore(self, statuses: Iterable[DayStatus], outcomes: Iterable[tuple[Outcome, datetime | None]]) -> None:
        """Take over what was kept elsewhere; sums are taken anew.

        Raises:
            ValueError: A day or unit is there twice, or a unit without its day.
        """
        for status in statuses:
            if status.day in self._days:
                raise ValueError(f"{status.day} is there twice.")
            self._days[status.day] = status
        for outcome, at in outcomes:
            unit = outcome.unit
            if unit.day not in self._days or self.outcome(unit) is not None:
                raise ValueError(f"{unit} is there twice, or without its day.")
            self._keep(outcome)
            if at is not None:
                self._recorded[unit] = at
        for day in self._days:
            self._sum_up(day)

    def begin_day(self, day: Day, scope: Scope, at: datetime) -> None:
        """Note that a day's download begins; its verdict is open from now on."""
        started = rules.in_utc(at)
        self._change_day(
            day, status="in-progress", verdict=None, error=None, scope=scope, started_at=started, ended_at=None
        )

    def queue_days(self, days: Iterable[Day], scope: Scope, at: datetime) -> None:
        """Note that days are asked for whose turn has not come; days that are known stay as they are."""
        rules.in_utc(at)
        for day in days:
            self._know(day, scope)

    def interrupt_day(self, day: Day, error: str | None, at: datetime) -> None:
        """Note that a day's download stopped early: failed if an error says why, else queued again."""
        self._end(day, rules.stopped_word(error), None, error, at)

    def end_day(self, day: Day, verdict: Verdict | None, error: str | None, at: datetime) -> None:
        """Note how a day's download ended."""
        self._end(day, rules.day_word(verdict, error), verdict, error, at)

    def begin(self, unit: Unit, at: datetime) -> None:
        """Note that a unit is being downloaded; a file on record stays there."""
        rules.in_utc(at)
        self._put(rules.begun(unit, self.outcome(unit)))

    def withdraw(self, unit: Unit) -> None:
        """Forget a unit's file and holes; it is no error if there is none."""
        known = self.outcome(unit)
        if known is not None:
            self._put(rules.withdrawn(known))

    def record(self, outcome: Outcome, at: datetime) -> None:
        """Note how a unit stands, with its file and holes.

        Raises:
            ValueError: The outcome is stored without an artifact, or has one without being stored.
            StorageError: The file is another unit's.
        """
        recorded = rules.in_utc(at)
        settled = _in_utc(rules.settled(self.outcome(outcome.unit), outcome))
        self._require_own_file(settled)
        self._put(settled)
        self._recorded[outcome.unit] = recorded

    def forget(self, unit: Unit) -> None:
        """Remove a unit that turned out not to be one."""
        if self.outcome(unit) is not None:
            self._remove(unit)
            self._sum_up(unit.day)

    def outcome(self, unit: Unit) -> Outcome | None:
        """Return how a unit stands, None if it was never asked for."""
        return self._units.get(unit.day, {}).get(unit.expiration)

    def outcomes(self, day: Day) -> tuple[Outcome, ...]:
        """Return how all known units of a day stand, by expiration, the one without first."""
        units = self._units.get(day, {})
        return tuple(units[expiration] for expiration in sorted(units, key=lambda found: found or date.min))

    def days(self, start: date | None = None, end: date | None = None) -> tuple[DayStatus, ...]:
        """Return the known days between two trade dates, both included, sorted."""
        first, last = start or date.min, end or date.max
        known = sorted(day for day in self._days if first <= day.trade_date <= last)
        return tuple(self._days[day] for day in known)

    def between(self, start: date | None, end: date | None) -> Iterator[Outcome]:
        """Yield how all known units stand between two trade dates, both included, sorted."""
        return (outcome for status in self.days(start, end) for outcome in self.outcomes(status.day))

    def refusals(self) -> tuple[Outcome, ...]:
        """Return each dataset's newest outcome that is still refused, sorted by dataset."""
        return rules.refusals((at, outcome) for unit, at in self._recorded.items() if (outcome := self.outcome(unit)))

    def recorded_at(self, unit: Unit) -> datetime | None:
        """Return when a unit was last recorded, None if it never was."""
        return self._recorded.get(unit)

    def trade_dates(self) -> tuple[date, ...]:
        """Return the trade dates of all known days, sorted."""
        return tuple(sorted({day.trade_date for day in self._days}))

    def files(self) -> Iterator[Outcome]:
        """Yield the outcomes that have a file, in no order."""
        return (outcome for units in self._units.values() for outcome in units.values() if outcome.artifact)

    def _know(self, day: Day, scope: Scope = rules.UNKNOWN_SCOPE) -> DayStatus:
        return self._days.setdefault(day, DayStatus(day, "queued", None, scope))

    def _change_day(self, day: Day, **changes: Any) -> None:  # noqa: ANN401 - fields of all types
        self._days[day] = replace(self._know(day), **changes)

    def _end(self, day: Day, word: str, verdict: Verdict | None, error: str | None, at: datetime) -> None:
        ended = rules.in_utc(at)
        self._change_day(day, status=word, verdict=verdict, error=error, ended_at=ended)

    def _require_own_file(self, outcome: Outcome) -> None:
        if outcome.artifact is not None:
            owner = self._owners.get(outcome.artifact.path, outcome.unit)
            if owner != outcome.unit:
                raise StorageError(f"the file {outcome.artifact.path} of {outcome.unit} is that of {owner}.")

    def _put(self, outcome: Outcome) -> None:
        """Make a unit stand exactly so, and its day's sums too."""
        self._know(outcome.unit.day)
        self._keep(outcome)
        self._sum_up(outcome.unit.day)

    def _keep(self, outcome: Outcome) -> None:
        unit = outcome.unit
        known = self.outcome(unit)
        if known is not None and known.artifact is not None:
            del self._owners[known.artifact.path]
        self._units.setdefault(unit.day, {})[unit.expiration] = outcome
        if outcome.artifact is not None:
            self._owners[outcome.artifact.path] = unit

    def _remove(self, unit: Unit) -> None:
        gone = self._units[unit.day].pop(unit.expiration)
        if gone.artifact is not None:
            del self._owners[gone.artifact.path]
        self._recorded.pop(unit, None)

    def _sum_up(self, day: Day) -> None:
        outcomes = self._units.get(day, {}).values()
        files = [outcome.artifact for outcome in outcomes if outcome.artifact is not None]
        self._change_day(
            day,
            attempts=sum(outcome.attempts for outcome in outcomes),
            files=len(files),
            bytes=sum(file.bytes for file in files),
            rows=sum(file.rows for file in files),
            checksum=rules.day_checksum((file.path, file.sha256) for file in files),
            downloaded_at=max((file.created_at for file in files), default=None),
        )


class LedgerCatalog(ABC):
    """The calls of a `Catalog` that a ledger answers; where it lies and who may use it is the subclass's."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Ledger]:
        """Return the ledger as it stands, for one look."""

    @abstractmethod
    def _changing(self, *trade_dates: date) -> AbstractContextManager[Ledger]:
        """Return the ledger for one change of some trade dates: kept when the block ends, undone if it raises."""

    def begin_day(self, day: Day, scope: Scope, at: datetime) -> None:
        """Note that a day's download begins; its verdict is open from now on."""
        with self._changing(day.trade_date) as ledger:
            ledger.begin_day(day, scope, at)

    def queue_days(self, days: Iterable[Day], scope: Scope, at: datetime) -> None:
        """Note that days are asked for whose turn has not come; days that are known stay as they are."""
        asked = tuple(days)
        with self._changing(*(day.trade_date for day in asked)) as ledger:
            ledger.queue_days(asked, scope, at)

    def interrupt_day(self, day: Day, error: str | None, at: datetime) -> None:
        """Note that a day's download stopped early: failed if an error says why, else queued again."""
        with self._changing(day.trade_date) as ledger:
            ledger.interrupt_day(day, error, at)

    def end_day(self, day: Day, verdict: Verdict | None, error: str | None, at: datetime) -> None:
        """Note how a day's download ended."""
        with self._changing(day.trade_date) as ledger:
            ledger.end_day(day, verdict, error, at)

    def begin(self, unit: Unit, at: datetime) -> None:
        """Note that a unit is being downloaded; a file on record stays there."""
        with self._changing(unit.trade_date) as ledger:
            ledger.begin(unit, at)

    def withdraw(self, unit: Unit) -> None:
        """Forget a unit's file and holes; it is no error if there is none."""
        with self._changing(unit.trade_date) as ledger:
            ledger.withdraw(unit)

    def record(self, outcome: Outcome, at: datetime) -> None:
        """Note how a unit stands, with its file and holes.

        Raises:
            ValueError: The outcome is stored without an artifact, or has one without being stored.
            StorageError: The file is another unit's.
        """
        with self._changing(outcome.unit.trade_date) as ledger:
            ledger.record(outcome, at)

    def forget(self, unit: Unit) -> None:
        """Remove a unit that turned out not to be one."""
        with self._changing(unit.trade_date) as ledger:
            ledger.forget(unit)

    def outcome(self, unit: Unit) -> Outcome | None:
        """Return how a unit stands, None if it was never asked for."""
        with self._reading() as ledger:
            return ledger.outcome(unit)

    def outcomes(self, day: Day) -> tuple[Outcome, ...]:
        """Return how all known units of a day stand, by expiration, the one without first."""
        with self._reading() as ledger:
            return ledger.outcomes(day)

    def days(self, start: date | None = None, end: date | None = None) -> tuple[DayStatus, ...]:
        """Return the known days between two trade dates, both included, sorted."""
        with self._reading() as ledger:
            return ledger.days(start, end)

    def blemished(self, start: date | None = None, end: date | None = None) -> tuple[Outcome, ...]:
        """Return how the units stand that are not simply there, between two trade dates, both included, sorted."""
        with self._reading() as ledger:
            return tuple(filter(rules.is_blemished, ledger.between(start, end)))

    def stored(
        self,
        dataset: str,
        interval: str,
        *,
        root: str | None = None,
        start: date | None = None,
        end: date | None = None,
        may_matter: MayMatter | None = None,
    ) -> Sequence[Stored]:
        """Return the files of a dataset at an interval, sorted by trade date, root and expiration."""
        with self._reading() as ledger:
            return tuple(
                Stored(outcome.unit, file)
                for status in ledger.days(start, end)
                if status.day[2:] == (dataset, interval) and root in {None, status.day.root}
                for outcome in ledger.outcomes(status.day)
                if (file := outcome.artifact) and (not may_matter or may_matter(outcome.unit, file.strikes, file.times))
            )

    def filed(self, day: Day) -> tuple[Filed, ...]:
        """Return the files of a day, by expiration, the one without first."""
        with self._reading() as ledger:
            return tuple(
                Filed(outcome.unit.expiration, outcome.artifact.path, outcome.artifact.bytes)
                for outcome in ledger.outcomes(day)
                if outcome.artifact
            )

    def origins(self, start: date | None = None, end: date | None = None) -> Counter[tuple[str, str | None]]:
        """Return how many files between two trade dates, both included, are of each dialect and greeks version."""
        with self._reading() as ledger:
            files = (outcome.artifact.provenance for outcome in ledger.between(start, end) if outcome.artifact)
            return Counter((origin.dialect, origin.greeks_version) for origin in files)

    def refusals(self) -> tuple[Outcome, ...]:
        """Return each dataset's newest outcome that is still refused, sorted by dataset."""
        with self._reading() as ledger:
            return ledger.refusals()


def _in_utc(outcome: Outcome) -> Outcome:
    """Return an outcome whose moments are in UTC."""
    artifact = outcome.artifact
    if artifact is None:
        return outcome
    origin = replace(artifact.provenance, fetched_at=rules.in_utc(artifact.provenance.fetched_at))
    return replace(outcome, artifact=replace(artifact, created_at=rules.in_utc(artifact.created_at), provenance=origin))
