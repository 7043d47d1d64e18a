"""Repair: damaged and unknown files are set aside, forgotten ones recorded anew, and only what is lost is fetched.

Every step can be the last one: a unit is withdrawn from the catalog before its damaged file is taken away, and stands
there as pending until it is stored again, so that the next repair fetches what an interrupted one did not. Earlier
files of units cannot be fetched again: whole ones are recorded, lost ones forgotten, and what cannot be judged stays.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, Literal

from spxdata.errors import CatalogCorrupt, StorageError
from spxdata.integrity.earlier import Earlier, adopt_earlier, earlier_files, forget_earlier
from spxdata.integrity.verify import unit_named, verify
from spxdata.layout import ASIDE, INVENTORY, PRIVATE, STATUS, is_revision
from spxdata.model import Day, Outcome, Scope, State, Unit
from spxdata.pipeline.difference import Checked, Difference, Fault
from spxdata.plan import Request, expirations, is_day_wide
from spxdata.protocols import Catalog, Clock, Storage
from spxdata.schema import DATASETS
from spxdata.sessions import FIRST_DAY, LAST_DAY, closed_because, session

#: States of a unit that an interrupted run left.
_UNSETTLED: Final = frozenset({State.PENDING, State.DOWNLOADING})
#: The files that make up a catalog, in any of its forms; not its lease, quarantine or logs.
_CATALOG: Final = re.compile(
    rf"{re.escape(PRIVATE)}/(catalog\.sqlite(-\w+)?|contracts/.+|(?!lease\.)\w+\.json)"
    rf"|{re.escape(STATUS)}|{re.escape(INVENTORY)}"
)
#: Faults of which no file is to be taken out of the archive.
_STAY: Final = frozenset({Fault.MISSING, Fault.FORGOTTEN, Fault.UNFINISHED, Fault.MUTE})
#: Time between two renewals of the lease.
_BEAT: Final = timedelta(seconds=10)

#: How a file is stored; None for what the settings say.
Format = Literal["parquet", "csv"] | None
#: Brings units into the archive, in a format; returns the exit code of that run.
Fetch = Callable[[Request, Format], int]


@dataclass(frozen=True, slots=True)
class Remedies:
    """What there is to do.

    Attributes:
        aside: Files that are to be taken out of the archive: damaged ones, and strangers.
        fetch: Units whose file is damaged or missing, and those that an interrupted run left pending; each with the
            format of that file, None if there is none.
        adopt: Units whose whole files the catalog does not know.
        unfinished: Files of interrupted writers.
        adopt_earlier: Whole earlier files that the catalog does not know.
        forget_earlier: Earlier files on record that are damaged or missing: their rows are lost.
        mute: Earlier files of which nothing tells whether they are whole; they stay.
    """

    aside: tuple[Difference, ...] = ()
    fetch: Mapping[Unit, Format] = field(default_factory=dict)
    adopt: frozenset[Unit] = frozenset()
    unfinished: tuple[Difference, ...] = ()
    adopt_earlier: tuple[Difference, ...] = ()
    forget_earlier: tuple[Difference, ...] = ()
    mute: tuple[Difference, ...] = ()

    @property
    def units(self) -> Mapping[Unit, Format]:
        """All units that the downloader is to look at, each with the format of its file."""
        return {**self.fetch, **dict.fromkeys(self.adopt, "parquet")}

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.aside or self.units or self.unfinished or self.adopt_earlier or self.forget_earlier)


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was taken out of the archive.

    Attributes:
        difference: Which, and why.
        to: Where it lies now; None if it was deleted, or could not be taken.
        problem: Why it could not be.
    """

    difference: Difference
    to: str | None
    problem: str | None = None


@dataclass(slots=True)
class Repaired:
    """What was done.

    Attributes:
        remedies: What there was to do.
        taken: Files that were taken out of the archive.
        restored: Units that were fetched again and are stored.
        adopted: Units whose files were recorded anew.
        earlier: Earlier files that were recorded anew.
        left: Units that are not stored now.
        rebuilt: Days that the catalog did not know, with the scope that their files show.
        lacking: Of these days, units that the contract list speaks of and that were not asked for again.
        exit_codes: Of the runs that fetched.
    """

    remedies: Remedies = field(default_factory=Remedies)
    taken: list[Taken] = field(default_factory=list)
    restored: list[Unit] = field(default_factory=list)
    adopted: list[Unit] = field(default_factory=list)
    earlier: tuple[Earlier, ...] = ()
    left: list[Unit] = field(default_factory=list)
    rebuilt: dict[Day, Scope] = field(default_factory=dict)
    lacking: list[Unit] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """The exit code: that of a run that was stopped; else whether something is left."""
        stopped = [code for code in self.exit_codes if code > 1]
        if stopped:
            return max(stopped)
        beyond = self.left or self.remedies.forget_earlier or self.remedies.mute
        return 1 if beyond or 1 in self.exit_codes or any(one.problem for one in self.taken) else 0


def remedies(differences: Iterable[Difference], catalog: Catalog | None) -> Remedies:
    """Return what there is to do about differences, and about units that an interrupted run left.

    A file that is no whole one and that the catalog does not know tells of a lost unit only where the catalog does
    not know the day either; elsewhere it is a stranger.

    Args:
        differences: Of all of the archive.
        catalog: The archive's record; None if there is none.
    """
    statuses = catalog.days() if catalog else ()
    known = {status.day for status in statuses}
    found = list(differences)
    earlier = [one for one in found if is_revision(one.path) and one.fault is not Fault.UNFINISHED]
    own = [one for one in found if not is_revision(one.path) and one.fault is not Fault.UNFINISHED]
    adopt = {one.unit for one in own if one.fault is Fault.FORGOTTEN and one.unit}
    lost = {
        one.unit for one in own if one.unit and (one.is_damage or (one.unit.day not in known and _can_be_had(one.unit)))
    }
    for status in statuses:
        for outcome in catalog.outcomes(status.day) if catalog else ():
            if outcome.state in _UNSETTLED and outcome.artifact is None:
                lost.add(outcome.unit)
    in_order = sorted(own, key=lambda one: one.is_damage)  # what was on record says more than a stranger beside it
    formats: dict[Unit, Format] = {
        one.unit: "csv" if one.path.endswith(".csv") else "parquet" for one in in_order if one.unit
    }
    return Remedies(
        aside=tuple(one for one in found if one.fault not in _STAY),
        fetch={unit: formats.get(unit) for unit in lost - adopt},
        adopt=frozenset(adopt),
        unfinished=tuple(one for one in found if one.fault is Fault.UNFINISHED),
        adopt_earlier=tuple(one for one in earlier if one.fault is Fault.FORGOTTEN),
        forget_earlier=tuple(one for one in earlier if one.is_damage),
        mute=tuple(one for one in earlier if one.fault is Fault.MUTE),
    )


def repair(catalog: Catalog, storage: Storage, clock: Clock, fetch: Fetch, *, delete: bool = False) -> Repaired:
    """Bring an archive into order, fetching nothing that it holds whole: `prepare`, then `restore`."""
    done = prepare(catalog, storage, clock, delete=delete)
    restore(done, catalog, fetch)
    return done


def prepare(
    catalog: Catalog,
    storage: Storage,
    clock: Clock,
    *,
    delete: bool = False,
    checked: Callable[[Checked], None] = lambda _: None,
    found: Callable[[Difference], None] = lambda _: None,
    taken: Callable[[Taken], None] = lambda _: None,
) -> Repaired:
    """Verify an archive, take out of it what is not right, and withdraw what must be fetched again.

    Args:
        catalog: The archive's record.
        storage: The archive's files.
        clock: Time.
        delete: Whether to remove damaged and unknown files instead of setting them aside.
        checked: Told how far verification is.
        found: Told of every difference.
        taken: Told of every file that was taken out of the archive.

    Raises:
        ArchiveBusy: Another process writes this archive.
        StorageError: The disk or the catalog failed.
    """
    with catalog.lease(clock):
        wanted = remedies(_differences(catalog, storage, clock, checked, found), catalog)
        done = Repaired(wanted, rebuilt=_known_again(wanted, catalog, clock))
        forget_earlier(catalog, [one.path for one in wanted.forget_earlier])
        for one in _taken_out(wanted, catalog, storage, clock, delete=delete):
            done.taken.append(one)
            taken(one)
        done.earlier = adopt_earlier(catalog, storage) if wanted.adopt_earlier else ()
        storage.sweep()
    return done


def restore(done: Repaired, catalog: Catalog, fetch: Fetch) -> None:
    """Fetch what was prepared for, record what was forgotten, and note in `done` what came of it.

    Args:
        done: What `prepare` did.
        catalog: The archive's record.
        fetch: Brings units into the archive; it takes the archive's lease for itself.
    """
    _fetched(done.remedies.units, done, fetch)
    if all(code <= 1 for code in done.exit_codes):
        done.lacking = _lacking(done.rebuilt, catalog)
        _fetched(dict.fromkeys(_mostly_there(done.lacking, catalog)), done, fetch)
        done.lacking = [unit for unit in done.lacking if catalog.outcome(unit) is None]
    for unit in sorted(done.remedies.units, key=_order):
        outcome = catalog.outcome(unit)
        if outcome is None or outcome.artifact is None:
            done.left.append(unit)
        elif unit in done.remedies.adopt:
            done.adopted.append(unit)
        else:
            done.restored.append(unit)


def open_sound(open_catalog: Callable[[], Catalog], storage: Storage, clock: Clock) -> tuple[Catalog, tuple[str, ...]]:
    """Open a catalog to write it; one that is damaged is set aside first, and a new one begun.

    Args:
        open_catalog: Opens the catalog, or makes a new one of the same form where there is none.
        storage: The archive's files.
        clock: Time.

    Returns:
        The catalog, and where the files of the damaged one lie now.

    Raises:
        ArchiveBusy: Another process writes this archive.
        StorageError: The catalog cannot be opened or moved.
    """
    try:
        catalog = open_catalog()
        try:
            with catalog.lease(clock):  # whoever writes it would go on in files that were moved away
                require_sound(catalog)
        except BaseException:
            catalog.close()
            raise
    except CatalogCorrupt:
        moved = set_catalog_aside(storage, clock.now())
        return open_catalog(), moved
    return catalog, ()


def require_sound(catalog: Catalog) -> None:
    """Read all that a catalog says of an archive's files.

    Raises:
        CatalogCorrupt: Some of it is damaged.
    """
    catalog.check()
    earlier_files(catalog)


def set_catalog_aside(storage: Storage, at: datetime) -> tuple[str, ...]:
    """Move all files of the catalog aside; return where they lie now.

    A database's log goes before the database: left behind, it would be taken for the new one's.
    """
    moved = []
    for path in sorted(filter(_CATALOG.fullmatch, storage.names()), reverse=True):
        moved.append(f"{_folder(at)}/{path.removeprefix(f'{PRIVATE}/')}")  # seen in a listing, without the dot
        storage.move(path, moved[-1])
    return tuple(reversed(moved))


def is_archive(storage: Storage) -> bool:
    """Tell whether a folder is an archive at all: it has a private folder of ours, or a file named like a unit's."""
    return any(
        path.startswith(f"{PRIVATE}/") or _CATALOG.fullmatch(path) or unit_named(path) for path in storage.names()
    )


def requests(units: Mapping[Unit, Format]) -> list[tuple[Request, Format]]:
    """Return units as requests for just these, one for each format, root, dataset and interval."""
    found: list[tuple[Request, Format]] = []
    for file_format in ("parquet", "csv", None):
        mine = sorted((unit for unit, wanted in units.items() if wanted == file_format), key=_order)
        for (root, dataset, interval), group in groupby(mine, _series):
            wanted = frozenset(group)
            dates = tuple(sorted({unit.trade_date for unit in wanted}))
            request = Request(dates, root, (dataset,), Scope(0), interval=interval, units=wanted)
            found.append((request, file_format))
    return found


def _differences(
    catalog: Catalog,
    storage: Storage,
    clock: Clock,
    checked: Callable[[Checked], None],
    found: Callable[[Difference], None],
) -> Iterator[Difference]:
    """Yield what verification finds, keeping the lease meanwhile."""
    next_beat = clock.now() + _BEAT

    def told(progress: Checked) -> None:
        nonlocal next_beat
        if clock.now() >= next_beat:
            catalog.beat(clock.now())
            next_beat = clock.now() + _BEAT
        checked(progress)

    for one in verify(catalog, storage, told=told):
        found(one)
        yield one


def _known_again(wanted: Remedies, catalog: Catalog, clock: Clock) -> dict[Day, Scope]:
    """Enter days that the catalog does not know, with the scope that their files show; return them."""
    known = {status.day for status in catalog.days()}
    farthest: dict[Day, int] = {}
    for unit in wanted.units:
        if unit.day not in known:
            dte = (unit.expiration - unit.trade_date).days if unit.expiration else 0
            farthest[unit.day] = max(dte, farthest.get(unit.day, 0))
    rebuilt = {day: Scope(farthest[day]) for day in sorted(farthest)}
    for day, scope in rebuilt.items():
        catalog.queue_days([day], scope, clock.now())
    return rebuilt


def _taken_out(wanted: Remedies, catalog: Catalog, storage: Storage, clock: Clock, *, delete: bool) -> Iterator[Taken]:
    """Withdraw what is to be fetched, and take what is not right out of the archive."""
    now = clock.now()
    for day in sorted({unit.day for unit in wanted.fetch}):
        catalog.interrupt_day(day, None, now)  # its verdict no longer holds
    for unit in sorted(wanted.fetch, key=_order):
        if catalog.outcome(unit) is None:
            catalog.record(Outcome(unit, State.PENDING, attempts=0), now)
        else:
            catalog.withdraw(unit)
    for one in wanted.aside:
        to = None if delete else f"{_folder(now)}/{one.path}"
        try:
            if to is None:
                storage.remove(one.path)
            else:
                storage.move(one.path, to)
        except (StorageError, FileNotFoundError) as error:
            if one.unit:
                raise
            yield Taken(one, None, str(error))  # a name that no file of ours could have
        else:
            yield Taken(one, to)


def _fetched(units: Mapping[Unit, Format], done: Repaired, fetch: Fetch) -> None:
    """Fetch units, until a run is stopped: the next one would be, too."""
    for request, file_format in requests(units):
        done.exit_codes.append(fetch(request, file_format))
        if done.exit_codes[-1] > 1:
            return


def _lacking(rebuilt: dict[Day, Scope], catalog: Catalog) -> list[Unit]:
    """Return the units of rebuilt days that the contract list speaks of and the catalog does not know."""
    found = []
    for day, scope in rebuilt.items():
        kind = DATASETS[day.dataset].contract_list
        listed = catalog.contracts(day.root, day.trade_date, kind) if kind and not is_day_wide(day) else None
        known = {outcome.unit for outcome in catalog.outcomes(day)}
        units = (day.unit(expiration) for expiration in expirations(day, scope, listed, ()))
        found += [unit for unit in units if unit not in known]
    return found


def _mostly_there(lacking: list[Unit], catalog: Catalog) -> list[Unit]:
    """Return those whose day is there for the most part: they were asked for too, and had no rows or failed.

    Of other days only some expirations were ever asked for.
    """
    missing = {day: [*group] for day, group in groupby(lacking, lambda unit: unit.day)}
    return [unit for day, units in missing.items() if len(catalog.outcomes(day)) > len(units) for unit in units]


def _can_be_had(unit: Unit) -> bool:
    """Tell whether a unit is one that could have been fetched at all."""
    covered = FIRST_DAY <= unit.trade_date <= LAST_DAY
    return (
        covered
        and closed_because(unit.trade_date) is None
        and session(unit.root, unit.trade_date, unit.expiration) is not None
    )


def _folder(at: datetime) -> str:
    return f"{ASIDE}/{at.astimezone(UTC):%Y%m%dT%H%M%S%f}"


def _series(unit: Unit) -> tuple[str, str, str]:
    return unit.root, unit.dataset, unit.interval


def _order(unit: Unit) -> tuple[tuple[str, str, str], str, str]:
    return _series(unit), str(unit.trade_date), str(unit.expiration or "")
