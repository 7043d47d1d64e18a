"""Random calls against every catalog, and all it can be asked compared with plain dicts after each."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from spxdata.errors import ArchiveBusy, StorageError
from spxdata.layout import path_of
from spxdata.model import ContractList, Day, DayStatus, Outcome, Scope, State, Unit, Verdict
from tests.builders import (
    EXPIRATION,
    NOW,
    TRADE_DATE,
    FakeClock,
    a_contract_list,
    a_day,
    a_gap,
    a_note,
    a_provenance,
    an_artifact,
    an_outage,
)
from tests.catalog.documents import require_valid
from tests.contracts.test_catalog import CATALOGS, PERSISTENT

NEXT_DATE = TRADE_DATE + timedelta(days=1)
DAYS = [a_day(trade_date=on, dataset=of) for on in (TRADE_DATE, NEXT_DATE) for of in ("greeks", "open_interest")]
UNITS = [day.unit(expiration) for day in DAYS for expiration in (None, TRADE_DATE, EXPIRATION)]
LISTS = [(root, on, kind) for root in ("SPX", "SPXW") for on in (TRADE_DATE, NEXT_DATE) for kind in ("quote", "trade")]

days = st.sampled_from(DAYS)
units = st.sampled_from(UNITS)
moments = st.integers(0, 5_000_003).map(lambda number: NOW + timedelta(microseconds=number))
errors = st.none() | st.sampled_from(["cut off", "no space left"])
scopes = st.builds(Scope, st.integers(0, 60), st.sampled_from([(), (EXPIRATION,), (TRADE_DATE, EXPIRATION)]))
states = st.sampled_from([state for state in State if state is not State.STORED])
holes = st.lists(st.sampled_from([an_outage(), a_gap(), a_note()]), max_size=2).map(tuple)
formats = st.sampled_from([("parquet", "zstd"), ("csv", "none")])


class Oracle:
    """What a catalog must answer, worked out the plain way."""

    def __init__(self) -> None:
        self.lines: dict[Day, dict[str, Any]] = {}
        self.units: dict[Unit, Outcome] = {}
        self.recorded: dict[Unit, datetime] = {}
        self.lists: dict[tuple[str, date, str], ContractList] = {}

    def know(self, day: Day, scope: Scope | None = None) -> dict[str, Any]:
        """Return a day's line, a new one if need be."""
        new = {"status": "queued", "verdict": None, "scope": scope or Scope(0), "error": None}
        return self.lines.setdefault(day, {**new, "started_at": None, "ended_at": None})

    def has_file(self, unit: Unit) -> bool:
        """Tell whether a unit has a file on record."""
        return unit in self.units and self.units[unit].artifact is not None

    def outcomes(self, day: Day) -> tuple[Outcome, ...]:
        """Return a day's units: first the one without expiration."""
        of_day = [unit for unit in UNITS if unit in self.units and unit.day == day]
        return tuple(self.units[unit] for unit in of_day)

    def status(self, day: Day) -> DayStatus:
        """Return a day's line with its sums."""
        outcomes = self.outcomes(day)
        files = [outcome.artifact for outcome in outcomes if outcome.artifact]
        lines = sorted(f"{file.path} {file.sha256}\n" for file in files)
        return DayStatus(
            day,
            **self.lines[day],
            attempts=sum(outcome.attempts for outcome in outcomes),
            files=len(files),
            bytes=sum(file.bytes for file in files),
            rows=sum(file.rows for file in files),
            checksum=sha256("".join(lines).encode()).hexdigest() if files else None,
            downloaded_at=max(file.created_at for file in files) if files else None,
        )

    def refusals(self) -> tuple[Outcome, ...]:
        """Return the last refusal of each dataset."""
        last: dict[str, Outcome] = {}
        for at in sorted(set(self.recorded.values())):
            for unit in sorted(UNITS, key=lambda unit: (unit.trade_date, unit.expiration or date.min)):
                if self.recorded.get(unit) == at and self.units[unit].state is State.REFUSED:
                    last[unit.dataset] = self.units[unit]
        return tuple(outcome for _, outcome in sorted(last.items()))


class CatalogMachine(RuleBasedStateMachine):
    """One catalog and the oracle, called alike."""

    kind = ""

    def __init__(self) -> None:
        super().__init__()
        self.end = ExitStack()
        self.folder = Path(self.end.enter_context(TemporaryDirectory()))
        self.catalog = CATALOGS[self.kind](self.folder)
        self.oracle = Oracle()
        self.lease: ExitStack | None = None

    def teardown(self) -> None:
        """Leave nothing behind."""
        if self.lease:
            self.lease.close()
        self.catalog.close()
        self.end.close()

    @rule(asked=st.lists(days, max_size=3), scope=scopes, at=moments)
    def queue_days(self, asked: list[Day], scope: Scope, at: datetime) -> None:
        """Days wait for their turn."""
        self.catalog.queue_days(iter(asked), scope, at)
        for day in asked:
            self.oracle.know(day, scope)

    @rule(day=days, scope=scopes, at=moments)
    def begin_day(self, day: Day, scope: Scope, at: datetime) -> None:
        """A day's turn comes."""
        self.catalog.begin_day(day, scope, at)
        line = self.oracle.know(day)
        line.update(status="in-progress", verdict=None, scope=scope, error=None, started_at=at, ended_at=None)

    @rule(day=days, error=errors, at=moments)
    def interrupt_day(self, day: Day, error: str | None, at: datetime) -> None:
        """A run stops in the middle."""
        self.catalog.interrupt_day(day, error, at)
        word = "failed" if error else "queued"
        self.oracle.know(day).update(status=word, verdict=None, error=error, ended_at=at)

    @rule(day=days, verdict=st.none() | st.sampled_from(Verdict), error=errors, at=moments)
    def end_day(self, day: Day, verdict: Verdict | None, error: str | None, at: datetime) -> None:
        """A day is done."""
        self.catalog.end_day(day, verdict, error, at)
        word = "failed" if error else "queued" if verdict == "not_published" else "success"
        self.oracle.know(day).update(status=word, verdict=verdict, error=error, ended_at=at)

    @rule(unit=units, at=moments)
    def begin(self, unit: Unit, at: datetime) -> None:
        """A unit is being downloaded."""
        self.catalog.begin(unit, at)
        self.oracle.know(unit.day)
        fresh = Outcome(unit, State.DOWNLOADING, attempts=0)
        known = self.oracle.units.get(unit, fresh)
        self.oracle.units[unit] = replace(known, state=State.DOWNLOADING) if known.artifact else fresh

    @rule(unit=units, rows=st.integers(0, 9), lacks=holes, of=formats, created=moments, at=moments)
    def store(
        self, unit: Unit, rows: int, lacks: tuple[Any, ...], of: tuple[str, str], created: datetime, at: datetime
    ) -> None:
        """A unit ends with a file."""
        artifact = an_artifact(
            path=path_of(unit, of[0]),
            rows=rows,
            bytes=10 * rows,
            sha256=f"{rows:064x}",
            format=of[0],
            compression=of[1],
            created_at=created,
            provenance=a_provenance(greeks_version=None if rows % 2 else "latest"),
        )
        outcome = Outcome(unit, State.STORED, artifact, lacks, notes=rows, attempts=1 + rows, verified=rows > 3)
        self.catalog.record(outcome, at)
        self.oracle.know(unit.day)
        self.oracle.units[unit], self.oracle.recorded[unit] = outcome, at

    @rule(unit=units, state=states, reason=errors, again=st.none() | st.just(NEXT_DATE), at=moments)
    def miss(self, unit: Unit, state: State, reason: str | None, again: date | None, at: datetime) -> None:
        """A unit ends without a file."""
        outcome = Outcome(unit, state, reason=reason, code=reason and "SPX-T003", ask_again=again, attempts=2)
        self.catalog.record(outcome, at)
        self.oracle.know(unit.day)
        stands = replace(self.oracle.units[unit], state=State.STORED) if self.oracle.has_file(unit) else outcome
        self.oracle.units[unit], self.oracle.recorded[unit] = stands, at

    @rule(unit=units, owner=units, at=moments)
    def take_another_s_file(self, unit: Unit, owner: Unit, at: datetime) -> None:
        """A unit claims a file that is another's: nothing happens."""
        if unit != owner and self.oracle.has_file(owner):
            outcome = Outcome(unit, State.STORED, self.oracle.units[owner].artifact)
            with pytest.raises(StorageError):
                self.catalog.record(outcome, at)

    @rule(unit=units)
    def withdraw(self, unit: Unit) -> None:
        """A file is about to be replaced."""
        self.catalog.withdraw(unit)
        if self.oracle.has_file(unit):
            goes_on = self.oracle.units[unit].state is State.DOWNLOADING
            self.oracle.units[unit] = Outcome(unit, State.DOWNLOADING if goes_on else State.PENDING, attempts=0)

    @rule(unit=units)
    def forget(self, unit: Unit) -> None:
        """A unit was none."""
        self.catalog.forget(unit)
        self.oracle.units.pop(unit, None)
        self.oracle.recorded.pop(unit, None)

    @rule(key=st.sampled_from(LISTS), strikes=st.sets(st.sampled_from([0.1, 4700.0, 4750.05])), at=moments)
    def keep_contracts(self, key: tuple[str, date, str], strikes: set[float], at: datetime) -> None:
        """A list was fetched."""
        root, trade_date, kind = key
        listed = a_contract_list(sorted(strikes), root=root, trade_date=trade_date, fetched_at=at)
        self.catalog.keep_contracts(listed, kind)
        self.oracle.lists[key] = listed

    @rule()
    def take_or_give_back_the_lease(self) -> None:
        """A run begins or ends."""
        if self.lease:
            with pytest.raises(ArchiveBusy), self.catalog.lease(FakeClock()):
                pytest.fail("the lease was given twice")
            self.catalog.beat(NOW)
            self.lease.close()
            self.lease = None
        else:
            with pytest.raises(ArchiveBusy):
                self.catalog.beat(NOW)
            self.lease = ExitStack()
            self.lease.enter_context(self.catalog.lease(FakeClock()))

    @precondition(lambda self: self.kind in PERSISTENT)
    @rule()
    def reopen(self) -> None:
        """The process ends and another one goes on."""
        if self.lease:
            self.lease.close()
            self.lease = None
        self.catalog.close()
        self.catalog = CATALOGS[self.kind](self.folder)

    @precondition(lambda self: self.kind in PERSISTENT)
    @rule()
    def look_from_elsewhere(self) -> None:
        """Another process sees the same."""
        other = CATALOGS[self.kind](self.folder)
        assert other.days() == self.catalog.days()
        other.close()

    @invariant()
    def units_are_those_of_the_oracle(self) -> None:
        """One by one, day by day, and the refused ones."""
        for unit in UNITS:
            assert self.catalog.outcome(unit) == self.oracle.units.get(unit)
        for day in DAYS:
            assert self.catalog.outcomes(day) == self.oracle.outcomes(day)
        assert self.catalog.refusals() == self.oracle.refusals()

    @invariant()
    def days_are_those_of_the_oracle(self) -> None:
        """With their sums, all of them and one trade date's."""
        expected = tuple(self.oracle.status(day) for day in DAYS if day in self.oracle.lines)
        assert self.catalog.days() == expected
        assert self.catalog.days(NEXT_DATE, NEXT_DATE) == tuple(
            one for one in expected if one.day.trade_date == NEXT_DATE
        )

    @invariant()
    def lists_are_those_of_the_oracle(self) -> None:
        """Those that were never fetched too."""
        for key in LISTS:
            assert self.catalog.contracts(*key) == self.oracle.lists.get(key)

    @invariant()
    def files_are_as_their_schemas_say(self) -> None:
        """Where there are any."""
        require_valid(self.folder)


@pytest.mark.parametrize("kind", CATALOGS)
def test_any_order_of_calls_agrees_with_plain_dicts(kind: str) -> None:
    """Whatever was called before."""
    machine: type[Any] = type("Machine", (CatalogMachine,), {"kind": kind})
    few_but_long = settings(max_examples=30, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow])
    run_state_machine_as_test(machine, settings=few_but_long)
