"""Rows of any dataset, made from what each column holds, and files of them in memory."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from spxdata.layout import path_of
from spxdata.model import Unit
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.hashing import HashingFile
from spxdata.pipeline.parse import RIGHT, TYPES
from spxdata.pipeline.read import frames
from spxdata.pipeline.write import open_rows
from spxdata.schema import FLAGS, TRADE_DATE, Dataset, Kind
from spxdata.storage.local import LocalStorage
from tests import builders
from tests.builders import EXPIRATION, a_provenance, a_unit

DECIMAL = Encoding(numbers="decimal")
CSV = Encoding("csv")
FLOAT = Encoding()
EVERY_ENCODING = {"float64": FLOAT, "decimal": DECIMAL, "csv": CSV}

#: 09:31 in New York on the day most tests speak of.
MORNING = datetime(2024, 1, 16, 14, 31, tzinfo=UTC)


class OneFile(LocalStorage):
    """A storage in memory whose every path holds the same bytes.

    Args:
        data: These.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(Path("nowhere"))
        self._data = data

    def open(self, path: str) -> BinaryIO:
        """Open the file under any name."""
        assert path
        return io.BytesIO(self._data)


class Held:
    """A file being written that holds its bytes."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        """Append bytes."""
        self.data += data
        return len(data)

    def commit(self) -> None:
        """Do nothing."""


def unit_of(dataset: Dataset) -> Unit:
    """Return a unit of a dataset, at its own interval."""
    return a_unit(
        dataset=dataset.name,
        interval=dataset.interval,
        expiration=EXPIRATION if dataset.unit_of == "expiration" else None,
    )


def a_table(dataset: Dataset, height: int = 30, /, **changes: Sequence[Any]) -> pl.DataFrame:
    """Return rows as they are stored: numbers that fit every scale, other columns as given."""
    values: dict[Kind, list[Any]] = {
        Kind.TEXT: ["SPXW"] * height,
        Kind.DATE: [EXPIRATION] * height,
        Kind.TIME: [MORNING + timedelta(minutes=row) for row in range(height)],
        Kind.INTEGER: [row * 7919 % 101 - 50 for row in range(height)],
        Kind.NUMBER: [(row * 7919 % 1009 - 504) / 4 for row in range(height)],
    }
    columns: dict[str, pl.Series] = {TRADE_DATE.name: pl.Series([builders.TRADE_DATE] * height, dtype=pl.Date)}
    for column in dataset.columns:
        if column.name == "right":
            sides = (["CALL", "PUT"] * height)[:height]
            columns[column.name] = pl.Series(changes.get(column.name, sides), dtype=RIGHT)
        else:
            columns[column.name] = pl.Series(changes.get(column.name, values[column.kind]), dtype=TYPES[column.kind])
    columns[FLAGS.name] = pl.Series([row % 3 for row in range(height)], dtype=pl.Int32)
    return pl.DataFrame(columns)


def lacking(dataset: Dataset) -> dict[str, list[None]]:
    """Return the columns that v2 lacks, without values, for a table of the usual height."""
    return {name: [None] * 30 for name in dataset.v2.lacks} if dataset.v2 else {}


def file_of(unit: Unit, tables: Sequence[pl.DataFrame], encoding: Encoding) -> tuple[bytes, tuple[str, ...]]:
    """Return a file with a row group of each table, and the columns that could not become decimals."""
    held = Held()
    rows = open_rows(HashingFile(held), unit, encoding)
    for table in tables:
        rows.see(table)
    for table in tables:
        rows.write(table)
    rows.finish({"provenance": repr(a_provenance())})
    return held.data, rows.inexact


def reread(unit: Unit, tables: Sequence[pl.DataFrame], encoding: Encoding) -> pl.DataFrame:
    """Write tables and return what is read back."""
    data, _ = file_of(unit, tables, encoding)
    return pl.concat(frames(OneFile(data), path_of(unit, encoding.format)))


def same(one: pl.Series, other: pl.Series) -> bool:
    """Tell whether two columns of numbers are the same to the bit; every NaN is alike."""
    bits = [column.fill_nan(float("nan")).reinterpret(signed=True) for column in (one, other)]
    return bits[0].equals(bits[1], null_equal=True)
