"""Which files of an archive can hold what is wanted, and their rows as one lazy table."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from itertools import groupby
from typing import NamedTuple

import polars as pl

from spxdata.analysis.wanted import Wanted
from spxdata.model import Artifact, DayStatus, Unit, Verdict
from spxdata.pipeline.csv_file import csv_scan
from spxdata.pipeline.earlier import earlier_files
from spxdata.pipeline.parse import RIGHT, TYPES
from spxdata.pipeline.read import footer, frames
from spxdata.pipeline.trust import trusted
from spxdata.pipeline.versions import OLDER, Table
from spxdata.protocols import Catalog, Storage
from spxdata.schema import DATASETS, FLAGS, STEP_MS, TRADE_DATE, Column, Dataset


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


class Stored(NamedTuple):
    """A file of the archive, and whose rows it holds."""

    unit: Unit
    artifact: Artifact


class Shelf:
    """The files of an archive, each looked at once before it is read: it must be the one that the catalog recorded.

    Args:
        catalog: The archive's record.
        storage: The archive's files.
        verify_on_read: Whether every byte must be as recorded, not only size and footer.
        as_of: The moment whose rows are wanted, where units have earlier files; None for the newest.
        older: The versions of columns that are no more written.
    """

    def __init__(
        self,
        catalog: Catalog,
        storage: Storage,
        *,
        verify_on_read: bool = False,
        as_of: datetime | None = None,
        older: Table = OLDER,
    ) -> None:
        self.catalog = catalog
        self._storage = storage
        self._verify = verify_on_read
        self._as_of = as_of
        self._versions = older
        self._seen: dict[Artifact, tuple[str, Form]] = {}

    def holding(self, wanted: Wanted) -> tuple[Stored, ...]:
        """Return the files that may hold some of what is wanted, sorted by trade date and expiration."""
        earlier = self._earlier()
        found = []
        for status in self.days(wanted):
            for outcome in self.catalog.outcomes(status.day):
                unit = outcome.unit
                if wanted.has(unit.trade_date, unit.expiration):
                    files = [*earlier.get(unit, ()), *([outcome.artifact] if outcome.artifact else [])]
                    artifact = self._of_the_moment(files)
                    if artifact is not None:
                        found.append(Stored(unit, artifact))
        return tuple(found)

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
            ChecksumMismatch: A file is not the one that was recorded.
            NewerVersion: A newer program wrote one.
        """
        parts = [self.rows(part, wanted.dataset) for part in self.parts(wanted)]
        if not parts:
            return pl.LazyFrame(schema=row_types(wanted.dataset))
        return pl.concat(parts, how="vertical").filter(wanted.rows())

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
        """Return the files that may hold some of what is wanted, neighbours of one form together.

        Raises:
            ChecksumMismatch: A file is not the one that was recorded.
            NewerVersion: A newer program wrote one.
        """
        looked = [self._looked_at(file) for file in self.holding(wanted)]
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

    def _earlier(self) -> Mapping[Unit, list[Artifact]]:
        found: dict[Unit, list[Artifact]] = {}
        if self._as_of is not None:
            for file in earlier_files(self.catalog):
                found.setdefault(file.unit, []).append(file.artifact)
        return found

    def _of_the_moment(self, files: list[Artifact]) -> Artifact | None:
        """Return the file that had a unit's rows at the moment: the newest of those fetched by then."""
        at = self._as_of
        known = files if at is None else [file for file in files if file.provenance.fetched_at <= at]
        return max(reversed(known), key=lambda file: file.provenance.fetched_at, default=None)

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


def columns_of(dataset: Dataset) -> tuple[Column, ...]:
    """Return the columns of a dataset's files, trade date and flags included."""
    return (TRADE_DATE, *dataset.columns, FLAGS)


def row_types(dataset: Dataset) -> dict[str, pl.DataType]:
    """Return the columns of a dataset's rows with their types."""
    return {column.name: RIGHT if column.name == "right" else TYPES[column.kind] for column in columns_of(dataset)}
