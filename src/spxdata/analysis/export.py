"""Rows of an archive as files for others: which days go where, what is there already, and what has changed since.

What lies at a destination follows from the archive, the choice of rows and the format alone: a day is written again
only if other rows were stored for it, and one that is not wanted any more goes. So the same call goes on where another
was stopped, and brings a destination up to date. Dates and datasets are not part of the choice: other ones are added.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl

from spxdata.analysis.files import Shelf
from spxdata.analysis.wanted import Chosen, Wanted, as_day, wanted
from spxdata.errors import ChecksumMismatch, ConfigError, StorageError
from spxdata.flags import Flag
from spxdata.model import Day, DayStatus, Verdict
from spxdata.pipeline.difference import Checked
from spxdata.schema import Dataset

#: What an export may be written as.
FORMATS: Final = ("parquet", "csv", "arrow", "duckdb", "hive")

#: Verdicts of days of which nothing is missing that the vendor has.
_SOUND: Final = frozenset({Verdict.COMPLETE, Verdict.ABSENT})

#: What was chosen, as JSON has it: the same rows of a day are wanted exactly if it is the same.
Choice = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of a day at a destination.

    Attributes:
        day: The day.
        units: How many stored units its rows come from.
        sources: SHA-256 over these units, their content hashes, and when they were fetched.
        rows: Rows that were written.
        bytes: Size of its file; 0 where it has none of its own.
    """

    day: Day
    units: int
    sources: str
    rows: int = 0
    bytes: int = 0


class Target(Protocol):
    """A destination in some format; see `spxdata.analysis.export_folder` and `export_duckdb`."""

    def entries(self) -> dict[Day, Entry]:
        """Return what is there whole, by day."""
        ...

    def put(self, entry: Entry, dataset: Dataset, frames: Iterator[pl.DataFrame]) -> int:
        """Write a day's rows, replacing what is there of it; return how many they are. Raises what `frames` does."""
        ...

    def drop(self, day: Day) -> None:
        """Remove a day's rows."""
        ...

    def finish(self) -> None:
        """Give what was written its final name, where it does not have it yet."""
        ...


class Change(StrEnum):
    """What came of a day: written, found as it should be, removed, nothing to write, or not whole in the archive."""

    WRITTEN = "written"
    KEPT = "kept"
    REMOVED = "removed"
    VACANT = "vacant"
    DAMAGED = "damaged"


#: What came of days whose rows are at the destination now.
_THERE: Final = frozenset({Change.WRITTEN, Change.KEPT})


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of a day.

    Attributes:
        day: The day.
        change: In a word.
        verdict: How the day stands in the archive; None while that is not known, and of one that was removed.
        rows: Its rows at the destination.
        reason: Why it could not be written.
    """

    day: Day
    change: Change
    verdict: Verdict | None = None
    rows: int = 0
    reason: str | None = None

    @property
    def is_partial(self) -> bool:
        """Whether something is missing in the archive that the vendor may have."""
        return self.change is not Change.REMOVED and self.verdict not in _SOUND


@dataclass(frozen=True, slots=True)
class Export:
    """What was exported.

    Attributes:
        destination: Where it lies.
        format: One of `FORMATS`.
        days: What came of each day, in the order of datasets, intervals, trade dates and roots.
    """

    destination: Path
    format: str
    days: tuple[Exported, ...] = field(repr=False)

    @property
    def rows(self) -> int:
        """Rows of all these days at the destination."""
        return sum(one.rows for one in self.days)

    @property
    def partial(self) -> tuple[Exported, ...]:
        """The days of which something is missing in the archive."""
        return tuple(one for one in self.days if one.is_partial)

    @property
    def exit_code(self) -> int:
        """0 if all is there, 1 if a day is partial or there is none at all, 5 if a file of the archive is damaged."""
        if any(one.change is Change.DAMAGED for one in self.days):
            return StorageError.exit_code
        return 1 if self.partial or not any(one.change in _THERE for one in self.days) else 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be exported.

    Attributes:
        series: The rows of each dataset at each interval that the archive has; they differ in nothing else.
        interval: The interval in question; None for all.
    """

    series: tuple[Wanted, ...]
    interval: str | None = None

    def has(self, day: Day) -> bool:
        """Tell whether a day is in question, be there anything of it or not."""
        one = self.series[0]
        return (
            day.dataset in {other.dataset.name for other in self.series}
            and (self.interval is None or day.interval == self.interval)
            and (one.root is None or day.root in {other.root for other in self.series})
            and (one.start or date.min) <= day.trade_date <= (one.end or date.max)
        )


def asked(
    shelf: Shelf,
    datasets: Iterable[str],
    interval: str | None,
    *,
    start: date | str | None = None,
    end: date | str | None = None,
    **choice: Any,  # noqa: ANN401 - as in `wanted`
) -> Asked:
    """Read what a caller wants to be exported; see `Archive.export`.

    Raises:
        ConfigError: Something of it is wrong, or the archive has nothing of it.
    """
    first = None if start is None else as_day("start", start)
    last = None if end is None else as_day("end", end)
    names = tuple(datasets) or shelf.datasets(first, last)
    if not names:
        raise ConfigError("The archive has nothing of these days.", hint="See what it has: spxdata status.")
    series = []
    for name in dict.fromkeys(names):
        there = [interval] if interval else shelf.intervals(name, first, last)
        found = [wanted(name, interval=one, start=first, end=last, **choice) for one in there or (None,)]
        if not any(True for one in found for _ in shelf.days(replace(one, complete_only=False))):
            raise ConfigError(f"The archive has no {name} of these days.", hint="See what it has: spxdata status.")
        series += found
    return Asked(tuple(series), interval)


def choice_of(one: Wanted, form: str) -> Choice:
    """Return what was chosen, without dates and datasets: these may differ from call to call."""
    chosen = {
        name: _told(getattr(one, name))
        for name in ("expiration", "dte", "right", "strike", "delta", "moneyness", "times")
        if getattr(one, name) is not None
    }
    without = [str(flag.name).lower() for flag in Flag if flag in one.without]
    return {"format": form, "rows": chosen, "without_flags": without, "complete_only": one.complete_only}


def _told(choice: Chosen[object]) -> object:
    if choice.among is not None:
        return sorted(map(str, choice.among))
    return {name: str(end) for name, end in (("from", choice.low), ("to", choice.high)) if end is not None}


def require_choice(found: object, choice: Choice, destination: Path) -> None:
    """Refuse a destination that has rows of another choice.

    Raises:
        ConfigError: It has.
    """
    if found != choice:
        known = found if isinstance(found, dict) else {}
        differ = [f"{key} {known.get(key)!r} there, {value!r} now" for key, value in choice.items()]
        told = [line for line, key in zip(differ, choice, strict=True) if known.get(key) != choice[key]]
        raise ConfigError(
            f"{destination} has an export of another choice: {'; '.join(told)}.",
            hint="Choose another destination, or --force (in Python force=True) to begin this one anew.",
        )


def require_outside(destination: Path, archive: Path) -> None:
    """Refuse a destination within the archive.

    Raises:
        ConfigError: It is.
    """
    there, ours = destination.resolve(), archive.resolve()
    if there == ours or ours in there.parents:
        raise ConfigError(
            f"{destination} lies within the archive {archive}.", hint="Choose a destination outside of it."
        )


def export(
    shelf: Shelf,
    what: Asked,
    target: AbstractContextManager[Target],
    told: Callable[[Checked], None] = lambda _: None,
) -> Iterator[Exported]:
    """Bring a destination to hold what is asked for, and yield what came of each day; see `Archive.export`.

    Args:
        shelf: The archive's files.
        what: What is to be there.
        target: The destination, which is opened first and closed last.
        told: Told how far it is, before the first day and after each.

    Raises:
        ConfigError: The destination is none of ours, or has another choice.
        StorageError: It cannot be written.
    """
    days = [(one, status) for one in what.series for status in shelf.days(one)]
    done = Checked(0, sum(one.files for _, one in days), 0, sum(one.bytes for _, one in days))
    told(done)
    with target as place:
        known = place.entries()
        there = set()
        for one, status in days:
            found = _day(shelf, one, status, known.get(status.day), place)
            if found.change is not Change.VACANT:
                there.add(status.day)
            done = done._replace(files=done.files + status.files, bytes=done.bytes + status.bytes)
            told(done)
            yield found
        for day in sorted(known):
            if what.has(day) and day not in there:
                place.drop(day)
                yield Exported(day, Change.REMOVED)
        place.finish()


def _day(shelf: Shelf, one: Wanted, status: DayStatus, known: Entry | None, place: Target) -> Exported:
    """Write a day, unless it is there as it should be."""
    day = status.day
    mine = replace(one, root=day.root, start=day.trade_date, end=day.trade_date)
    files = shelf.holding(mine)
    found = Exported(day, Change.KEPT, status.verdict)
    if not files:
        return replace(found, change=Change.VACANT)
    # the content hash says nothing of flags, by which rows are chosen: they change when rows are fetched again
    lines = sorted(f"{one.unit} {one.artifact.content_hash} {one.artifact.provenance.fetched_at}\n" for one in files)
    entry = Entry(day, len(files), hashlib.sha256("".join(lines).encode()).hexdigest())
    if known and (known.units, known.sources) == (entry.units, entry.sources):
        return replace(found, rows=known.rows)
    try:
        rows = place.put(entry, one.dataset, shelf.frames(mine))
    except ChecksumMismatch as error:
        return replace(found, change=Change.DAMAGED, reason=error.message)
    except FileNotFoundError as error:  # another process has just replaced it
        return replace(found, change=Change.DAMAGED, reason=f"{error.filename} went while it was read")
    return replace(found, change=Change.WRITTEN, rows=rows)
