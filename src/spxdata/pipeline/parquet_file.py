"""A unit's rows as a Parquet file: its columns, how each is encoded, and the document in its footer."""

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from spxdata.errors import StorageError
from spxdata.model import Unit
from spxdata.pipeline.decimals import decimal_type, inexact, to_decimals
from spxdata.pipeline.hashing import HashingFile
from spxdata.schema import DATASETS, FLAGS, TRADE_DATE, Column, Dataset, Kind

#: Key of our JSON document in a file's metadata.
METADATA_KEY: Final = b"spxdata"

_ARROW: Final[Mapping[Kind, pa.DataType]] = {
    Kind.TEXT: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.timestamp("us", tz="America/New_York"),
    Kind.INTEGER: pa.int32(),
    Kind.NUMBER: pa.float64(),
}

# How columns are encoded; texts, days and numbers that repeat have a dictionary, and plain values where that gets too
# large. Measured: docs/performance.md.
_ENCODINGS: Final[Mapping[Kind, str]] = {
    Kind.TIME: "DELTA_BINARY_PACKED",
    Kind.INTEGER: "BYTE_STREAM_SPLIT",
    Kind.NUMBER: "PLAIN",
}
_DECIMAL_ENCODING: Final = "BYTE_STREAM_SPLIT"
_DICTIONARY_BYTES: Final = 16 * 1024


def arrow_schema(dataset: Dataset, decimals: Collection[str] = ()) -> pa.Schema:
    """Return the columns of a dataset's files: trade date, the vendor's, flags; units in their metadata.

    Args:
        dataset: Whose files.
        decimals: Names of the columns that hold decimals.
    """
    lacking = dataset.v2.lacks if dataset.v2 else ()
    return pa.schema(
        pa.field(
            column.name,
            decimal_type(column) if column.name in decimals else _ARROW[column.kind],
            nullable=column.name in lacking,
            metadata={"unit": column.unit},
        )
        for column in _columns(dataset)
    )


def _columns(dataset: Dataset) -> tuple[Column, ...]:
    return (TRADE_DATE, *dataset.columns, FLAGS)


class ParquetFile:
    """Rows on their way into a Parquet file. All of them are seen before the first is written.

    Args:
        file: Takes the bytes.
        unit: Whose rows they are.
        codec: Name and level of the compression.
        decimals: Whether numbers become decimals, in the columns where all of them are exact.
    """

    def __init__(self, file: HashingFile, unit: Unit, codec: tuple[str, int | None], *, decimals: bool) -> None:
        self.compression, self._level = codec
        self._file = file
        self._unit = unit
        self._dataset = DATASETS[unit.dataset]
        numbers = [column for column in self._dataset.columns if column.kind is Kind.NUMBER]
        self._decimals = {column.name: column for column in numbers} if decimals else {}
        self._inexact: set[str] = set()
        self._writer: Any = None  # pyarrow ships no types

    @property
    def inexact(self) -> tuple[str, ...]:
        """The columns that should have become decimals and stay float64."""
        return tuple(name for name in self._dataset.names if name in self._inexact)

    def see(self, frame: pl.DataFrame) -> None:
        """Look at rows that have arrived: a column with a number that is no exact decimal stays float64."""
        for name in inexact(frame, self._decimals.values()) if self._decimals else ():
            del self._decimals[name]
            self._inexact.add(name)

    def write(self, frame: pl.DataFrame) -> None:
        """Append a row group."""
        if self._writer is None:
            self._writer = self._open()
        plain = frame.drop(self._decimals).to_arrow()
        schema = self._writer.schema
        arrays = [
            to_decimals(frame[field.name], self._decimals[field.name])
            if field.name in self._decimals
            else plain.column(field.name).cast(field.type)
            for field in schema
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=frame.height)

    def finish(self, document: Mapping[str, object]) -> None:
        """Write the footer, with a document that tells what the file is."""
        told = {**document, "compression": self.compression, "decimals": list(self._decimals)}
        self._writer.add_key_value_metadata({METADATA_KEY: json.dumps(told)})
        self._writer.close()

    def abandon(self) -> None:
        """Let go of the file, after whatever went wrong."""
        if self._writer is not None:
            with suppress(pa.ArrowException, OSError, StorageError):  # closing writes: it must not hide the cause
                self._writer.close()

    def _open(self) -> Any:  # noqa: ANN401 - pyarrow ships no types
        schema = arrow_schema(self._dataset, self._decimals)
        encodings = {c.name: encoding for c in _columns(self._dataset) if (encoding := self._encoding(c))}
        order = self._dataset.order_at(self._unit.interval)
        return pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            schema,
            compression=self.compression,
            compression_level=self._level,
            use_dictionary=[name for name in schema.names if name not in encodings],
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
            column_encoding=encodings,
            store_decimal_as_integer=True,
            sorting_columns=pq.SortingColumn.from_ordering(schema, [(name, "ascending") for name in order]),
            write_page_index=True,
            write_page_checksum=True,
        )

    def _encoding(self, column: Column) -> str | None:
        if column.repeats:
            return None
        return _DECIMAL_ENCODING if column.name in self._decimals else _ENCODINGS.get(column.kind)
