import math
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spxdata.pipeline.decimals import PRECISION, decimal_type, inexact, to_decimals, to_numbers
from spxdata.schema import Column, Kind

LARGEST = 10**PRECISION - 1
scales = st.integers(0, 8)


def a_column(scale: int) -> Column:
    """Return a column of numbers."""
    return Column("x", Kind.NUMBER, "dollars", scale)


def is_exact(values: list[float | None], scale: int) -> bool:
    """Tell whether numbers are exact decimals of a scale."""
    return not inexact(pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}), [a_column(scale)])


def there_and_back(values: list[float | None], scale: int) -> tuple[pa.Array, pl.Series]:
    """Return numbers as decimals, and those as numbers."""
    decimals = to_decimals(pl.Series(values, dtype=pl.Float64), a_column(scale))
    frame = pl.from_arrow(pa.table({"x": decimals}))
    assert isinstance(frame, pl.DataFrame)
    return decimals, to_numbers(frame["x"])


@given(st.integers(-LARGEST, LARGEST), scales)
@example(LARGEST, 0)
@example(-LARGEST, 5)
def test_a_decimal_as_a_tool_reads_it_is_exact(units: int, scale: int) -> None:
    """The float64 nearest to any decimal of at most so many digits becomes that decimal, and the same float64 again."""
    wanted = Decimal(units).scaleb(-scale)
    number = float(wanted)
    assert is_exact([number], scale)
    decimals, back = there_and_back([number], scale)
    assert decimals.to_pylist() == [wanted]
    assert back[0] == number


@given(st.floats(), scales)
@example(0.1 + 0.2, 2)
@example(5e-324, 8)
@example(1e15, 0)
@example(2.0**53 + 2, 0)
def test_no_number_is_ever_rounded(number: float, scale: int) -> None:
    """What is taken for exact is the float64 of a decimal of that scale; what is not, is not, or is too large."""
    units = round(Decimal(number) * 10**scale) if math.isfinite(number) else LARGEST + 1
    assert is_exact([number], scale) == (abs(units) <= LARGEST and float(Decimal(units).scaleb(-scale)) == number)
    if is_exact([number], scale):
        assert there_and_back([number], scale)[1][0] == number


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 0.123456, 1e11, 1e300, 1e-300, 5e-324])
def test_one_number_that_does_not_fit_is_enough(number: float) -> None:
    """Among any others, wherever it is."""
    assert is_exact([1.5, None, -2.25], 5)
    for values in ([number, 1.5, None], [1.5, None, number]):
        assert not is_exact(values, 5)


def test_each_column_has_its_own_scale_and_verdict() -> None:
    """Nobody else pays for a column that does not fit."""
    frame = pl.DataFrame({"a": [0.25], "b": [0.25], "c": [1.0]})
    columns = [Column("a", Kind.NUMBER, scale=2), Column("b", Kind.NUMBER, scale=1), Column("c", Kind.NUMBER)]
    assert inexact(frame, columns) == {"b"}


def test_what_is_absent_stays_absent() -> None:
    """Alone, between numbers, and without any rows."""
    cases: list[list[float | None]] = [[None, 1.5, None, -0.25], [None, None], []]
    for values in cases:
        decimals, back = there_and_back(values, 3)
        assert decimals.type == decimal_type(a_column(3)) == pa.decimal128(15, 3)
        assert decimals.null_count == values.count(None)
        assert back.to_list() == values


def test_minus_zero_becomes_zero() -> None:
    """They are equal, and a decimal has but one."""
    assert is_exact([-0.0], 2)
    back = there_and_back([-0.0], 2)[1][0]
    assert math.copysign(1, back) == 1
