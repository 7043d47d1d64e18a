"""Another encoding for all that is stored: Parquet or CSV, float64 or decimals; the rows stay what they are.

A day's files are written aside first, each read back and compared; then they take their places, one after the other,
in an order that a kill can end anywhere. A file under another name is recorded before the old one goes. Of one under
the same name the record is withdrawn right before the rename, as in any download; the file that lies there then, old or
new, is a whole Parquet file, and the next run, a repair or a download records it. A note in the catalog, kept
meanwhile, tells the next run which day that was, and the verdict it had.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from spxdata.catalog.entries import dumped, moment_of, moment_text
from spxdata.errors import ChecksumMismatch, StorageError
from spxdata.layout import CONVERTED, paths_of
from spxdata.model import Artifact, DayStatus, Outcome, State, Unit, Verdict
from spxdata.pipeline.attempt import stored
from spxdata.pipeline.difference import Checked
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.read import adopt
from spxdata.pipeline.recode import is_encoded, recode
from spxdata.pipeline.trust import compare
from spxdata.plan import dated
from spxdata.protocols import Catalog, Clock, Storage
from spxdata.schema import DATASETS
from spxdata.sessions import NEW_YORK
from spxdata.storage.aside import Aside

#: Kind of the catalog's notes on days whose files are just taking their places.
KIND: Final = "conversion"
#: Version of these notes.
VERSION: Final = 1

#: States of a unit whose file is not on record, and may be there.
_UNSETTLED: Final = frozenset({State.PENDING, State.DOWNLOADING})
#: Seconds between two renewals of the lease.
_BEAT: Final = 10.0


class Change(StrEnum):
    """What came of a file: written anew; left, because it was so already; because it is damaged; or of old columns."""

    CONVERTED = "converted"
    KEPT = "kept"
    DAMAGED = "damaged"
    OLDER = "older"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What came of a stored file.

    Attributes:
        unit: Whose file it is.
        change: In a word.
        path: Where it lay.
        bytes: Its size.
        to: The file that took its place; None where none did.
        reason: Why not, where that is not as it should be.
    """

    unit: Unit
    change: Change
    path: str
    bytes: int
    to: Artifact | None = None
    reason: str | None = None


def exit_code(found: set[Change]) -> int:
    """Return the exit code by the worst that came of a file."""
    if Change.DAMAGED in found:
        return StorageError.exit_code
    return 1 if Change.OLDER in found else 0


def convert(
    catalog: Catalog,
    storage: Storage,
    encoding: Encoding,
    clock: Clock,
    told: Callable[[Checked], None] = lambda _: None,
) -> Iterator[Conversion]:
    """Give every stored unit's file an encoding, and yield what came of each, day by day; earlier files stay.

    Files that have it are left alone, so that the same call goes on where another was stopped.

    Args:
        catalog: The archive's record.
        storage: The archive's files.
        encoding: How they are to be.
        clock: Time.
        told: Told how far it is, before the first file and after each.

    Raises:
        ArchiveBusy: Another process writes this archive.
        StorageError: The disk or the catalog failed; every row is still there.
    """
    with catalog.lease(clock):
        storage.sweep()
        _clear(storage)
        try:
            yield from _Converter(catalog, storage, encoding, clock, told).days()
        finally:
            _clear(storage)


def _clear(storage: Storage) -> None:
    for path in storage.names(CONVERTED):
        storage.remove(path)


class _Converter:
    """One run; see `convert`."""

    def __init__(
        self,
        catalog: Catalog,
        storage: Storage,
        encoding: Encoding,
        clock: Clock,
        told: Callable[[Checked], None],
    ) -> None:
        self._catalog = catalog
        self._storage = storage
        self._aside = Aside(storage, CONVERTED)
        self._encoding = encoding
        self._clock = clock
        self._told = told
        self._next_beat = clock.monotonic() + _BEAT

    def days(self) -> Iterator[Conversion]:
        """Yield what came of each file."""
        notes = self._catalog.documents(KIND)
        statuses = self._catalog.days()
        done = Checked(0, sum(one.files for one in statuses), 0, sum(one.bytes for one in statuses))
        self._told(done)
        for status in statuses:
            note = notes.get(_key(status))
            for one in self._day(status if note is None else self._settled(status, json.loads(note))):
                done = done._replace(files=done.files + 1, bytes=done.bytes + one.bytes)
                self._told(done)
                yield one

    def _day(self, status: DayStatus) -> Iterator[Conversion]:
        """Convert a day's files: all are written before the first takes its place."""
        written: list[tuple[Outcome, Artifact]] = []
        found: list[Conversion] = []
        for outcome in self._catalog.outcomes(status.day):
            if outcome.artifact:
                one = self._written(outcome, outcome.artifact)
                if one.to:
                    written.append((outcome, one.to))
                    found.append(one)
                else:
                    yield one
        if written:
            self._exchange(status, written)
        yield from found

    def _written(self, outcome: Outcome, artifact: Artifact) -> Conversion:
        """Write a unit's rows aside, unless they are as they should be, or not what they should be."""
        unit = outcome.unit
        left = Conversion(unit, Change.KEPT, artifact.path, artifact.bytes)
        self._beat()
        if artifact.schema_version != DATASETS[unit.dataset].version:
            reason = f"its columns are those of version {artifact.schema_version}"
            return replace(left, change=Change.OLDER, reason=reason)
        try:
            if is_encoded(self._storage, unit, artifact, self._encoding):
                return left
            new = recode(self._storage, self._aside, outcome, self._encoding, self._clock, self._beat)
        except FileNotFoundError:
            return replace(left, change=Change.DAMAGED, reason="it is not there")
        except OSError as error:  # the disk fails to read it: what is written fails with errors of ours
            return replace(left, change=Change.DAMAGED, reason=str(error))
        except ChecksumMismatch as error:
            return replace(left, change=Change.DAMAGED, reason=error.message.removeprefix(artifact.path).strip())
        return replace(left, change=Change.CONVERTED, to=new) if new else left

    def _exchange(self, status: DayStatus, written: list[tuple[Outcome, Artifact]]) -> None:
        """Let new files take the places of old ones; the day keeps its verdict."""
        now = self._clock.now()
        note = {"version": VERSION, "at": moment_text(now), "verdict": status.verdict, "error": status.error}
        self._catalog.keep_documents(KIND, {_key(status): dumped(note)})
        if status.verdict is not None:
            self._catalog.begin_day(status.day, status.scope, now)
        for outcome, new in written:
            old = outcome.artifact
            if old and old.path == new.path:
                self._catalog.withdraw(outcome.unit)
            self._storage.move(self._aside.place(new.path), new.path)
            self._catalog.record(replace(outcome, state=State.STORED, artifact=new), now)
            if old and old.path != new.path:
                self._storage.remove(old.path)
        self._concluded(status)

    def _concluded(self, status: DayStatus) -> None:
        """Give a day its verdict back, if it had one."""
        if status.verdict is not None:
            self._catalog.end_day(status.day, status.verdict, status.error, self._clock.now())
        self._catalog.drop_documents(KIND, [_key(status)])

    def _settled(self, status: DayStatus, note: dict[str, Any]) -> DayStatus:
        """Bring a day into order during which a run was killed; return how it stands then."""
        for outcome in self._catalog.outcomes(status.day):
            self._beat()
            self._settle(outcome)
        pending = any(outcome.state in _UNSETTLED for outcome in self._catalog.outcomes(status.day))
        is_ours = status.verdict is None and _same(status.started_at, moment_of(note["at"]))
        if is_ours and note["verdict"] and not pending:
            status = replace(status, verdict=Verdict(note["verdict"]), error=note["error"])
        self._concluded(status)
        return status

    def _settle(self, outcome: Outcome) -> None:
        """Record the file of a unit whose record was withdrawn, and remove the one that it had in another format."""
        unit, artifact = outcome.unit, outcome.artifact
        if outcome.state in _UNSETTLED and artifact is None:
            kind = DATASETS[unit.dataset].contract_list
            listed = self._catalog.contracts(unit.root, unit.trade_date, kind) if kind else None
            found = adopt(self._storage, unit, listed.of(unit.expiration) if listed else None)
            if found:
                now = self._clock.now()
                adopted = replace(stored(found, unit, listed), attempts=0)
                self._catalog.record(dated(adopted, now.astimezone(NEW_YORK).date(), listed=listed is not None), now)
                artifact = found.artifact
        if artifact is None:
            return
        others = [path for path in paths_of(unit) if path != artifact.path and self._storage.size(path) is not None]
        if others and compare(self._storage, unit, artifact) is None:
            for path in others:
                self._storage.remove(path)  # a unit has one format

    def _beat(self) -> None:
        """Renew the lease in time: a file may take minutes."""
        if self._clock.monotonic() >= self._next_beat:
            self._catalog.beat(self._clock.now())
            self._next_beat = self._clock.monotonic() + _BEAT


def _key(status: DayStatus) -> str:
    return " ".join(map(str, status.day))


def _same(one: datetime | None, other: datetime) -> bool:
    """Tell whether a catalog means the same moment: some keep no more than milliseconds."""
    return one is not None and abs((one - other).total_seconds()) < 0.001
