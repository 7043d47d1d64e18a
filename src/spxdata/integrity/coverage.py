"""How complete an archive is: certificates of its days, from contract lists, sessions and the files themselves."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NamedTuple

from spxdata.certificate import KIND, VERSION, Certificate, Lack, Missing, key_of, read, written
from spxdata.completeness import Grid, Present, expected, holes, unlisted, verdict
from spxdata.errors import ChecksumMismatch, ConfigError
from spxdata.integrity.crosscheck import Usual, figures, peers
from spxdata.layout import path_of, stem_of
from spxdata.model import (
    Artifact,
    Contract,
    ContractList,
    Day,
    DayStatus,
    Hole,
    HoleKind,
    Outcome,
    Scope,
    State,
    Unit,
    Verdict,
)
from spxdata.plan import expirations, is_day_wide, is_published
from spxdata.protocols import Catalog, Clock, Storage
from spxdata.schema import DATASETS
from spxdata.sessions import next_trading_day, session, trading_days

#: The gravest first.
_RANKS: Final = tuple(HoleKind)


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
        first, last = min(statuses), max(statuses)
        start, end, scope = wanted.start or first, wanted.end or last, statuses[first].scope
        for trade_date in trading_days(min(first, start), end):
            line = statuses.get(trade_date)
            scope = line.scope if line else scope
            if trade_date >= start:
                found.append(Asked(Day(trade_date, root, dataset, interval), line, scope))
    return sorted(found, key=lambda asked: asked.day)


def coverage(catalog: Catalog, storage: Storage, clock: Clock, wanted: Wanted) -> tuple[Certificate, ...]:
    """Return the certificate of every day in question; one whose basis has not changed is not computed anew.

    Cross-checks are judged by all that the archive's certificates show, so that it does not matter which day was
    computed first.

    Raises:
        StorageError: The catalog cannot be read.
    """
    return issued(catalog, storage, clock, wanted, kept_certificates(catalog))


def issued(
    catalog: Catalog, storage: Storage, clock: Clock, wanted: Wanted, kept: Mapping[Day, Certificate]
) -> tuple[Certificate, ...]:
    """Return what `coverage` does, of the certificates that the catalog keeps.

    Raises:
        StorageError: The catalog cannot be read.
    """
    certifier = Certifier(catalog, storage, clock)
    found = {asked.day: certifier.certify(asked, kept.get(asked.day)) for asked in days_of(catalog, wanted)}
    history: dict[tuple[object, ...], list[float]] = {}
    for certificate in {**kept, **found}.values():
        for figure in certificate.figures:
            history.setdefault((*series_of(certificate.day), figure.name), []).append(figure.value)
    usual = {name: Usual.of(values) for name, values in history.items()}
    return tuple(_judged(certificate, usual) for certificate in found.values())


def kept_certificates(catalog: Catalog) -> dict[Day, Certificate]:
    """Return the certificates that the catalog keeps; those of other rules are left out."""
    found = filter(None, map(read, catalog.documents(KIND).values()))
    return {certificate.day: certificate for certificate in found}


def unkept(certificates: Iterable[Certificate], catalog: Catalog) -> tuple[Certificate, ...]:
    """Return the certificates that the catalog does not keep as they are."""
    kept = kept_certificates(catalog)
    return tuple(one for one in certificates if kept.get(one.day) != one)


def keep(certificates: Iterable[Certificate], catalog: Catalog) -> None:
    """Keep certificates in the catalog, those that are new."""
    new = unkept(certificates, catalog)
    if new:
        catalog.keep_documents(KIND, {key_of(one.day): written(one) for one in new})


def overlooked(certificate: Certificate, catalog: Catalog) -> tuple[Unit, ...]:
    """Return the units that lack what the catalog takes for there.

    Their contract list came later than their rows, or their file was damaged: no download would look at them again.
    """
    gone = {one.expiration for one in certificate.missing if one.state is State.STORED}
    lacking = {lack.expiration for lack in certificate.lacks}
    known = catalog.outcomes(certificate.day)
    return tuple(
        outcome.unit
        for outcome in known
        if outcome.unit.expiration in gone or (outcome.unit.expiration in lacking and not outcome.partial)
    )


class Certifier:
    """Computes certificates of one archive; days should come in order: all datasets of a day share its lists.

    Args:
        catalog: The archive's record.
        storage: The archive's files.
        clock: When certificates are issued.
    """

    def __init__(self, catalog: Catalog, storage: Storage, clock: Clock) -> None:
        self._catalog = catalog
        self._storage = storage
        self._clock = clock
        self._lists: dict[tuple[str, date, str], _Listed | None] = {}
        self._statuses = {status.day: status for status in catalog.days()}
        self._blemished: dict[Day, list[Outcome]] = {}
        for outcome in catalog.blemished():
            self._blemished.setdefault(outcome.unit.day, []).append(outcome)
        self._folder: tuple[date, Mapping[str, str]] | None = None
        self._standings: dict[Day, str] = {}

    def certify(self, asked: Asked, kept: Certificate | None = None) -> Certificate:
        """Return a day's certificate, measured in the stored files unless nothing has changed since the one kept.

        Args:
            asked: The day, and what was asked for.
            kept: Its last certificate.
        """
        day = asked.day
        now = self._clock.now()
        published = is_published(day, now)
        basis = self.basis(asked, published=published)
        # what makes a file unreadable may be gone without a trace in the basis
        if kept and kept.basis == basis and not any(one.state is State.STORED for one in kept.missing):
            return kept
        listed = self._list_of(day)
        known = {outcome.unit: outcome for outcome in self._catalog.outcomes(day)}
        units = _units(asked, listed, known)
        examined = [self._examined(unit, known.get(unit), listed) for unit in units]
        outcomes = [one.outcome for one in examined if one.outcome]
        stored = [outcome for outcome in outcomes if outcome.state is State.STORED]
        found = _verdict(outcomes, len(units), published=published, is_listed=listed is not None)
        missing = () if found is Verdict.ABSENT else tuple(one.missing for one in examined if one.missing)
        return Certificate(
            day=day,
            scope=asked.scope,
            verdict=found,
            units=len(units),
            stored=len(stored),
            rows=sum(outcome.artifact.rows for outcome in stored if outcome.artifact),
            missing=missing,
            lacks=tuple(Lack(o.unit.expiration, hole, o.ask_again) for o in stored for hole in _sorted(o.holes)),
            empty=tuple(contract for one in examined for contract in one.empty),
            notes=sum(one.notes for one in examined),
            figures=figures(day, self._catalog, self._storage) if not missing else (),
            issued_at=now,
            basis=basis,
        )

    def _list_of(self, day: Day) -> "_Listed | None":
        kind = DATASETS[day.dataset].contract_list
        if kind is None:
            return None
        key = (day.root, day.trade_date, kind)
        if key not in self._lists:
            self._lists = {one: found for one, found in self._lists.items() if one[1] == day.trade_date}
            found = self._catalog.contracts(*key)
            self._lists[key] = _Listed.of_list(found) if found else None
        return self._lists[key]

    def basis(self, asked: Asked, *, published: bool = True) -> str:
        """Return a digest of all that a certificate is computed from; no list is read for it, and no file opened.

        Args:
            asked: The day, and what was asked for.
            published: Whether its rows are final.
        """
        day = asked.day
        kind = DATASETS[day.dataset].contract_list
        listed = self._catalog.contracts_digest(day.root, day.trade_date, kind) if kind else None
        told = (VERSION, asked.status is None, asked.scope, published, listed)
        standings = map(self._standing, (day, *peers(day)))
        return hashlib.sha256("\n".join((str(told), *standings)).encode()).hexdigest()

    def _standing(self, day: Day) -> str:
        """Return how a day stands: its hours, its units, its files on record and those that lie there."""
        if day not in self._standings:
            status = self._statuses.get(day)
            whole = session(day.root, day.trade_date, None)  # a newer table may know them better
            units = "\n".join(map(str, map(_blemish, self._blemished.get(day, ()))))
            on_record = (status.checksum, status.files) if status else None
            self._standings[day] = f"{whole} {_following(day)} {on_record} {self._lying(day)}\n{units}"
        return self._standings[day]

    def _lying(self, day: Day) -> str | None:
        """Return the names and sizes of the files that lie where a day's do."""
        if self._folder is None or self._folder[0] != day.trade_date:
            found: dict[str, list[str]] = {}
            for path, size in sorted(self._storage.sizes(f"{day.trade_date:%Y%m%d}").items()):
                found.setdefault(stem_of(path), []).append(f"{path} {size}")
            self._folder = day.trade_date, {stem: " ".join(lines) for stem, lines in found.items()}
        return self._folder[1].get(stem_of(path_of(day.unit(None))))

    def _examined(self, unit: Unit, outcome: Outcome | None, listed: "_Listed | None") -> "_Examined":
        """Measure a unit's stored file against what was expected of it."""
        if outcome is None or outcome.artifact is None:
            missing = Missing(unit.expiration, None)
            if outcome:
                missing = Missing(unit.expiration, outcome.state, outcome.reason, outcome.ask_again)
            return _Examined(outcome, missing)
        hours = session(unit.root, unit.trade_date, unit.expiration)
        fault = self._fault(outcome.artifact) if hours else "the expiration has no session on this day"
        present: Present = {}
        contracts = listed.of(unit.expiration) if listed else None
        if hours and not fault:
            grid = Grid.of(unit, hours)
            from spxdata.pipeline.read import presence_of  # heavy, and needed by days that have changed alone

            try:
                self._require_bytes(outcome.artifact)
                present = presence_of(self._storage, outcome.artifact.path, unit, grid.last_required())
            except (OSError, ChecksumMismatch) as error:
                fault = f"its file cannot be read: {error}"
        if not hours or fault:
            return _Examined(replace(outcome, state=State.FAILED), Missing(unit.expiration, State.STORED, fault))
        found = holes(grid, expected(unit, contracts), present, _empty(outcome))
        serious = tuple(hole for hole in found if hole.partial)
        known_empty = frozenset(_empty(outcome))
        empty = tuple(h.contract for h in found if not h.partial and h.contract in known_empty and h.contract)
        verified = (outcome.verified or listed is not None) and not unlisted(grid, contracts, present)
        # a file on record is whole, also while another try at its unit is under way
        judged = replace(outcome, state=State.STORED, holes=serious, verified=verified)
        return _Examined(judged, None, len(found) - len(serious) - len(empty), empty)

    def _require_bytes(self, artifact: Artifact) -> None:
        """Refuse a CSV file with other bytes than the recorded ones: no checksum of its own tells, as Parquet's do.

        Raises:
            ChecksumMismatch: It has.
        """
        from spxdata.pipeline.read import checksum

        if artifact.format == "csv" and checksum(self._storage, artifact.path)[1] != artifact.sha256:
            raise ChecksumMismatch(f"{artifact.path} is not what the catalog recorded")

    def _fault(self, artifact: Artifact) -> str | None:
        """Return what is wrong with a file, as far as can be told without opening it."""
        size = self._storage.size(artifact.path)
        if size is None:
            return "its file is not there"
        return None if size == artifact.bytes else f"its file has {size:,} bytes instead of {artifact.bytes:,}"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A contract list by expirations, and a digest of its contracts."""

    whole: ContractList
    by_expiration: Mapping[date, frozenset[Contract]]
    digest: str

    @classmethod
    def of_list(cls, whole: ContractList) -> "_Listed":
        """Return a list, looked through once."""
        groups: dict[date, list[Contract]] = {}
        for contract in whole.contracts:
            groups.setdefault(contract.expiration, []).append(contract)
        text = "".join(f"{day.toordinal()} {strike} {right}\n" for day, strike, right in sorted(whole.contracts))
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(whole, {day: frozenset(found) for day, found in groups.items()}, digest)

    def of(self, expiration: date | None) -> frozenset[Contract]:
        """Return the contracts of one expiration, or all for None."""
        return self.whole.of(None) if expiration is None else self.by_expiration.get(expiration, frozenset())


@dataclass(frozen=True, slots=True)
class _Examined:
    """A unit's outcome with the holes that its file really has; what is missing of it, if there is no whole file."""

    outcome: Outcome | None
    missing: Missing | None
    notes: int = 0
    empty: tuple[Contract, ...] = ()


def _units(asked: Asked, listed: _Listed | None, known: Mapping[Unit, Outcome]) -> tuple[Unit, ...]:
    """Return the units within a day's scope.

    Without a contract list those are the ones that are known, and, as long as the day's download has not come to its
    end, the day itself for those that are not; where one was refused all are known.
    """
    day, status, scope = asked
    whole = day.unit(None)
    if is_day_wide(day) or status is None or whole in known:
        return (whole,)
    candidates = () if listed else tuple(unit.expiration for unit in known if unit.expiration)
    found = expirations(day, scope, listed.whole if listed else None, candidates)
    ended = status.verdict is not None or any(outcome.state is State.REFUSED for outcome in known.values())
    rest = () if listed or ended else (whole,)
    return (*(day.unit(expiration) for expiration in found), *rest)


def _blemish(outcome: Outcome) -> tuple[object, ...]:
    """Return what there is to say of a unit that is not simply there, as far as that matters to a certificate."""
    said = (outcome.state, outcome.reason, outcome.ask_again, outcome.verified)
    return str(outcome.unit), *said, *map(str, _empty(outcome))


def _following(day: Day) -> date | None:
    """Return the next trading day: what expires before it has the hours of its last day. None after the table's end."""
    try:
        return next_trading_day(day.trade_date)
    except ConfigError:
        return None


def _verdict(outcomes: Sequence[Outcome], units: int, *, published: bool, is_listed: bool) -> Verdict | None:
    """Return how a day stands; what was not published once and is now has to be asked for again."""
    if not outcomes and units:
        return None if published else Verdict.NOT_PUBLISHED
    counted = [one for one in outcomes if not (published and one.state is State.NOT_PUBLISHED)]
    listed = all(outcome.verified for outcome in counted) if counted else is_listed
    return verdict(counted, units, listed=listed)


def _empty(outcome: Outcome) -> tuple[Contract, ...]:
    """Return the contracts of which the Terminal said, asked for each alone, that they have no rows."""
    return tuple(hole.contract for hole in outcome.holes if not hole.partial and hole.contract)


def _judged(certificate: Certificate, usual: Mapping[tuple[object, ...], Usual]) -> Certificate:
    """Return a certificate whose figures are held against the archive's history."""
    series = series_of(certificate.day)
    found = tuple(usual[(*series, figure.name)].judged(figure) for figure in certificate.figures)
    return certificate if found == certificate.figures else certificate.with_figures(found)


def series_of(day: Day) -> tuple[str, str, str]:
    """Return what a day's dataset is called whatever the date: root, dataset, interval."""
    return day[1:]


def _sorted(found: Iterable[Hole]) -> list[Hole]:
    return sorted(found, key=lambda hole: (_RANKS.index(hole.kind), hole.contract or (), hole.first or 0))
