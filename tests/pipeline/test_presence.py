from collections.abc import Mapping
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.completeness import MINUTE_MS, Presence
from spxdata.model import Contract, Unit
from spxdata.pipeline.order import Order, sorted_run
from spxdata.pipeline.parse import RIGHT, TIME
from spxdata.pipeline.presence import PresenceTaker
from spxdata.schema import DATASETS, STEP_MS
from spxdata.sessions import NEW_YORK
from tests.builders import EXPIRATION, TRADE_DATE, a_unit

from .builders import CALL, CONTRACTS, HIGH_CALL, PUT, QUOTE_UNIT, a_row, frame_of, rows_of, unit_for

#: Number of a point after 09:30 and ask; repeats of a point occur.
Points = dict[Contract, list[tuple[int, float]]]
points = st.dictionaries(
    st.sampled_from(CONTRACTS),
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.0, 0.05, 0.1, 27.5])), min_size=1, max_size=25).map(
        lambda found: sorted(found, key=lambda row: row[0])
    ),
)
intervals = st.sampled_from(["1m", "10ms", "1s", "5m", "1h"])
#: The last point that is required.
CLOSE = 20
OPEN_MS: Final = 570 * MINUTE_MS


def close_of(interval: str) -> int:
    """Return the millisecond of the day of the last required point."""
    return OPEN_MS + CLOSE * STEP_MS[interval]


def frame(contracts: Points, interval: str = "1m") -> pl.DataFrame:
    """Return rows in stored order."""
    opens = datetime.combine(TRADE_DATE, time(9, 30), NEW_YORK)
    step = timedelta(milliseconds=STEP_MS[interval])
    return pl.DataFrame(
        [
            (EXPIRATION, c.strike, c.right.value, opens + point * step, ask)
            for c in sorted(contracts)
            for point, ask in contracts[c]
        ],
        schema={"expiration": pl.Date, "strike": pl.Float64, "right": RIGHT, "timestamp": TIME, "ask": pl.Float64},
        orient="row",
    )


def naive(contracts: Points, interval: str = "1m") -> Mapping[Contract | None, Presence]:
    """Go through the rows one by one."""
    found: dict[Contract | None, Presence] = {}
    step = STEP_MS[interval]
    for contract, quotes in contracts.items():
        runs: list[list[int]] = []
        last_ask = 0.0
        for point, ask in quotes:
            if runs and point - runs[-1][1] <= 1:
                runs[-1][1] = point
            else:
                runs.append([point, point])
            if ask > 0 and point <= CLOSE:
                last_ask = ask
        found[contract] = Presence(tuple((OPEN_MS + a * step, OPEN_MS + b * step) for a, b in runs), last_ask)
    return found


def unit_at(interval: str) -> Unit:
    """Return the quote unit at an interval."""
    return a_unit(dataset="quote", interval=interval)


@given(points, intervals)
def test_stretches_and_last_asks_are_those_of_a_plain_loop(contracts: Points, interval: str) -> None:
    """Repeated points break no stretch; asks of 0 and those after the required close do not count."""
    taker = PresenceTaker(unit_at(interval), close_of(interval))
    taker.update(frame(contracts, interval))
    assert taker.present == naive(contracts, interval)


@given(points, intervals, st.lists(st.integers(0, 75), max_size=6))
def test_the_pieces_rows_come_in_do_not_matter(contracts: Points, interval: str, borders: list[int]) -> None:
    """A contract, and a stretch, may go on in the next piece; a piece may be empty."""
    whole = frame(contracts, interval)
    taker = PresenceTaker(unit_at(interval), close_of(interval))
    places = [0, *sorted(min(border, whole.height) for border in borders), whole.height]
    for start, stop in pairwise(places):
        taker.update(whole.slice(start, stop - start))
    assert taker.present == naive(contracts, interval)


def test_contracts_that_touch_are_told_apart() -> None:
    """One ends in the minute before the next one begins, in rows that follow each other."""
    taker = PresenceTaker(QUOTE_UNIT, close_of("1m"))
    taker.update(frame({CALL: [(10, 1.0)], PUT: [(11, 2.0)], HIGH_CALL: [(11, 0.0)]}))
    at = [OPEN_MS + point * MINUTE_MS for point in (10, 11)]
    assert taker.present == {
        CALL: Presence(((at[0], at[0]),), 1.0),
        PUT: Presence(((at[1], at[1]),), 2.0),
        HIGH_CALL: Presence(((at[1], at[1]),), 0.0),
    }


def test_nothing_is_present_in_nothing() -> None:
    """Before the first row, and after none."""
    taker = PresenceTaker(QUOTE_UNIT, close_of("1m"))
    assert taker.present == {}
    taker.update(frame({}))
    assert taker.present == {}


@pytest.mark.parametrize("name", ["trade", "trade_quote", "eod", "open_interest", "greeks_eod"])
def test_of_what_is_no_grid_only_the_contracts_are_noted(name: str) -> None:
    """However many rows they have, and in how many pieces they come."""
    dataset = DATASETS[name]
    unit = unit_for(dataset)
    rows = frame_of([row for _ in range(3) for row in rows_of((PUT, CALL), (600, 601), dataset)], unit)
    taker = PresenceTaker(unit, close_of("1m"))
    ordered = sorted_run(rows, Order.of(unit))
    for start in range(0, ordered.height, 2):
        taker.update(ordered.slice(start, 2))
    assert taker.present == {CALL: Presence(), PUT: Presence()}


def test_ticks_of_quotes_are_there_by_the_minute() -> None:
    """However many a minute has, and in whatever part of it; seconds without any are no hole."""
    taker = PresenceTaker(unit_at("tick"), close_of("1m"))
    ticks = frame({CALL: [(100, 1.0), (5_999, 1.5), (6_000, 0.0), (18_000, 2.0)]}, "10ms")
    for start in range(4):
        taker.update(ticks.slice(start, 1))
    assert taker.present == {
        CALL: Presence(((OPEN_MS, OPEN_MS + MINUTE_MS), (OPEN_MS + 3 * MINUTE_MS, OPEN_MS + 3 * MINUTE_MS)), 2.0)
    }


def test_an_index_is_one_series_without_a_name() -> None:
    """With its stretches, and without any ask; in pieces too."""
    dataset = DATASETS["index_price"]
    unit = unit_for(dataset)
    rows = frame_of([a_row(dataset, minute=minute) for minute in (571, 572, 573, 580)], unit)
    expected = {None: Presence(((571 * MINUTE_MS, 573 * MINUTE_MS), (580 * MINUTE_MS, 580 * MINUTE_MS)))}
    for size in (1, 2, 4):
        taker = PresenceTaker(unit, close_of("1m"))
        for start in range(0, rows.height, size):
            taker.update(rows.slice(start, size))
        assert taker.present == expected


def test_the_interest_rate_is_there_or_not() -> None:
    """One series, and no contract."""
    dataset = DATASETS["interest_rate"]
    unit = unit_for(dataset)
    taker = PresenceTaker(unit, close_of("1m"))
    rows = frame_of([a_row(dataset)], unit)
    taker.update(rows.head(0))
    assert taker.present == {}
    taker.update(rows)
    assert taker.present == {None: Presence()}


def test_contracts_of_several_expirations_are_told_apart() -> None:
    """As in a day-wide unit."""
    dataset = DATASETS["eod"]
    unit = unit_for(dataset)
    nearer = CALL._replace(expiration=TRADE_DATE)
    taker = PresenceTaker(unit, close_of("1m"))
    taker.update(frame_of(rows_of((nearer, CALL), dataset=dataset), unit))
    assert list(taker.present) == [nearer, CALL]
