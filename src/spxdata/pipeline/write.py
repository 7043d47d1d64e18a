"""Checked rows into a file that gets its final name only when it is whole and durable."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl

from spxdata.completeness import describe
from spxdata.errors import ShortList, ShortReply
from spxdata.events import Emit, StoredAsFloat, ignore, plain
from spxdata.layout import path_of
from spxdata.model import Artifact, Contract, Provenance, Unit
from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.csv_file import CsvFile
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.hashing import HashingFile
from spxdata.pipeline.parquet_file import ParquetFile
from spxdata.pipeline.ranges import RangeTaker
from spxdata.pipeline.validate import Checked
from spxdata.protocols import Clock, Pending, Storage
from spxdata.schema import DATASETS


class Rows(Protocol):
    """Rows on their way into a file of some format."""

    @property
    def compression(self) -> str:
        """Codec inside the file."""
        ...

    @property
    def inexact(self) -> tuple[str, ...]:
        """Columns that should have become decimals and could not."""
        ...

    def see(self, frame: pl.DataFrame) -> None:
        """Look at rows that have arrived; all are seen before the first is written."""
        ...

    def write(self, frame: pl.DataFrame) -> None:
        """Append rows."""
        ...

    def finish(self, document: Mapping[str, object]) -> None:
        """Write what comes after the rows, with a document on the file if the format has a place for it."""
        ...

    def abandon(self) -> None:
        """Let go of the file, after whatever went wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Sink:
    """A unit's file in the making."""

    unit: Unit
    path: str
    pending: Pending
    encoding: Encoding
    origin: Callable[[], Provenance]
    clock: Clock
    emit: Emit = ignore

    def commit(
        self,
        checked: Checked,
        *,
        accept_holes: bool = False,
        accept_unlisted: bool = False,
        replacing: Callable[[], None] = lambda: None,
    ) -> Artifact:
        """Write all rows and give the file its final name.

        Args:
            checked: The rows.
            accept_holes: Whether a reply that lacks listed contracts or required minutes is good enough.
            accept_unlisted: Whether one is that proves the contract list short.
            replacing: Called right before the final name is given.

        Raises:
            ShortList: Contracts were quoted that are not listed, and that was not accepted.
            ShortReply: Something is missing, and that was not accepted.
            DataError: The reply is wrong.
            StorageError: The file could not be written.
        """
        file = HashingFile(self.pending)
        rows = open_rows(file, self.unit, self.encoding)
        try:
            artifact = self._written(rows, file, checked, accept_holes=accept_holes, accept_unlisted=accept_unlisted)
        except BaseException:
            rows.abandon()
            raise
        replacing()
        self.pending.commit()
        if rows.inexact:
            self.emit(StoredAsFloat(self.unit, rows.inexact))
        return artifact

    def _written(
        self, rows: Rows, file: HashingFile, checked: Checked, *, accept_holes: bool, accept_unlisted: bool
    ) -> Artifact:
        """Write everything, and return what is to be said of the file."""
        dataset = DATASETS[self.unit.dataset]
        content = ContentHash(dataset)
        ranges = RangeTaker(self.unit)
        count = 0
        for frame in regrouped(checked.rows(rows.see), self.encoding.row_group_rows):
            content.update(frame)
            ranges.update(frame)
            count += frame.height
            rows.write(frame)
        if checked.unlisted and not accept_unlisted:
            raise ShortList(
                f"{len(checked.unlisted):,} contracts were quoted that the contract list lacks, "
                f"first {min(checked.unlisted)}."
            )
        missing = [hole for hole in checked.holes if hole.partial]
        if missing and not accept_holes:
            raise ShortReply(f"The reply ended cleanly but lacks {describe(missing)}.")
        created_at = self.clock.now()
        provenance = self.origin()
        rows.finish(document(self.unit, content.hexdigest(), checked.empty, created_at, provenance))
        return Artifact(
            path=self.path,
            rows=count,
            bytes=file.bytes,
            sha256=file.sha256(),
            content_hash=content.hexdigest(),
            schema_version=dataset.version,
            format=self.encoding.format,
            compression=rows.compression,
            created_at=created_at,
            provenance=provenance,
            strikes=ranges.strikes,
            times=ranges.times,
        )


def open_rows(file: HashingFile, unit: Unit, encoding: Encoding) -> Rows:
    """Begin a unit's rows in the format of an encoding."""
    if encoding.format == "csv":
        return CsvFile(file, DATASETS[unit.dataset])
    codec = encoding.compression, encoding.level
    return ParquetFile(file, unit, codec, decimals=encoding.numbers == "decimal")


def document(
    unit: Unit, content_hash: str, empty: Iterable[Contract], created_at: datetime, provenance: Provenance
) -> dict[str, object]:
    """Return what a file says of itself, where its format has a place for it.

    Args:
        unit: Whose rows it holds.
        content_hash: Of these rows.
        empty: Contracts of which the Terminal said, asked for each alone, that they have no rows.
        created_at: When the file was written (aware).
        provenance: Where the rows come from.
    """
    return {
        "unit": plain(unit),
        "schema_version": DATASETS[unit.dataset].version,
        "content_hash": content_hash,
        "empty": plain(sorted(empty)),
        "created_at": plain(created_at),
        "provenance": plain(provenance),
    }


@contextmanager
def write(
    unit: Unit,
    storage: Storage,
    encoding: Encoding,
    origin: Callable[[], Provenance],
    clock: Clock,
    emit: Emit = ignore,
) -> Iterator[Sink]:
    """Open a unit's file; leaving without a commit, for whatever reason, leaves nothing behind.

    Args:
        unit: Whose rows.
        storage: Where.
        encoding: How.
        origin: Says where the rows come from; asked once all of them have come.
        clock: Where "created at" comes from.
        emit: Is told of what happens.
    """
    path = path_of(unit, encoding.format)
    with storage.create(path) as pending:
        yield Sink(unit, path, pending, encoding, origin, clock, emit)


def regrouped(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Yield frames of exactly `rows` rows, the last one of fewer."""
    waiting: list[pl.DataFrame] = []
    count = 0
    for frame in frames:
        waiting.append(frame)
        count += frame.height
        while count >= rows:
            whole = pl.concat(waiting)
            yield whole.head(rows)
            waiting = [whole.slice(rows)]
            count -= rows
    if count:
        yield pl.concat(waiting)
