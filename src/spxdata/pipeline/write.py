"""Checked rows into a Parquet file that gets its final name only when it is whole and durable."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from spxdata.completeness import describe
from spxdata.errors import ShortReply, StorageError
from spxdata.events import plain
from spxdata.layout import path_of
from spxdata.model import Artifact, Provenance, Unit
from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.validate import Checked
from spxdata.protocols import Clock, Pending, Storage
from spxdata.schema import DATASETS, FLAGS, TRADE_DATE, Column, Dataset, Kind

#: Key of our JSON document in a file's metadata.
METADATA_KEY: Final = b"spxdata"

_ARROW: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.timestamp("us", tz="America/New_York"),
    Kind.INTEGER: pa.int32(),
    Kind.NUMBER: pa.float64(),
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How rows become bytes.

    Attributes:
        compression: Parquet codec.
        level: Its level.
        row_group_rows: Rows of a row group; the last one has fewer.
    """

    compression: str = "zstd"
    level: int = 3
    row_group_rows: int = 128 * 1024


def arrow_schema(dataset: Dataset) -> pa.Schema:
    """Return the columns of a dataset's files: trade date, the vendor's, flags; units in their metadata."""
    lacking = dataset.v2.lacks if dataset.v2 else ()
    return pa.schema(
        _field(column, nullable=column.name in lacking) for column in (TRADE_DATE, *dataset.columns, FLAGS)
    )


def _field(column: Column, *, nullable: bool) -> pa.Field:
    return pa.field(column.name, _ARROW[column.kind], nullable=nullable, metadata={"unit": column.unit})


class HashingFile:
    """What a Parquet writer writes to: passes bytes on, counts and hashes them."""

    def __init__(self, pending: Pending) -> None:
        self._pending = pending
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        """Append bytes."""
        self._digest.update(data)
        self.bytes += len(data)
        self._pending.write(data)
        return len(data)

    def tell(self) -> int:
        """Return the position: all bytes so far."""
        return self.bytes

    def flush(self) -> None:
        """Do nothing: the commit makes bytes durable."""

    def close(self) -> None:
        """Do nothing: the commit closes the file."""

    def sha256(self) -> str:
        """Return the digest of what was written."""
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Sink:
    """A unit's file in the making."""

    unit: Unit
    path: str
    pending: Pending
    encoding: Encoding
    provenance: Provenance
    clock: Clock

    def commit(
        self, checked: Checked, *, accept_holes: bool = False, replacing: Callable[[], None] = lambda: None
    ) -> Artifact:
        """Write all rows and give the file its final name.

        Args:
            checked: The rows.
            accept_holes: Whether a reply that lacks listed contracts or required minutes is good enough.
            replacing: Called right before the final name is given.

        Raises:
            ShortReply: Something is missing, and that was not accepted.
            DataError: The reply is wrong.
            StorageError: The file could not be written.
        """
        dataset = DATASETS[self.unit.dataset]
        file = HashingFile(self.pending)
        content = ContentHash(dataset)
        rows = 0
        with _parquet_writer(file, self.unit, self.encoding) as writer:
            for frame in _regroup(checked, self.encoding.row_group_rows):
                content.update(frame)
                rows += frame.height
                writer.write_table(frame.to_arrow().cast(writer.schema), row_group_size=frame.height)
            missing = [hole for hole in checked.holes if hole.partial]
            if missing and not accept_holes:
                raise ShortReply(f"The reply ended cleanly but lacks {describe(missing)}.")
            created_at = self.clock.now()
            document = {
                "unit": plain(self.unit),
                "schema_version": dataset.version,
                "content_hash": content.hexdigest(),
                "compression": self.encoding.compression,
                "created_at": plain(created_at),
                "provenance": plain(self.provenance),
            }
            writer.add_key_value_metadata({METADATA_KEY: json.dumps(document)})
        replacing()
        self.pending.commit()
        return Artifact(
            path=self.path,
            rows=rows,
            bytes=file.bytes,
            sha256=file.sha256(),
            content_hash=content.hexdigest(),
            schema_version=dataset.version,
            format="parquet",
            compression=self.encoding.compression,
            created_at=created_at,
            provenance=self.provenance,
        )


@contextmanager
def write(unit: Unit, storage: Storage, encoding: Encoding, provenance: Provenance, clock: Clock) -> Iterator[Sink]:
    """Open a unit's file; leaving without a commit, for whatever reason, leaves nothing behind."""
    path = path_of(unit)
    with storage.create(path) as pending:
        yield Sink(unit, path, pending, encoding, provenance, clock)


@contextmanager
def _parquet_writer(file: HashingFile, unit: Unit, encoding: Encoding) -> Iterator[Any]:
    dataset = DATASETS[unit.dataset]
    schema = arrow_schema(dataset)
    order = dataset.order_at(unit.interval)
    writer = pq.ParquetWriter(
        pa.PythonFile(file, mode="w"),
        schema,
        compression=encoding.compression,
        compression_level=encoding.level,
        sorting_columns=pq.SortingColumn.from_ordering(schema, [(name, "ascending") for name in order]),
        write_page_index=True,
        write_page_checksum=True,
    )
    try:
        yield writer
    except BaseException:
        with suppress(pa.ArrowException, OSError, StorageError):  # closing writes: it must not hide the cause
            writer.close()
        raise
    writer.close()


def _regroup(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
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
