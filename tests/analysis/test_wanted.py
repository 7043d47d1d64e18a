"""What a caller says becomes days, ranges and an expression, or an error that says what is wrong."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.analysis.wanted import UNCLEAN, as_day, as_moment, as_number, as_right, as_time, chosen, left_out, wanted
from spxdata.errors import ConfigError
from spxdata.flags import Flag
from spxdata.model import Right

NUMBERS = st.floats(-100, 100)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_range_has_both_ends_included(one: float, other: float, value: float) -> None:
    """In Python and in the expression alike."""
    low, high = sorted((one, other))
    found = chosen("dte", (low, high), as_number)
    assert found is not None
    frame = pl.DataFrame({"x": [value, low, high]})
    assert frame.select(found.of(pl.col("x"))).to_series().to_list() == [low <= value <= high, True, True]
    assert [cell in found for cell in frame["x"]] == [low <= value <= high, True, True]


@given(st.lists(NUMBERS, min_size=1, max_size=5), NUMBERS)
def test_a_list_has_its_values_only(values: list[float], other: float) -> None:
    """In any order, and repeated ones once."""
    found = chosen("strike", values, as_number)
    assert found is not None
    cells = pl.DataFrame({"x": [*values, other]})
    assert cells.select(found.of(pl.col("x"))).to_series().to_list() == [True] * len(values) + [other in values]


@given(st.one_of(st.tuples(NUMBERS, NUMBERS).map(sorted).map(tuple), st.lists(NUMBERS, max_size=4)), NUMBERS, NUMBERS)
def test_what_lies_between_may_be_wanted_if_any_of_it_is(choice: Any, one: float, other: float) -> None:
    """Never is something wanted of values that are said to have none."""
    found = chosen("strike", choice, as_number)
    low, high = sorted((one, other))
    assert found is not None
    assert found.meets(low, high) or not any(value in found for value in (low, high, (low + high) / 2))
    ends = (found.low, found.high) if found.among is None else found.among
    assert found.meets(low, high) or not any(end is not None and low <= end <= high for end in ends)


def test_what_cannot_be_compared_may_be_wanted() -> None:
    """No number is less than nan, nor greater; polars has its own mind of that."""
    for choice in ((None, float("nan")), (float("nan"), None), [float("nan")]):
        found = chosen("strike", choice, as_number)
        assert found is not None
        assert found.meets(1.0, 2.0)


def test_an_open_end_has_no_limit() -> None:
    found = chosen("strike", (None, 4700), as_number)
    assert found is not None
    assert (4700.0 in found, -1.0 in found, 4700.01 in found) == (True, True, False)
    assert chosen("strike", None, as_number) is None


@pytest.mark.parametrize(
    ("name", "choice", "read", "words"),
    [
        ("dte", (7, 0), as_number, "comes after"),
        ("dte", (0, 1, 2), as_number, "two ends"),
        ("strike", "many", as_number, "not a number"),
        ("expiration", "2024-02-31", as_day, "not a day"),
        ("expiration", datetime(2024, 1, 16, 10), as_day, "not a day"),  # noqa: DTZ001 - that is the point
        ("times", "25:00", as_time, "not a time"),
        ("times", "10:00+01:00", as_time, "has an offset"),
        ("right", "straddle", as_right, "neither CALL nor PUT"),
    ],
)
def test_what_makes_no_sense_is_named(name: str, choice: Any, read: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        chosen(name, choice, read)
    assert caught.value.message.startswith(name)


@pytest.mark.parametrize("text", ["C", "call", "CALL", Right.CALL])
def test_a_right_is_read_in_every_spelling(text: str) -> None:
    assert as_right("right", text) is Right.CALL


def test_a_moment_is_new_york_s_unless_it_says_otherwise() -> None:
    morning = as_moment("moment", "2024-01-16 10:30")
    assert morning.isoformat() == "2024-01-16T10:30:00-05:00"
    assert as_moment("moment", "2024-01-16T15:30:00+00:00") == morning
    assert as_moment("moment", datetime(2024, 1, 16, 16, 30, tzinfo=ZoneInfo("Europe/Berlin"))) == morning
    with pytest.raises(ConfigError, match="not a moment"):
        as_moment("moment", "half past ten")


def test_flags_are_chosen_by_word_by_name_or_as_they_are() -> None:
    assert left_out("clean") == UNCLEAN
    assert left_out("all") == Flag(0)
    assert left_out("crossed") == Flag.CROSSED
    assert left_out(["locked", "Crossed"]) == Flag.LOCKED | Flag.CROSSED
    assert left_out(Flag.OFF_TICK) == Flag.OFF_TICK
    with pytest.raises(ConfigError, match="no flag"):
        left_out("cross")


@pytest.mark.parametrize(
    ("name", "choice", "words"),
    [
        ("quotes", {}, "not a dataset"),
        ("quote", {"interval": "2m"}, "cannot be had at the interval"),
        ("quote", {"delta": (0, 1)}, "has no delta"),
        ("quote", {"moneyness": (0.9, 1)}, "has no underlying_price"),
        ("index_price", {"strike": 4700}, "has no strike"),
        ("quote", {"start": "2024-01-17", "end": "2024-01-16"}, "backwards"),
    ],
)
def test_what_a_dataset_cannot_tell_is_refused(name: str, choice: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        wanted(name, **choice)


def test_units_are_left_out_by_expiration_and_days_to_it() -> None:
    day = date(2024, 1, 16)
    near = wanted("quote", dte=(0, 1))
    assert [near.has(day, day + timedelta(days=dte)) for dte in (0, 1, 2)] == [True, True, False]
    assert near.has(day, None), "a unit of a whole day may hold any expiration"
    only = wanted("quote", expiration=["2024-01-19"])
    assert (only.has(day, date(2024, 1, 19)), only.has(day, date(2024, 1, 18))) == (True, False)


def test_an_index_is_found_by_its_option_root() -> None:
    assert wanted("index_price", root="spxw").root == "SPX"
    assert wanted("quote", times=["10:00"]).times is not None
    assert as_time("times", time(10)) == time(10)
