"""An archive that is stocked unit by unit from made-up rows, without a Terminal that would have to have them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from spxdata.catalog.memory import MemoryCatalog
from spxdata.certificate import Certificate
from spxdata.integrity.coverage import Wanted, coverage, keep
from spxdata.model import Contract, ContractList, Day, Outcome, Scope, Unit, Verdict
from spxdata.pipeline.attempt import attempt
from spxdata.pipeline.edges import Encoding
from spxdata.protocols import Catalog
from spxdata.schema import DATASETS
from spxdata.storage.local import LocalStorage
from tests.builders import NOW, TRADE_DATE, FakeClock, a_day, a_provenance, a_scope
from tests.pipeline.builders import (
    CONTRACTS,
    Row,
    ScriptedTerminal,
    edges_of,
    listing,
    rows_of,
    unit_for,
    wire_csv,
)


def on(trade_date: date, rows: Iterable[Row]) -> list[Row]:
    """Return rows of the usual day as those of another one."""
    return [{name: text.replace(str(TRADE_DATE), str(trade_date)) for name, text in row.items()} for row in rows]


def usual(name: str = "quote", trade_date: date = TRADE_DATE) -> Unit:
    """Return a dataset's unit of the usual day or another one."""
    return replace(unit_for(DATASETS[name]), trade_date=trade_date)


def a_certificate(**changes: Any) -> Certificate:
    """Return the certificate of a complete day."""
    values: dict[str, Any] = {
        "day": a_day(),
        "scope": a_scope(),
        "verdict": Verdict.COMPLETE,
        "units": 2,
        "stored": 2,
        "rows": 1000,
        "missing": (),
        "lacks": (),
        "empty": (),
        "notes": 3,
        "issued_at": NOW,
        "basis": "0" * 64,
    }
    return Certificate(**{**values, **changes})


@dataclass(frozen=True, slots=True)
class Stock:
    """An archive in a folder, with a catalog of any kind.

    Attributes:
        folder: The data directory.
        catalog: Its record.
        clock: Time.
        encoding: What its new files are like.
    """

    folder: Path
    catalog: Catalog = field(default_factory=MemoryCatalog)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW + timedelta(days=10)))
    encoding: Encoding = field(default_factory=Encoding)

    @property
    def storage(self) -> LocalStorage:
        """Its files."""
        return LocalStorage(self.folder)

    def listed(self, contracts: Sequence[Contract] = CONTRACTS, day: date = TRADE_DATE, kind: str = "quote") -> None:
        """Keep a day's contract list."""
        self.catalog.keep_contracts(replace(listing(contracts), trade_date=day), kind)

    def known(self, unit: Unit, scope: Scope | None = None, verdict: Verdict | None = Verdict.COMPLETE) -> None:
        """Note that a unit's day was asked for and how that ended; its verdict there is not looked at."""
        self.catalog.begin_day(unit.day, scope or Scope(60), self.clock.now())
        self.catalog.end_day(unit.day, verdict, None, self.clock.now())

    def put(
        self,
        unit: Unit | None = None,
        rows: Sequence[Row] | None = None,
        contracts: Sequence[Contract] | None = CONTRACTS,
        **changes: Any,
    ) -> Outcome:
        """Store a unit as a second attempt would, and record its day.

        Args:
            unit: Which; a whole chain of quotes by default.
            rows: Its rows; whole contracts by default.
            contracts: What is listed; None for no list.
            changes: What is recorded otherwise than it came.
        """
        unit = unit or usual()
        dataset = DATASETS[unit.dataset]
        body = wire_csv(on(unit.trade_date, rows_of(dataset=dataset) if rows is None else rows), dataset)
        return self.store(unit, body, contracts if dataset.contract_list else None, **changes)

    def store(
        self, unit: Unit, body: bytes, contracts: Iterable[Contract] | None, dialect: str = "v3", **changes: Any
    ) -> Outcome:
        """Store a unit from a reply as a second attempt would, and record its day.

        Args:
            unit: Which.
            body: The reply.
            contracts: What is listed; None for no list.
            dialect: Of the reply.
            changes: What is recorded otherwise than it came.
        """
        listed: ContractList | None = None
        kind = DATASETS[unit.dataset].contract_list
        if contracts is not None and kind:
            listed = ContractList(unit.root, unit.trade_date, tuple(sorted(contracts)), self.clock.now())
            self.catalog.keep_contracts(listed, kind)
        terminal = ScriptedTerminal([body], provenance=a_provenance(dialect=dialect), dialect=dialect)
        edges = edges_of(self.storage, terminal=terminal, clock=self.clock, encoding=self.encoding)
        outcome = replace(attempt(unit, listed, edges, accept_holes=True, accept_unlisted=True), **changes)
        self.known(unit)
        self.catalog.record(outcome, self.clock.now())
        return outcome

    def record(self, outcome: Outcome) -> None:
        """Record how a unit without a file stands, and its day."""
        self.known(outcome.unit)
        self.catalog.record(outcome, self.clock.now())

    def certificates(self, **wanted: Any) -> dict[Day, Certificate]:
        """Return the certificates of the days in question, by day; they are kept."""
        found = coverage(self.catalog, self.storage, self.clock, Wanted(**wanted))
        keep(found, self.catalog)
        return {one.day: one for one in found}

    def certificate(self, unit: Unit | None = None) -> Certificate:
        """Return the certificate of a unit's day."""
        return self.certificates()[(unit or usual()).day]

    def later(self, **passed: int) -> datetime:
        """Let time pass."""
        self.clock.advance(timedelta(**passed).total_seconds())
        return self.clock.now()
