"""Which files of an archive can hold what is wanted, and their rows as one lazy table.

No file is read before it was looked at. A few are looked at by planning, so that what is wrong is heard at once; of
many, each is looked at when it is about to be read, some at a time: ten years are planned by the catalog alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from enum import StrEnum
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple

import polars as pl
from polars.io.plugins import register_io_source

from spxdata.analysis.wanted import Wanted
from spxdata.model import Artifact, DayStatus, Stored, Unit, Verdict
from spxdata.pipeline.csv_file import csv_scan
from spxdata.pipeline.earlier import earlier_files
from spxdata.pipeline.parse import RIGHT, TYPES
from spxdata.pipeline.read import footer, frames
from spxdata.pipeline.trust import trusted
from spxdata.pipeline.versions import OLDER, Table
from spxdata.protocols import Catalog, MayMatter, Storage
from spxdata.schema import DATASETS, FLAGS, STEP_MS, TRADE_DATE, Column, Dataset

#: As many as a fifth of a second suffices to look at.
_AT_ONCE: Final = 256


class Kind(StrEnum):
    """How a file's rows are read."""

    PARQUET = "parquet"
    CSV = "csv"
    OLDER = "older"  # of an older version of the columns


class Form(NamedTuple):
    """What files must share to be read as one table: the kind, and the columns that are stored as decimals."""

    kind: Kind
    decimals: tuple[str, ...] = ()


class Part(NamedTuple):
    """Files that are read as one table, in their order."""

    form: Form
    paths: tuple[str, ...]


class Narrowed(NamedTuple):
    """What a query needs of the rows: all of it goes down into the files.

    Attributes:
        columns: The columns; None for all.
        predicate: Which of the rows; None for all.
        most: How many of the rows that are wanted, counted before the predicate; None for all.
    """

    columns: list[str] | None
    predicate: pl.Expr | None
    most: int | None

    def of(self, rows: pl.LazyFrame, most: int | None) -> pl.LazyFrame:
        """Return the rows that are needed; of a number of them with all columns, for `after` to narrow them."""
        return self._narrowed(rows) if most is None else rows.head(most)

    def after(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return what is needed of rows that were counted."""
        return frame if self.most is None else self._narrowed(frame.lazy()).collect()

    def _narrowed(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        chosen = rows if self.predicate is None else rows.filter(self.predicate)
        return chosen if self.columns is None else chosen.select(self.columns)


class Shelf:
    """The files of an archive, each looked at once before it is read: it must be the one that the catalog recorded.

    Args:
        catalog: The archive's record.
        storage: The archive's files.
        verify_on_read: Whether every byte must be as recorded, not only size and footer.
        as_of: The moment whose rows are wanted, where units have earlier files; None for the newest.
        older: The versions of columns that are no more written.
        at_once: How many files are looked at and read at once; more are read part after part.
    """

    def __init__(
        self,
        catalog: Catalog,
        storage: Storage,
        *,
        verify_on_read: bool = False,
        as_of: datetime | None = None,
        older: Table = OLDER,
        at_once: int = _AT_ONCE,
    ) -> None:
        self.catalog = catalog
        self._storage = storage
        self._verify = verify_on_read
        self._as_of = as_of
        self._versions = older
        self._at_once = at_once
        self._seen: dict[Artifact, tuple[str, Form]] = {}

    def holding(self, wanted: Wanted) -> Sequence[Stored]:
        """Return the files of all units that may have some of what is wanted, sorted by trade date and expiration."""
        return self._files(wanted, lambda unit, *_: wanted.has(unit.trade_date, unit.expiration))

    def days(self, wanted: Wanted) -> Iterator[DayStatus]:
        """Yield the days that may hold some of what is wanted."""
        for status in self.catalog.days(wanted.start, wanted.end):
            day = status.day
            if (day.dataset, day.interval) != (wanted.dataset.name, wanted.interval):
                continue
            if wanted.root is not None and day.root != wanted.root:
                continue
            if not wanted.complete_only or status.verdict is Verdict.COMPLETE:
                yield status

    def scan(self, wanted: Wanted) -> pl.LazyFrame:
        """Return the rows that are wanted, in canonical types, numbers as float64.

        Raises:
            ChecksumMismatch: A file is not the one that was recorded; of many files it is raised by reading them.
            NewerVersion: A newer program wrote one; likewise.
        """
        types = row_types(wanted.dataset)
        files = self.reached(wanted)
        if not files:
            return pl.LazyFrame(schema=types)
        if len(files) <= self._at_once:
            return self._rows(files, wanted)

        def read(
            columns: list[str] | None, predicate: pl.Expr | None, most: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            return self._read(files, wanted, Narrowed(columns, predicate, most))

        return register_io_source(read, schema=types, explain_name="spxdata", explain_detail=f"{len(files):,} files")

    def reached(self, wanted: Wanted) -> Sequence[Stored]:
        """Return the files that may hold some of what is wanted, by all that the catalog knows of them."""
        return self._files(wanted, wanted.reaches)

    def _files(self, wanted: Wanted, may_matter: MayMatter) -> Sequence[Stored]:
        if wanted.complete_only:
            statuses = self.catalog.days(wanted.start, wanted.end)
            complete = {status.day for status in statuses if status.verdict is Verdict.COMPLETE}

        def chosen(unit: Unit, strikes: tuple[float, float] | None, times: tuple[time, time] | None) -> bool:
            return may_matter(unit, strikes, times) and (not wanted.complete_only or unit.day in complete)

        found = self.catalog.stored(
            wanted.dataset.name,
            wanted.interval,
            root=wanted.root,
            start=wanted.start,
            end=wanted.end,
            may_matter=chosen if self._as_of is None else None,  # an earlier file has ranges of its own
        )
        if self._as_of is None:
            return found
        earlier = self._of_the_moment(found, wanted, self._as_of)
        return tuple(file for file in earlier if chosen(file.unit, file.artifact.strikes, file.artifact.times))

    def frames(self, wanted: Wanted) -> Iterator[pl.DataFrame]:
        """Yield the rows that are wanted as `scan` has them, a row group of a file at a time.

        Raises:
            ChecksumMismatch: A file is not the one that was recorded.
            NewerVersion: A newer program wrote one.
        """
        columns, rows = list(row_types(wanted.dataset)), wanted.rows()
        for file in self.holding(wanted):
            path, _ = self._looked_at(file)
            for frame in frames(self._storage, path, older=self._versions):
                yield frame.select(columns).filter(rows)

    def parts(self, wanted: Wanted) -> tuple[Part, ...]:
        """Look at the files that may hold some of what is wanted; return them, neighbours of one form together.

        Raises:
            ChecksumMismatch: A file is not the one that was recorded.
            NewerVersion: A newer program wrote one.
        """
        return self._parts(self.reached(wanted))

    def _parts(self, files: Iterable[Stored]) -> tuple[Part, ...]:
        looked = [self._looked_at(file) for file in files]
        groups = groupby(looked, key=lambda one: one[1])
        return tuple(Part(form, tuple(path for path, _ in group)) for form, group in groups)

    def rows(self, part: Part, dataset: Dataset) -> pl.LazyFrame:
        """Return the rows of some files, in canonical types."""
        types = row_types(dataset)
        if part.form.kind is Kind.OLDER:
            return pl.concat([pl.defer(partial(self.older, path), schema=types) for path in part.paths])
        addresses = self.addresses(part)
        if part.form.kind is Kind.CSV:
            return csv_scan(addresses, dataset).select(list(types))
        rows = pl.scan_parquet(addresses, glob=False, hive_partitioning=False)
        casts = [pl.col(name).cast(pl.Float64) for name in part.form.decimals]  # exact: the float64 nearest to each
        if "right" in types:
            casts.append(pl.col("right").cast(RIGHT))
        return rows.with_columns(casts)

    def addresses(self, part: Part) -> list[str]:
        """Return where other programs find files."""
        return [self._storage.address(path) for path in part.paths]

    def older(self, path: str) -> pl.DataFrame:
        """Return the rows of a file of an older version, in today's columns."""
        return pl.concat(frames(self._storage, path, older=self._versions))

    def intervals(self, dataset: str, start: date | None = None, end: date | None = None) -> tuple[str, ...]:
        """Return the intervals at which the archive has a dataset between two trade dates, the finest first."""
        found = {status.day.interval for status in self.catalog.days(start, end) if status.day.dataset == dataset}
        return tuple(sorted(found, key=lambda interval: STEP_MS.get(interval, 0)))

    def datasets(self, start: date | None = None, end: date | None = None) -> tuple[str, ...]:
        """Return the datasets that the archive has between two trade dates, in the order of their table."""
        found = {status.day.dataset for status in self.catalog.days(start, end)}
        return tuple(name for name in DATASETS if name in found)

    def _of_the_moment(self, files: Iterable[Stored], wanted: Wanted, at: datetime) -> Iterator[Stored]:
        """Yield of each unit the file that had its rows at a moment: the newest of those fetched by then."""
        earlier = (Stored(*one) for one in earlier_files(self.catalog) if wanted.speaks_of(one.unit))
        fetched = [file for file in (*earlier, *files) if file.artifact.provenance.fetched_at <= at]
        for unit, mine in groupby(sorted(fetched, key=lambda file: _place(file.unit)), lambda file: file.unit):
            # of two copies of one fetch the last one counts: that in the unit's own place
            yield Stored(unit, max(reversed([f.artifact for f in mine]), key=lambda one: one.provenance.fetched_at))

    def _rows(self, files: Sequence[Stored], wanted: Wanted) -> pl.LazyFrame:
        """Return the rows of files that are wanted, once these were looked at."""
        parts = [self.rows(part, wanted.dataset) for part in self._parts(files)]
        return pl.concat(parts, how="vertical").filter(wanted.rows())

    def _read(self, files: Sequence[Stored], wanted: Wanted, narrowed: "Narrowed") -> Iterator[pl.DataFrame]:
        """Yield the rows of files that are wanted, a part of the files at a time, each looked at before."""
        left = narrowed.most
        for start in range(0, len(files), self._at_once):
            rows = self._rows(files[start : start + self._at_once], wanted)
            for frame in narrowed.of(rows, left).collect_batches(maintain_order=True):
                yield narrowed.after(frame)
                left = None if left is None else left - frame.height
            if left is not None and left <= 0:
                return

    def _looked_at(self, file: Stored) -> tuple[str, Form]:
        known = self._seen.get(file.artifact)
        if known is None:
            artifact = trusted(
                self.catalog, self._storage, file.artifact, verify_on_read=self._verify, older=self._versions
            )
            known = self._seen[file.artifact] = artifact.path, self._form(file.unit, artifact)
        return known

    def _form(self, unit: Unit, artifact: Artifact) -> Form:
        if artifact.schema_version != DATASETS[unit.dataset].version:
            return Form(Kind.OLDER)
        if artifact.format == "csv":
            return Form(Kind.CSV)
        return Form(Kind.PARQUET, footer(self._storage, artifact.path).decimals)


def _place(unit: Unit) -> tuple[date, str, date]:
    return unit.trade_date, unit.root, unit.expiration or date.min


def columns_of(dataset: Dataset) -> tuple[Column, ...]:
    """Return the columns of a dataset's files, trade date and flags included."""
    return (TRADE_DATE, *dataset.columns, FLAGS)


def row_types(dataset: Dataset) -> dict[str, pl.DataType]:
    """Return the columns of a dataset's rows with their types."""
    return {column.name: RIGHT if column.name == "right" else TYPES[column.kind] for column in columns_of(dataset)}
