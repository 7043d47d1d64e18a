"""What is noted of a file's strikes and times, from rows piece by piece."""

from datetime import UTC, datetime, time, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.pipeline.ranges import RangeTaker
from spxdata.schema import DATASETS
from spxdata.sessions import NEW_YORK
from tests.builders import TRADE_DATE, a_unit

from .builders import frame_of, rows_of, stored_frame, unit_for

UNIT = a_unit(dataset="quote")
MIDNIGHT = datetime.combine(TRADE_DATE, time(), NEW_YORK)


def quotes(strikes: list[float], minutes: list[int]) -> pl.DataFrame:
    """Return what is looked at of rows; both of the same length."""
    moments = [(MIDNIGHT + timedelta(minutes=minute)).astimezone(UTC) for minute in minutes]
    times = pl.Series("timestamp", moments, pl.Datetime("us", "UTC")).dt.convert_time_zone("America/New_York")
    return pl.DataFrame({"strike": pl.Series(strikes, dtype=pl.Float64), "timestamp": times})


@given(st.lists(st.lists(st.tuples(st.floats(1, 9_000), st.integers(0, 1_439)), max_size=4), min_size=1, max_size=4))
def test_they_are_those_of_all_rows_however_these_come(pieces: list[list[tuple[float, int]]]) -> None:
    """Of no rows there are none."""
    taker = RangeTaker(UNIT)
    for piece in pieces:
        taker.update(quotes([strike for strike, _ in piece], [minute for _, minute in piece]))
    every = [row for piece in pieces for row in piece]
    if not every:
        assert (taker.strikes, taker.times) == (None, None)
        return
    strikes, minutes = zip(*every, strict=True)
    ends = (min(minutes), max(minutes))
    assert taker.strikes == (min(strikes), max(strikes))
    assert taker.times == tuple(time(minute // 60, minute % 60) for minute in ends)


@pytest.mark.parametrize("minute", [-1, 1_440], ids=["the evening before", "the next day"])
def test_of_rows_of_another_day_the_times_are_not_known(minute: int) -> None:
    """A time of the day would not tell."""
    taker = RangeTaker(UNIT)
    taker.update(quotes([4700.0, 4700.0], [600, minute]))
    assert (taker.strikes, taker.times) == ((4700.0, 4700.0), None)


@pytest.mark.parametrize(
    ("name", "strikes", "times"),
    [("index_price", False, True), ("interest_rate", False, False), ("open_interest", True, True)],
)
def test_a_dataset_has_what_its_columns_tell(name: str, strikes: bool, times: bool) -> None:
    """The index has no strikes; a rate is of a day, and of no time."""
    unit = unit_for(DATASETS[name])
    taker = RangeTaker(unit)
    taker.update(stored_frame(frame_of(rows_of(dataset=DATASETS[name]), unit)))
    assert (taker.strikes is not None, taker.times is not None) == (strikes, times)
