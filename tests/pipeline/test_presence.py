from datetime import datetime, time
from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from spxdata.completeness import Presence
from spxdata.model import Contract
from spxdata.pipeline.parse import RIGHT, TIME
from spxdata.pipeline.presence import PresenceTaker
from spxdata.sessions import NEW_YORK
from tests.builders import EXPIRATION, TRADE_DATE

from .builders import CALL, CONTRACTS, HIGH_CALL, PUT, QUOTE_UNIT

#: Minute of the day and ask; repeats of a minute occur.
Rows = dict[Contract, list[tuple[int, float]]]
rows = st.dictionaries(
    st.sampled_from(CONTRACTS),
    st.lists(st.tuples(st.integers(570, 600), st.sampled_from([0.0, 0.05, 0.1, 27.5])), min_size=1, max_size=25).map(
        lambda found: sorted(found, key=lambda row: row[0])
    ),
)
CLOSE = 590


def frame(contracts: Rows) -> pl.DataFrame:
    """Return rows in stored order."""
    midnight = datetime.combine(TRADE_DATE, time(), NEW_YORK)
    return pl.DataFrame(
        [
            (EXPIRATION, c.strike, c.right.value, midnight.replace(hour=minute // 60, minute=minute % 60), ask)
            for c in sorted(contracts)
            for minute, ask in contracts[c]
        ],
        schema={"expiration": pl.Date, "strike": pl.Float64, "right": RIGHT, "timestamp": TIME, "ask": pl.Float64},
        orient="row",
    )


def naive(contracts: Rows) -> dict[Contract, Presence]:
    """Go through the rows one by one."""
    found: dict[Contract, Presence] = {}
    for contract, quotes in contracts.items():
        runs: list[list[int]] = []
        last_ask = 0.0
        for minute, ask in quotes:
            if runs and minute - runs[-1][1] <= 1:
                runs[-1][1] = minute
            else:
                runs.append([minute, minute])
            if ask > 0 and minute <= CLOSE:
                last_ask = ask
        found[contract] = Presence(tuple((first, last) for first, last in runs), last_ask)
    return found


@given(rows)
def test_stretches_and_last_asks_are_those_of_a_plain_loop(contracts: Rows) -> None:
    """Repeated minutes break no stretch; asks of 0 and those after the required close do not count."""
    taker = PresenceTaker(QUOTE_UNIT, CLOSE)
    taker.update(frame(contracts))
    assert taker.present == naive(contracts)


@given(rows, st.lists(st.integers(0, 75), max_size=6))
def test_the_pieces_rows_come_in_do_not_matter(contracts: Rows, borders: list[int]) -> None:
    """A contract, and a stretch, may go on in the next piece; a piece may be empty."""
    whole = frame(contracts)
    taker = PresenceTaker(QUOTE_UNIT, CLOSE)
    places = [0, *sorted(min(border, whole.height) for border in borders), whole.height]
    for start, stop in pairwise(places):
        taker.update(whole.slice(start, stop - start))
    assert taker.present == naive(contracts)


def test_contracts_that_touch_are_told_apart() -> None:
    """One ends in the minute before the next one begins, in rows that follow each other."""
    taker = PresenceTaker(QUOTE_UNIT, CLOSE)
    taker.update(frame({CALL: [(580, 1.0)], PUT: [(581, 2.0)], HIGH_CALL: [(581, 0.0)]}))
    assert taker.present == {
        CALL: Presence(((580, 580),), 1.0),
        PUT: Presence(((581, 581),), 2.0),
        HIGH_CALL: Presence(((581, 581),), 0.0),
    }


def test_nothing_is_present_in_nothing() -> None:
    """Before the first row, and after none."""
    taker = PresenceTaker(QUOTE_UNIT, CLOSE)
    assert taker.present == {}
    taker.update(frame({}))
    assert taker.present == {}
