"""The content hash: a digest of the vendor's values, independent of format, encoding and row groups.

Definition, version 1: rows in stored order; per vendor column, in the dataset's v3 order, a SHA-256 over its values,
and over all of them a SHA-256 of lines "name kind digest". Values are numbers as float64 (minus zero as zero, every
NaN alike, a number that the dialect does not send as eight bytes of ones), integers as int64, days as days since 1970
in int32, times as microseconds since 1970 UTC in int64, all little-endian; texts as UTF-8, each with a line feed after
it. Columns of ours, such as flags, are left out: a new rule must not look like a revision by the vendor.
"""

import hashlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from spxdata.schema import Column, Dataset, Kind

VERSION = 1
_NULL = 0xFFFF_FFFF_FFFF_FFFF


class ContentHash:
    """Takes rows in stored order, in pieces of any size, and gives their digest.

    Args:
        dataset: Whose columns count.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._columns = {column: hashlib.sha256() for column in dataset.columns}
        self._numbers = np.empty(0)  # one column's, again and again: memory that is new to the process takes as long

    def update(self, frame: pl.DataFrame) -> None:
        """Take some rows."""
        for column, digest in self._columns.items():
            digest.update(self._bytes(frame[column.name], column))

    def hexdigest(self) -> str:
        """Return the digest, with the version of its definition in front."""
        total = hashlib.sha256()
        for column, digest in self._columns.items():
            total.update(f"{column.name} {column.kind} {digest.hexdigest()}\n".encode())
        return f"{VERSION}:{total.hexdigest()}"

    def _bytes(self, values: pl.Series, column: Column) -> bytes | memoryview:
        match column.kind:
            case Kind.NUMBER:
                return _little_endian(self._alike(values.cast(pl.Float64)))
            case Kind.TEXT:
                return b"".join(_lines(values))
            case Kind.DATE:
                return _little_endian(values.cast(pl.Date).to_physical().to_numpy())
            case Kind.TIME | Kind.INTEGER:
                return _little_endian(values.to_physical().cast(pl.Int64).to_numpy())

    def _alike(self, values: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return numbers so that equal ones have equal bytes, with a mark that no number has where there is none."""
        if values.is_nan().any():
            values = values.fill_nan(float("nan"))
        if len(self._numbers) < len(values):
            self._numbers = np.empty(len(values))
        # an addition turns minus zero into zero; polars leaves one of zero out
        known = values.fill_null(0.0) if values.null_count() else values
        numbers = self._numbers[: len(values)]
        np.add(known.to_numpy(), 0.0, out=numbers)
        if values.null_count():
            numbers.view(np.uint64)[values.is_null().to_numpy()] = _NULL
        return numbers


def _lines(values: pl.Series) -> Iterator[bytes]:
    """Yield texts, each with a line feed after it; of those that repeat, as many at once."""
    runs = values.rle().struct.unnest()
    for length, text in zip(runs["len"].to_list(), runs["value"].cast(pl.String).to_list(), strict=True):
        if text is not None:
            yield f"{text}\n".encode() * length


def _little_endian(array: np.ndarray[Any, Any]) -> memoryview:
    return np.ascontiguousarray(array if sys.byteorder == "little" else array.byteswap()).data
