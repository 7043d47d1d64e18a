"""Numbers as exact decimals: which columns can be stored so, and the way there and back. Nothing is ever rounded."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from spxdata.schema import Column

#: Digits of a stored decimal: as many as a float64 always tells apart, so that the way there and back is exact.
PRECISION: Final = 15
_LARGEST: Final = 10**PRECISION - 1


def inexact(frame: pl.DataFrame, columns: Iterable[Column]) -> frozenset[str]:
    """Return the names of columns with a value that is no decimal of the column's scale; a null fits everywhere.

    Not exact are values with more digits after the point, those with too many before it, infinities and NaN. Minus
    zero equals zero and becomes it.
    """
    return frozenset(column.name for column in columns if not _fits(frame[column.name], 10.0**column.scale))


def _fits(series: pl.Series, unit: float) -> bool:
    values = series.drop_nulls().to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit
        units = np.rint(values * unit)
        # a quotient of two whole numbers is the float64 nearest to the decimal, which is what reading it gives; polars
        # divides by a constant with its reciprocal, which is not
        return bool(np.all((np.abs(units) <= _LARGEST) & (units / unit == values)))


def decimal_type(column: Column) -> pa.DataType:
    """Return the Arrow type of a column of decimals."""
    return pa.decimal128(PRECISION, column.scale)


def to_decimals(values: pl.Series, column: Column) -> pa.Array:
    """Return numbers as decimals of a column's scale; they must be exact."""
    absent = values.is_null().to_numpy()
    whole = np.rint(values.fill_null(0.0).to_numpy() * 10.0**column.scale).astype(np.int64)
    words = np.stack([whole, whole >> 63], axis=1)  # 128 bits: the sign fills the upper half
    present = pa.array(~absent).buffers()[1] if absent.any() else None
    return pa.Array.from_buffers(decimal_type(column), len(whole), [present, pa.py_buffer(words)])


def to_numbers(decimals: pl.Series) -> pl.Series:
    """Return decimals as the float64 nearest to each.

    Raises:
        PolarsError: One has more digits than are ever written.
    """
    units = decimals.to_physical().cast(pl.Int64)
    scale = decimals.dtype.scale if isinstance(decimals.dtype, pl.Decimal) else 0
    numbers = pl.Series(decimals.name, units.fill_null(0).to_numpy() / 10.0**scale)
    return numbers.set(units.is_null(), None) if units.null_count() else numbers
