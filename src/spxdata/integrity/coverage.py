"""How complete an archive is: certificates of its days, from contract lists, sessions and the files themselves."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from spxdata.completeness import Grid, expected, holes, verdict
from spxdata.errors import ChecksumMismatch
from spxdata.integrity.certificate import KIND, VERSION, Certificate, Lack, Missing, key_of, read, written
from spxdata.integrity.crosscheck import figures, peers
from spxdata.model import Contract, ContractList, Day, DayStatus, Hole, Outcome, Scope, State, Unit, Verdict
from spxdata.pipeline.read import presence_of
from spxdata.plan import expirations, is_day_wide, is_published
from spxdata.protocols import Catalog, Clock, Storage
from spxdata.schema import DATASETS
from spxdata.sessions import session, trading_days


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which days coverage is asked about.

    Attributes:
        start: First trade date; that of each dataset's first known day for None.
        end: Last trade date, included; that of each dataset's last known day for None.
        roots: Roots, all for none.
        datasets: Datasets, all for none.
    """

    start: date | None = None
    end: date | None = None
    roots: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()


class Asked(NamedTuple):
    """A day that coverage speaks of.

    Attributes:
        day: The day.
        status: Its line in the catalog; None if it was never asked for.
        scope: What was asked for; of a day never asked for, what was asked for of the day before it.
    """

    day: Day
    status: DayStatus | None
    scope: Scope


def days_of(catalog: Catalog, wanted: Wanted) -> list[Asked]:
    """Return every trading day that coverage speaks of.

    What the archive holds of a root, dataset and interval is expected of all trading days between the first and the
    last one: a day that was never asked for is a hole like any other.
    """
    known = catalog.days()
    series: dict[tuple[str, str, str], dict[date, DayStatus]] = {}
    for status in known:
        trade_date, root, dataset, interval = status.day
        chosen = (not wanted.datasets or dataset in wanted.datasets) and (
            not wanted.roots or root in {DATASETS[dataset].root(one) for one in wanted.roots}
        )
        if chosen:
            series.setdefault((root, dataset, interval), {})[trade_date] = status
    found: list[Asked] = []
    for (root, dataset, interval), statuses in series.items():
        scope = statuses[min(statuses)].scope
        for trade_date in trading_days(wanted.start or min(statuses), wanted.end or max(statuses)):
            line = statuses.get(trade_date)
            scope = line.scope if line else scope
            found.append(Asked(Day(trade_date, root, dataset, interval), line, scope))
    return sorted(found, key=lambda asked: asked.day)


def coverage(catalog: Catalog, storage: Storage, clock: Clock, wanted: Wanted) -> Iterator[Certificate]:
    """Yield the certificate of every day in question; one whose basis has not changed is not computed anew.

    Raises:
        StorageError: The catalog cannot be read.
    """
    kept = kept_certificates(catalog)
    history: dict[str, list[float]] = {}
    for certificate in kept.values():
        for figure in certificate.figures:
            history.setdefault(figure.name, []).append(figure.value)
    for asked in days_of(catalog, wanted):
        before = kept.get(asked.day)
        certificate = certify(asked, catalog, storage, clock, before)
        if certificate is not before and certificate.stored == certificate.units:
            certificate = certificate.with_figures(figures(asked.day, catalog, storage, history))
        yield certificate


def kept_certificates(catalog: Catalog) -> dict[Day, Certificate]:
    """Return the certificates that the catalog keeps; those of older rules are left out."""
    found = filter(None, map(read, catalog.documents(KIND).values()))
    return {certificate.day: certificate for certificate in found}


def certify(
    asked: Asked, catalog: Catalog, storage: Storage, clock: Clock, kept: Certificate | None = None
) -> Certificate:
    """Return a day's certificate, recomputed from the stored files unless nothing has changed since the one kept.

    Args:
        asked: The day, and what was asked for.
        catalog: The archive's record.
        storage: The archive's files.
        clock: When it is issued.
        kept: Its last certificate.
    """
    day = asked.day
    listed = _list_of(day, catalog)
    known = {outcome.unit: outcome for outcome in catalog.outcomes(day)}
    units = _units(asked, listed, known)
    compared = [outcome for peer in peers(day) for outcome in catalog.outcomes(peer)]
    basis = _basis(asked, listed, units, known, compared)
    if kept and kept.basis == basis:
        return kept
    examined = [_examined(unit, known.get(unit), listed, storage) for unit in units]
    return _certificate(asked, listed, examined, clock, basis)


def keep(certificates: Iterable[Certificate], catalog: Catalog) -> None:
    """Keep certificates in the catalog."""
    catalog.keep_documents(KIND, {key_of(one.day): written(one) for one in certificates})


@dataclass(frozen=True, slots=True)
class _Examined:
    """A unit's outcome with the holes that its file really has."""

    unit: Unit
    outcome: Outcome | None
    notes: int = 0
    empty: tuple[Contract, ...] = ()


def _list_of(day: Day, catalog: Catalog) -> ContractList | None:
    kind = DATASETS[day.dataset].contract_list
    return catalog.contracts(day.root, day.trade_date, kind) if kind else None


def _units(asked: Asked, listed: ContractList | None, known: Mapping[Unit, Outcome]) -> tuple[Unit, ...]:
    """Return the units within a day's scope; without a contract list, those that are known."""
    day, status, scope = asked
    whole = day.unit(None)
    if is_day_wide(day) or status is None or whole in known:
        return (whole,)
    candidates = () if listed else tuple(unit.expiration for unit in known if unit.expiration)
    return tuple(day.unit(expiration) for expiration in expirations(day, scope, listed, candidates))


def _basis(
    asked: Asked,
    listed: ContractList | None,
    units: tuple[Unit, ...],
    known: Mapping[Unit, Outcome],
    compared: Iterable[Outcome],
) -> str:
    """Return a digest of what a certificate is computed from."""
    digest = hashlib.sha256(f"{VERSION} {asked.status is None} {asked.scope}\n".encode())
    digest.update(f"{listed.fetched_at if listed else None} {len(listed.contracts) if listed else 0}\n".encode())
    for unit in units:
        outcome = known.get(unit)
        artifact = outcome.artifact if outcome else None
        state = outcome.state if outcome else None
        digest.update(f"{unit} {state} {artifact.sha256 if artifact else None}\n".encode())
    for outcome in compared:
        digest.update(f"{outcome.unit} {outcome.artifact.sha256 if outcome.artifact else None}\n".encode())
    return digest.hexdigest()


def _examined(unit: Unit, outcome: Outcome | None, listed: ContractList | None, storage: Storage) -> _Examined:
    """Measure a stored file against what was expected of it."""
    if outcome is None or outcome.state is not State.STORED or outcome.artifact is None:
        return _Examined(unit, outcome)
    hours = session(unit.root, unit.trade_date, unit.expiration)
    if hours is None:
        return _Examined(unit, replace(outcome, state=State.FAILED, artifact=None, reason="it has no session"))
    grid = Grid.of(unit, hours)
    try:
        present = presence_of(storage, outcome.artifact.path, unit, grid.last_required())
    except (FileNotFoundError, ChecksumMismatch) as error:
        return _Examined(unit, replace(outcome, state=State.FAILED, artifact=None, reason=_reason(error)))
    empty = tuple(hole.contract for hole in outcome.holes if not hole.partial and hole.contract)
    contracts = listed.of(unit.expiration) if listed else None
    found = holes(grid, expected(unit, contracts), present, empty)
    serious = tuple(hole for hole in found if hole.partial)
    verified = outcome.verified or listed is not None
    return _Examined(
        unit, replace(outcome, holes=serious, verified=verified), len(found) - len(serious) - len(empty), empty
    )


def _certificate(
    asked: Asked, listed: ContractList | None, examined: list[_Examined], clock: Clock, basis: str
) -> Certificate:
    outcomes = [one.outcome for one in examined if one.outcome]
    stored = [outcome for outcome in outcomes if outcome.state is State.STORED]
    now = clock.now()
    found = verdict(outcomes, len(examined), listed=all(o.verified for o in outcomes) if outcomes else bool(listed))
    if asked.status is None:
        found = None if is_published(asked.day, now) else Verdict.NOT_PUBLISHED
    states = {one.unit: one.outcome for one in examined}
    return Certificate(
        day=asked.day,
        scope=asked.scope,
        verdict=found,
        units=len(examined),
        stored=len(stored),
        rows=sum(outcome.artifact.rows for outcome in stored if outcome.artifact),
        missing=tuple(
            Missing(unit.expiration, outcome.state if outcome else None, outcome.reason if outcome else None)
            for unit, outcome in states.items()
            if outcome is None or outcome.state is not State.STORED
        )
        if found is not Verdict.ABSENT
        else (),
        lacks=tuple(Lack(o.unit.expiration, hole) for o in stored for hole in _sorted(o.holes)),
        empty=tuple(contract for one in examined for contract in one.empty),
        notes=sum(one.notes for one in examined),
        issued_at=now,
        basis=basis,
    )


def _reason(error: Exception) -> str:
    return "its file is not there" if isinstance(error, FileNotFoundError) else str(error)


def _sorted(found: tuple[Hole, ...]) -> list[Hole]:
    return sorted(found, key=lambda hole: (hole.kind, hole.contract is not None, str(hole.contract), hole.first or 0))
