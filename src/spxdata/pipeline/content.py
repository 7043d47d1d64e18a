"""The content hash: a digest of the vendor's values, independent of format, encoding and row groups.

Definition, version 1: rows in stored order; per vendor column, in the dataset's v3 order, a SHA-256 over its values,
and over all of them a SHA-256 of lines "name kind digest". Values are numbers as float64 (minus zero as zero, every
NaN alike, a number that the dialect does not send as eight bytes of ones), integers as int64, days as days since 1970
in int32, times as microseconds since 1970 UTC in int64, all little-endian; texts as UTF-8, each with a line feed after
it. Columns of ours, such as flags, are left out: a new rule must not look like a revision by the vendor.
"""

import hashlib
import sys

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

    def update(self, frame: pl.DataFrame) -> None:
        """Take some rows."""
        for column, digest in self._columns.items():
            digest.update(_bytes(frame[column.name], column))

    def hexdigest(self) -> str:
        """Return the digest, with the version of its definition in front."""
        total = hashlib.sha256()
        for column, digest in self._columns.items():
            total.update(f"{column.name} {column.kind} {digest.hexdigest()}\n".encode())
        return f"{VERSION}:{total.hexdigest()}"


def _bytes(values: pl.Series, column: Column) -> bytes:
    match column.kind:
        case Kind.NUMBER:
            plain = values.cast(pl.Float64).fill_nan(float("nan"))
            if values.null_count():
                return _with_nulls(plain)
        case Kind.TEXT:
            return str((values.cast(pl.String) + "\n").str.join("").item()).encode()
        case Kind.DATE:
            plain = values.cast(pl.Date).to_physical()
        case Kind.TIME | Kind.INTEGER:
            plain = values.to_physical().cast(pl.Int64)
    return _little_endian(plain)


def _with_nulls(values: pl.Series) -> bytes:
    """Return numbers' bytes, with a mark that no number has where there is none."""
    array = (values.fill_null(0.0).to_numpy() + 0.0).astype("<f8").view("<u8").copy()
    array[values.is_null().to_numpy()] = _NULL
    return array.tobytes()


def _little_endian(values: pl.Series) -> bytes:
    array = values.to_numpy()
    if array.dtype.kind == "f":
        array = array + 0.0  # turns minus zero into zero; polars leaves an addition of zero out, numpy does it
    return (array if sys.byteorder == "little" else array.byteswap()).tobytes()
